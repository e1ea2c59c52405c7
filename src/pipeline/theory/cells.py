"""The cells that a job trains, from the files of their data."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet, read_holdout, read_training_sets

Cell = tuple[Address, list[TrainingSet], PackedBits]


def read_cells(function: str, k: int, datasets: Sequence[Path], holdouts: Sequence[Path]) -> list[Cell]:
    """Address, training sets and holdout inputs of each cell, from a file of training sets and a holdout each."""
    cells = []
    for dataset, holdout in zip(datasets, holdouts, strict=True):
        sets, inputs = list(read_training_sets(dataset)), read_holdout(holdout)
        cells.append((Address(function, k, inputs.length, len(sets[0].inputs)), sets, inputs))
    return cells
