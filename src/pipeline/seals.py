"""Seals of Parquet files: the digest of all other bytes, in front of the footer.

A Parquet file's page checksums leave out its page headers and its footer, where a flipped bit can change a number
without an error. Parquet readers find the footer from the end, so they do not look where the seal is.
"""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

SEAL = b"sealed by sha256"  # the digest follows
SEAL_SIZE = len(SEAL) + hashlib.sha256().digest_size
END_SIZE = 8  # of a Parquet file: the footer's length, uint32, and the magic bytes
CHUNK = 2**20


def seal(path: Path) -> None:
    """Seals a Parquet file that has no seal yet."""
    with path.open("r+b") as file:
        start = _footer_start(file)
        file.seek(start)
        footer = file.read()
        file.seek(start)
        file.write(SEAL + _digest(file, start, footer) + footer)


def is_broken(file: BinaryIO) -> bool | None:
    """Whether the file, open for reading, is not what was sealed; None if it has no seal."""
    start = _footer_start(file) - SEAL_SIZE
    if start < 0:
        return None
    file.seek(start)
    found, footer = file.read(SEAL_SIZE), file.read()
    return found != SEAL + _digest(file, start, footer) if found.startswith(SEAL) else None


def _footer_start(file: BinaryIO) -> int:
    """Where the footer of a Parquet file begins; negative if the file is none."""
    size = file.seek(0, os.SEEK_END)
    if size < END_SIZE:
        return -1
    file.seek(-END_SIZE, os.SEEK_END)
    return size - END_SIZE - int.from_bytes(file.read(END_SIZE)[:4], "little")


def _digest(file: BinaryIO, size: int, footer: bytes) -> bytes:
    """Of the first bytes of the file and its footer; leaves the file's position behind the former."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, size, CHUNK):
        digest.update(file.read(min(CHUNK, size - start)))
    digest.update(footer)
    return digest.digest()
