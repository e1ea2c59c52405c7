"""Training sets and holdouts of a cell, as Parquet files; :mod:`pipeline.data.sampling` draws them.

Inputs are stored eight bits to a byte (:mod:`pipeline.data.bits`, each sample padded to whole bytes). A block file has
one row a seed; a holdout file one row a sample.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.data.bits import PackedBits
from pipeline.rows import table_of
from pipeline.storage import StoredRows, read_table, write_row_groups, write_table


class Address(NamedTuple):
    """What a training set is addressed by, beside its seed."""

    function: str
    k: int
    T: int
    n: int

    def __str__(self) -> str:
        """The cell in a message, such as ``and, k = 3, T = 100, n = 50``."""
        return f"{self.function}, k = {self.k}, T = {self.T}, n = {self.n}"


@dataclass(frozen=True)
class TrainingSet:
    """One run's data.

    Attributes:
        seed: the run's seed.
        support: the k relevant positions, ascending.
        truth_table: bool [2**k], see :mod:`pipeline.data.functions`.
        inputs: n rows of T bits.
        labels: bool [n].
        holdout_labels: bool [N], the labels of the cell's holdout inputs under this support.
        redraws: how many samples were rejected because they fit more than one support.
        unique: whether the support is the only one that fits; None if that was not asked for.
    """

    seed: int
    support: np.ndarray
    truth_table: np.ndarray
    inputs: PackedBits
    labels: np.ndarray
    holdout_labels: np.ndarray
    redraws: int
    unique: bool | None


def write_holdout(inputs: PackedBits, path: Path) -> None:
    """Writes the N holdout inputs: column ``inputs``, ⌈T/8⌉ bytes a sample."""
    kind = pa.binary(inputs.data.shape[1])
    column = pa.Array.from_buffers(kind, len(inputs), [None, pa.py_buffer(inputs.data)])
    schema = pa.schema({"inputs": kind}, {"T": str(inputs.length)})
    write_table(pa.Table.from_arrays([column], schema=schema), path)


def read_holdout(path: Path) -> PackedBits:
    """Reads holdout inputs, N rows of T bits."""
    table = read_table(path)
    return _packed(b"".join(table["inputs"].to_pylist()), len(table), int(table.schema.metadata[b"T"]))


SCHEMA = pa.schema(
    {
        "seed": pa.int32(),
        "support": pa.list_(pa.int32()),
        "truth_table": pa.list_(pa.bool_()),
        "inputs": pa.binary(),
        "labels": pa.binary(),
        "holdout_labels": pa.binary(),
        "redraws": pa.int32(),
        "unique": pa.bool_(),
    }
)


GROUP_BYTES = 2**25  # of inputs, from which on a row group is full: what a reader holds beside the sets it works on


def write_training_sets(sets: Iterable[TrainingSet], path: Path) -> None:
    """Writes training sets of one cell, a row a seed; the three bit arrays are packed along their last axis.

    They are taken one by one, and only those of a row group are held.
    """
    write_row_groups(map(_table, _groups(sets)), path)


def _groups(sets: Iterable[TrainingSet]) -> Iterator[list[TrainingSet]]:
    """The sets of each row group."""
    group = []
    for one in sets:
        group.append(one)
        if len(group) * one.inputs.data.nbytes >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _table(sets: Sequence[TrainingSet]) -> pa.Table:
    labels = ("labels", "holdout_labels")
    rows = [
        vars(one)
        | {"inputs": memoryview(one.inputs.data).cast("B")}
        | {name: _pack(getattr(one, name)) for name in labels}
        for one in sets
    ]
    first = sets[0]
    sizes = {"n": len(first.inputs), "T": first.inputs.length, "holdout_size": len(first.holdout_labels)}
    return table_of(rows, SCHEMA.with_metadata({name: str(size) for name, size in sizes.items()}))


def read_training_sets(path: Path) -> Sequence[TrainingSet]:
    """The training sets of a block, each read from the file when it is asked for."""
    return StoredRows(path, _training_set)


def _training_set(table: pa.Table) -> TrainingSet:
    n, T, holdout_size = (int(table.schema.metadata[key]) for key in (b"n", b"T", b"holdout_size"))
    [row], [inputs] = table.drop_columns("inputs").to_pylist(), table["inputs"]
    return TrainingSet(
        seed=row["seed"],
        support=np.array(row["support"]),
        truth_table=np.array(row["truth_table"]),
        inputs=_packed(inputs.as_buffer(), n, T),
        labels=_packed(row["labels"], 1, n).unpack()[0],
        holdout_labels=_packed(row["holdout_labels"], 1, holdout_size).unpack()[0],
        redraws=row["redraws"],
        unique=row["unique"],
    )


def _pack(labels: np.ndarray) -> bytes:
    return PackedBits.pack(labels[None]).data.tobytes()


def _packed(data: bytes | pa.Buffer, rows: int, length: int) -> PackedBits:
    return PackedBits(np.frombuffer(data, np.uint8).reshape(rows, -1), length)
