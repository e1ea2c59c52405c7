"""What the tests of the workflow share: Snakemake on the smoke config."""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "config" / "smoke.yaml"


def snakemake(folder: Path, *options: str, snakefile: Path = ROOT / "Snakefile") -> subprocess.CompletedProcess:
    """Runs Snakemake in a folder, without the terminal's settings."""
    command = ["snakemake", "--snakefile", str(snakefile), "--directory", str(folder), "--cores", "2", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def jobs(folder: Path, *options: str, **where: Path) -> dict[str, int]:
    """How many jobs of each rule a dry run would start."""
    dry = snakemake(folder, "--dry-run", *options, **where)
    assert dry.returncode == 0, dry.stderr
    counts = re.findall(r"^(\w+) +(\d+)$", dry.stdout + dry.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in counts if rule not in ("all", "total")}


def copy_of_the_checkout(folder: Path) -> Path:
    """A copy of all that the workflow reads, to edit."""
    for part in ("src", "workflow", "config", "profiles"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / part, folder / part)
    return folder
