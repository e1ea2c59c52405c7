"""Parquet files, written whole or not at all, and read with their checksum verified."""

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
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it once the block has ended without an error.

    The temporary name is unique, so two writers of one file cannot mix: the last one wins, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot write {path}: {error.strerror}; free some space or mend the rights"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table as Parquet, compressed by zstd, with checksums of its pages and of the whole file."""
    table = table.replace_schema_metadata((table.schema.metadata or {}) | seals.UNSEALED)
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        seals.seal(temporary)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads a Parquet file written by :func:`write_table`.

    Raises:
        TornFileError: the file is truncated or a checksum disagrees; the message has the mend.
    """
    try:
        if seals.is_broken(path):
            raise pa.ArrowInvalid("its checksum is wrong")
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=columns)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the file system: the file may be whole
            raise
        raise TornFileError(f"{path} is damaged ({error}); delete it and run snakemake again to rebuild it") from error


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Writes a data frame, without its index, like :func:`write_table`."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def read_frame(path: Path) -> "pd.DataFrame":
    """Reads a Parquet file into a data frame, like :func:`read_table`."""
    return read_table(path).to_pandas()
