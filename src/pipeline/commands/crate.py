"""Describes finished results as an RO-Crate (Process Run Crate profile), to archive them with their provenance.

``python -m pipeline.commands.crate --results results --command "make paper"`` writes ``ro-crate-metadata.json`` beside
them. A tool for research objects then knows every file, the config and the code that made it, and the paper that it is
about.
"""

import argparse
import hashlib
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from pipeline.commands.shared import ROOT
from pipeline.provenance import PACKAGES, commit

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
PAPER = "https://arxiv.org/abs/2110.10090"
LICENCE = "https://spdx.org/licenses/MIT"
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".yaml": "application/yaml",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html",
}
DESCRIBED = ("config.yaml", "summary.txt", "claims.*", "index.html", "tables/*.parquet", "figures/*")


def write(results: Path, command: str, checkout: Path = ROOT) -> Path:
    """Writes the description and returns its path.

    Args:
        results: the results folder of a finished workflow.
        command: the command that made the results.
        checkout: a folder inside the checkout whose code made them; if it is in none, no version is told.

    Raises:
        FileNotFoundError: there is nothing to describe.
    """
    files = sorted(path for pattern in DESCRIBED for path in results.glob(pattern) if path.suffix in FORMATS)
    if not files:
        raise FileNotFoundError(f"{results} holds no finished results; run the workflow first")
    ended = datetime.fromtimestamp(max(path.stat().st_mtime for path in files), UTC).isoformat(timespec="seconds")
    crate = ROCrate()
    crate.name = "Sample complexity of sparse Boolean functions for Transformers: results"
    crate.description = "Runs, tables and figures of the reference reproduction of Edelman et al. (ICML 2022)."
    crate.datePublished = ended
    crate.license = LICENCE
    paper = crate.add(
        ContextEntity(
            crate,
            PAPER,
            {
                "@type": "ScholarlyArticle",
                "name": "Inductive Biases and Variable Creation in Self-Attention Mechanisms",
            },
        )
    )
    crate.root_dataset["conformsTo"] = crate.add(
        ContextEntity(crate, PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate"})
    )
    crate.root_dataset["citation"] = paper
    described = [
        crate.add_file(dest_path=path.relative_to(results).as_posix(), properties=_properties(path)) for path in files
    ]
    configs = [one for one in described if one.id == "config.yaml"]
    software = {"@type": "SoftwareApplication", "name": "sparse-attention-pipeline"}
    if made_by := commit(checkout):
        software["version"] = made_by
    requirements = [f"{name} {version(name)}" for name in PACKAGES]
    instrument = crate.add(ContextEntity(crate, "#pipeline", software | {"softwareRequirements": requirements}))
    action = {"@type": "CreateAction", "name": command, "endTime": ended}
    run = crate.add(ContextEntity(crate, "#run", action))
    run["instrument"], run["object"] = instrument, configs
    run["result"] = [one for one in described if one not in configs]
    crate.root_dataset["mentions"] = run
    crate.metadata.write(results)
    return results / "ro-crate-metadata.json"


def _properties(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    return {
        "name": path.name,
        "encodingFormat": FORMATS[path.suffix],
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--command", required=True, help="the command that made the results")
    given = parser.parse_args()
    try:
        print(f"described in {write(given.results, given.command)}")
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
