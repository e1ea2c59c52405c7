"""Finds damaged result files before the workflow decides what is to be made."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import seals
from pipeline.storage import TornFileError, read_table
from pipeline.texts import read_json, read_svg


def set_aside_damaged(folder: Path) -> list[Path]:
    """Renames the damaged files of results in a folder to ``<name>.damaged``, and gives their paths.

    Looks at those that were written, changed or moved since it last did, which a hidden file in the folder remembers.
    A file that the file system does not let it read is left alone.
    """
    last, now = folder / ".checked", folder / f".checked.{os.getpid()}"
    try:
        since = last.stat().st_mtime_ns if last.exists() else 0
        now.touch()  # its time is the file system's now, from before any file is looked at
        found = [(path, check) for pattern, check in CHECKS.items() for path in folder.glob(pattern)]
        damaged = [path for path, check in found if _changed(path, since) and _is_damaged(path, check)]
        for path in damaged:
            path.replace(path.with_name(f"{path.name}.damaged"))
        now.replace(last)
    except OSError:  # no such folder yet, or it cannot be written, of which others speak
        return []
    return damaged


def _changed(path: Path, since: int) -> bool:
    """Whether content, name or place of a file may be new; the file system keeps this time, and no one else sets it."""
    try:
        return path.stat().st_ctime_ns >= since
    except OSError:
        return False


def _is_damaged(path: Path, check: Callable[[Path], Any]) -> bool:
    try:
        check(path)
    except TornFileError:
        return True
    except OSError:
        return False
    return False


def _check_table(path: Path) -> None:
    """Raises `TornFileError` for what the seal shows or, of a file in which none is found, the pages' checksums."""
    with path.open("rb") as file:
        broken = seals.is_broken(file)
    if broken:
        raise TornFileError(path)
    if broken is None:
        read_table(path)


# Of what jobs read again: patterns below the folder of results, and what raises `TornFileError` for a damaged file.
CHECKS: dict[str, Callable[[Path], Any]] = {
    "**/*.parquet": _check_table,
    "claims.json": read_json,
    "figures/*.json": read_json,
    "figures/*.svg": read_svg,
}
