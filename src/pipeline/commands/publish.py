"""Copies finished results to a folder to keep, with a manifest of how they were made.

``python -m pipeline.commands.publish --results results --to docs/results/NAME --command "make paper"``
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path

from pipeline.config import load
from pipeline.provenance import provenance
from pipeline.workflow import targets

MANIFEST = "manifest.json"


def publish(results: Path, target: Path, command: str) -> None:
    """Keeps tables, figures, config and summary; what another config left in the results folder stays there.

    Args:
        results: the results folder of a finished workflow, in the checkout that made it.
        target: where they go.
        command: the command that made the results.

    Raises:
        FileNotFoundError: there is nothing to copy.
    """
    if not (results / "config.yaml").is_file():
        raise FileNotFoundError(f"{results} holds no finished results; run the workflow first")
    keep(_made(results), target, command, results)


def keep(files: Collection[Path], target: Path, command: str, checkout: Path) -> None:
    """Copies files, flat, and writes ``manifest.json``; what was kept there before and is no longer made goes.

    Args:
        files: what to keep.
        target: where they go; files of the same names are replaced.
        command: the command that made them.
        checkout: a folder inside the checkout whose code made them.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in _published(target) - {path.name for path in files}:
        (target / name).unlink(missing_ok=True)
    for path in files:
        shutil.copyfile(path, target / path.name)
    manifest = {
        "command": command,
        **provenance(checkout),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _made(results: Path) -> list[Path]:
    """The files to keep that the results' own config makes, of those that are there."""
    config = load(results / "config.yaml")
    figures = (Path(path) for path in targets.figure_files(config, "figures"))
    names = ["config.yaml", "summary.txt", "claims.json", "claims.md", *targets.table_files(config, "tables")]
    names += [str(path) for path in figures if path.suffix != ".html"]
    return sorted(results / name for name in names if (results / name).is_file())


def _published(target: Path) -> set[str]:
    """The names of the files that an earlier call put there."""
    manifest = target / MANIFEST
    return set(json.loads(manifest.read_text(encoding="utf-8"))["sha256"]) if manifest.exists() else set()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--command", required=True, help="the command that made the results")
    given = parser.parse_args()
    try:
        publish(given.results, given.to, given.command)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
