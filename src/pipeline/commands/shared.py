"""What the commands beside the workflow share: they read the config first, or say what is wrong with it."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pipeline.config import Config, ConfigError, load
from pipeline.workflow import named_files

ROOT = Path(__file__).resolve().parents[3]  # the project's folder


class Workflow(NamedTuple):
    """Config files, each laid over those before it, and the folder that Snakemake works in, where results/ lies."""

    configs: list[Path]
    directory: Path = Path()

    @property
    def options(self) -> list[str]:
        """Snakemake's."""
        directory = [] if self.directory == Path() else ["--directory", str(self.directory)]
        return [*directory, "--configfile", *map(str, self.configs)]

    @property
    def command(self) -> str:
        """What runs it."""
        return f"snakemake --cores all {' '.join(self.options)}"

    @property
    def unfinished(self) -> str:
        """What is said where it has no results, with the mend."""
        return f"no finished results here; run: {self.command}"


def parser_of(description: str) -> argparse.ArgumentParser:
    """A parser of what :func:`workflow_of` reads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="+")
    parser.add_argument(
        "--directory", type=Path, default=Path(), help="that results/ lies in; default: the present one"
    )
    return parser


def workflow_of(given: argparse.Namespace) -> tuple[Workflow, Config]:
    """The workflow that a command line names, and its config; raises what `config_of` does."""
    return Workflow(given.config, given.directory), config_of(given.config)


def config_of(paths: Iterable[Path]) -> Config:
    """The config in files, each laid over those before it.

    Raises:
        SystemExit: it, or a file that it names, is wrong or cannot be read; the message has the mend.
    """
    try:
        config = load(*paths)
        named_files.read(config, ROOT)
    except ConfigError as error:
        raise SystemExit(f"The config is wrong:\n{error}") from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}; name a YAML file such as config/quick.yaml") from None
    return config
