"""What the commands beside the workflow share: they read the config files first, or say what is wrong with them."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.config import Config, ConfigError, load


def config_of(paths: Iterable[Path]) -> Config:
    """The config in files, each laid over those before it.

    Raises:
        SystemExit: it is wrong, or a file cannot be read; the message has the mend.
    """
    try:
        return load(*paths)
    except ConfigError as error:
        raise SystemExit(f"The config is wrong:\n{error}") from None
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}; name a YAML file such as config/quick.yaml") from None


def unfinished(paths: Iterable[Path]) -> str:
    """What a command says that finds no results of the config in files, with the mend."""
    return f"no finished results here; run: snakemake --cores all --configfile {' '.join(map(str, paths))}"
