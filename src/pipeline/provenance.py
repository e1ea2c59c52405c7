"""How results came about: the code's commit, the machine, and the versions of what computed them."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

CODE = ("--", ":(top)", ":(top,exclude)docs/results")  # kept results make no results
PACKAGES = ("numpy", "torch", "pandas", "pyarrow", "scipy", "altair", "snakemake")


def provenance(folder: Path) -> dict:
    """``commit``, ``uncommitted_changes``, ``machine``, ``python`` and ``packages``, the last two as versions.

    Args:
        folder: one inside the checkout whose code it is; outside of a checkout, commit and changes are null.
    """
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", *CODE)
    return {
        "commit": commit(folder),
        "uncommitted_changes": None if changes is None else bool(changes),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def commit(folder: Path) -> str | None:
    """The commit of the checkout that holds a folder, if there is one."""
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:  # no git
        return None
    return None if done.returncode else done.stdout.strip()


def _processor() -> str:
    """The processor's name, with its kind of instructions where the system says no more."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.processor() or platform.machine()
