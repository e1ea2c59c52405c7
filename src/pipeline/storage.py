"""Files written whole or not at all, and Parquet files that show any damage when they are read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import seals

if TYPE_CHECKING:  # a quarter of a second, which jobs without data frames need not wait for
    import pandas as pd


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
        seals.seal(temporary)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads a Parquet file written by :func:`write_table`, or one without a seal, by its page checksums alone.

    Raises:
        TornFileError: the file is truncated or its checksums disagree; the message says which file to delete.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            if seals.is_broken(file):
                raise pa.ArrowInvalid("its content is not what was written")
            # by its path: Arrow's threads may outlive the interpreter and die when they let go of a Python file
            with pq.ParquetFile(path, page_checksum_verification=True) as table:
                return table.read(columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise TornFileError(
                f"{path} is damaged ({error}); delete it and run snakemake again to rebuild it"
            ) from error


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Writes a data frame, without its index, like :func:`write_table`."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def read_frame(path: Path) -> "pd.DataFrame":
    """Reads a Parquet file into a data frame, like :func:`read_table`."""
    return read_table(path).to_pandas()
