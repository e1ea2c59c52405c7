"""Running Snakemake, for tests."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def environment() -> dict[str, str]:
    """The environment without the terminal's settings of Snakemake."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}


def start(folder: Path, *options: str, snakefile: Path = ROOT / "Snakefile", **process) -> subprocess.Popen:
    """Starts Snakemake in a folder; ``process``: further arguments of Popen."""
    command = ["snakemake", "--snakefile", str(snakefile), "--directory", str(folder), "--cores", "2", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(), **pipes | process)


def snakemake(folder: Path, *options: str, **where) -> subprocess.CompletedProcess:
    """Runs Snakemake in a folder to its end."""
    process = start(folder, *options, **where)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
