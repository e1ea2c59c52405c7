"""Copies finished results to a folder to keep, with a manifest of how they were made.

``python -m pipeline.publish --results results --to docs/results/NAME --command "make paper"``
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from pipeline.provenance import provenance

KEPT = ("config.yaml", "summary.txt", "claims.*", "tables/*.parquet", "figures/*.svg", "figures/*.png")


def publish(results: Path, target: Path, command: str) -> None:
    """Copies tables, figures, config and summary, flat, and writes ``manifest.json``.

    Args:
        results: the results folder of a finished workflow, in the checkout that made it.
        target: where they go; files of the same names are replaced.
        command: the command that made the results.

    Raises:
        FileNotFoundError: there is nothing to copy.
    """
    files = sorted(path for pattern in KEPT for path in results.glob(pattern))
    if not files:
        raise FileNotFoundError(f"{results} holds no finished results; run the workflow first")
    target.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, target / path.name)
    manifest = {
        "command": command,
        **provenance(results),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


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
