"""Files written whole or not at all, and Parquet files that show any damage when they are read."""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import seals

if TYPE_CHECKING:  # a quarter of a second, which jobs without data frames need not wait for
    import pandas as pd


Row = TypeVar("Row")


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
    write_row_groups([table], path)


def write_row_groups(groups: Iterable[pa.Table], path: Path) -> None:
    """Writes tables of one schema, at least one, like :func:`write_table`: a row group each, one by one."""
    groups = iter(groups)
    first = next(groups)
    with whole_file(path) as temporary:
        with pq.ParquetWriter(temporary, first.schema, compression="zstd", write_page_checksum=True) as file:
            for group in chain([first], groups):
                file.write_table(group)
        seals.seal(temporary)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads a Parquet file written by :func:`write_table`, or one without a seal, by its page checksums alone.

    Raises:
        TornFileError: the file is truncated or its checksums disagree; the message says which file to delete.
        OSError: the file cannot be opened.
    """
    with _opened(path) as table, _reading(path):
        return table.read(columns=columns)


class StoredRows(Sequence[Row], Generic[Row]):
    """The rows of a Parquet file, read when they are asked for; memory holds the last row group that was.

    Args:
        path: the file, as for :func:`read_table`, with the same errors.
        decode: makes a row of what it gets, a table of one row.
    """

    def __init__(self, path: Path, decode: Callable[[pa.Table], Row]) -> None:
        self._path, self._decode, self._file = path, decode, _opened(path)
        groups = map(self._file.metadata.row_group, range(self._file.num_row_groups))
        self._starts = list(accumulate((group.num_rows for group in groups), initial=0))
        self._number, self._group = None, None

    def __len__(self) -> int:
        """Number of rows."""
        return self._starts[-1]

    def __getitem__(self, place: int) -> Row:
        """The row at a place, from 0."""
        place = range(len(self))[place]
        number = bisect_right(self._starts, place) - 1
        if number != self._number:
            self._group = None  # before the next one is read
            with _reading(self._path):
                self._group = self._file.read_row_group(number, use_threads=False)
            self._number = number
        return self._decode(self._group.slice(place - self._starts[number], 1))


def _opened(path: Path) -> pq.ParquetFile:
    """A Parquet file whose seal, if it has one, is whole."""
    with path.open("rb") as file, _reading(path):
        if seals.is_broken(file):
            raise pa.ArrowInvalid("its content is not what was written")
        # by its path: Arrow's threads may outlive the interpreter and die when they let go of a Python file
        return pq.ParquetFile(path, page_checksum_verification=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Says of an error in the block that the file is damaged."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise TornFileError(f"{path} is damaged ({error}); delete it and run snakemake again to rebuild it") from error


def write_frame(frame: "pd.DataFrame", path: Path) -> None:
    """Writes a data frame, without its index, like :func:`write_table`."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def read_frame(path: Path) -> "pd.DataFrame":
    """Reads a Parquet file into a data frame, like :func:`read_table`."""
    return read_table(path).to_pandas()
