"""Files written whole or not at all, and Parquet files that show any damage when they are read.

A Parquet file's page checksums leave out its page headers and its footer, where a flipped bit can change a number
without an error. So each file carries a seal: the digest of all its other bytes, in front of the footer, where Parquet
readers, who find the footer from the end, do not look.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:  # a quarter of a second, which jobs without data frames need not wait for
    import pandas as pd

SEAL = b"sealed by sha256"  # the digest follows
SEAL_SIZE = len(SEAL) + hashlib.sha256().digest_size
END_SIZE = 8  # of a Parquet file: the footer's length, uint32, and the magic bytes
CHUNK = 2**20


class TornFileError(ValueError):
    """A Parquet file is truncated or damaged."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder of ``path``; an error of files in the block says what cannot be written, why, and the mend."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise OSError(error.errno, f"cannot write {path}: {reason}; free some space or mend the rights") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it once the block has ended without an error.

    The temporary name is unique, so two writers of one file cannot mix: the last one wins, whole.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    with writing(path):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            if temporary.exists():  # asked first: a read-only file system refuses to remove even what is not there
                temporary.unlink()


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table as Parquet, compressed by zstd, with page checksums and the seal."""
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        with temporary.open("r+b") as file:
            start = _footer_start(file)
            file.seek(start)
            footer = file.read()
            file.seek(start)
            file.write(SEAL + _digest(file, start, footer) + footer)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads a Parquet file written by :func:`write_table`, or one without a seal, by its page checksums alone.

    Raises:
        TornFileError: the file is truncated or its checksums disagree; the message says which file to delete.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            _check_seal(file)
            # by its path: Arrow's threads may outlive the interpreter and die when they let go of a Python file
            with pq.ParquetFile(path, page_checksum_verification=True) as table:
                return table.read(columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise TornFileError(
                f"{path} is damaged ({error}); delete it and run snakemake again to rebuild it"
            ) from error


def _check_seal(file: BinaryIO) -> None:
    """Raises pa.ArrowInvalid if the file has a seal and it is broken."""
    start = _footer_start(file)
    if start < SEAL_SIZE:
        return
    file.seek(start - SEAL_SIZE)
    seal, footer = file.read(SEAL_SIZE), file.read()
    if seal.startswith(SEAL) and seal != SEAL + _digest(file, start - SEAL_SIZE, footer):
        raise pa.ArrowInvalid("its content is not what was written")


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


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Writes a data frame, without its index, like :func:`write_table`."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def read_frame(path: Path) -> "pd.DataFrame":
    """Reads a Parquet file into a data frame, like :func:`read_table`."""
    return read_table(path).to_pandas()
