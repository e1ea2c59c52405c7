"""Finds damaged result files before the workflow decides what is to be made."""

import os
from pathlib import Path

from pipeline import seals


def set_aside_damaged(folder: Path) -> list[Path]:
    """Renames the damaged Parquet files under a folder to ``<name>.damaged``, and gives their paths.

    Looks at those that were written, changed or moved since it last did, which a hidden file in the folder remembers.
    A file that the file system does not let it read is left alone.
    """
    last, now = folder / ".checked", folder / f".checked.{os.getpid()}"
    try:
        since = last.stat().st_mtime_ns if last.exists() else 0
        now.touch()  # its time is the file system's now, from before any file is looked at
        damaged = [path for path in folder.rglob("*.parquet") if _changed(path, since) and _is_damaged(path)]
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


def _is_damaged(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            broken = seals.is_broken(file)
    except OSError:
        return False
    return _is_unreadable(path) if broken is None else broken


def _is_unreadable(path: Path) -> bool:
    """Whether a file without a seal, or cut short so that none is found, is damaged by the checksums of its pages."""
    from pipeline.storage import TornFileError, read_table  # pyarrow, without which the workflow starts faster

    try:
        read_table(path)
    except TornFileError:
        return True
    return False
