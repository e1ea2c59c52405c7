"""A checksum of a whole Parquet file, in its metadata: Parquet's own are of the data pages, not of the footer.

It is the SHA-256 of the file with zeros in its place.
"""

import hashlib
import mmap
from pathlib import Path

KEY, ZEROS = b"sha256", b"0" * 64
UNSEALED = {KEY: ZEROS}
MARK = KEY + b"\x18\x40"  # in the footer, the key is followed by the kind (text) and length (64) of its value
MAGIC, EMPTY = b"PAR1", 12  # a Parquet file begins and ends so, and has the footer's length before the end


def seal(path: Path) -> None:
    """Writes the checksum into a Parquet file whose metadata has room for it (``UNSEALED``)."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        place = _place(content)
        content[place : place + len(ZEROS)] = _checksum(content, place)


def is_broken(path: Path) -> bool | None:
    """Whether a file is no longer what was sealed; None if it was never sealed.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if path.stat().st_size < EMPTY:
            return True
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[: len(MAGIC)] != MAGIC or content[-len(MAGIC) :] != MAGIC:
                return True
            place = _place(content)
            return place and content[place : place + len(ZEROS)] != _checksum(content, place)


def _place(content: mmap.mmap) -> int | None:
    """Where the checksum stands."""
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    mark = content.rfind(MARK, max(0, footer))
    return None if mark < 0 else mark + len(MARK)


def _checksum(content: mmap.mmap, place: int) -> bytes:
    digest = hashlib.sha256()
    with memoryview(content) as view:
        for part in (view[:place], ZEROS, view[place + len(ZEROS) :]):
            digest.update(part)
            if isinstance(part, memoryview):
                part.release()
    return digest.hexdigest().encode()
