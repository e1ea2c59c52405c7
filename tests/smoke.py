"""What the tests of the workflow share: the smoke config, and what a dry run says."""

import re
import shutil
from pathlib import Path

from running import ROOT, snakemake

SMOKE = ROOT / "config" / "smoke.yaml"


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
