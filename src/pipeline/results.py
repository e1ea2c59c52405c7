"""The outcomes of runs, and the files that keep them: a row a run (docs/formats.md)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import pyarrow as pa

from pipeline.data.datasets import TrainingSet
from pipeline.rows import table_of
from pipeline.storage import write_table

# Of a RunResult, what a run has only if its training protocol records it.
RECORDED = {
    **dict.fromkeys(("curve_distance", "curve_fourier_coefficient", "curve_support_mass"), pa.list_(pa.float32())),
    "support_mass": pa.float64(),
    "head_support_mass": pa.list_(pa.float32()),
    "support_recovered": pa.bool_(),
    "attention_map": pa.list_(pa.float32()),
}

SCHEMA = pa.schema(
    {
        **dict.fromkeys(("function", "data", "model", "training"), pa.string()),
        **dict.fromkeys(("k", "T", "n"), pa.int32()),
        "seed": pa.int32(),
        "success": pa.bool_(),
        "success_step": pa.int32(),
        "best_holdout_accuracy": pa.float64(),
        "train_loss": pa.float64(),
        "steps": pa.int32(),
        "status": pa.string(),
        "unique": pa.bool_(),
        "redraws": pa.int32(),
        "curve_steps": pa.list_(pa.int32()),
        "curve_train_loss": pa.list_(pa.float32()),
        "curve_holdout_accuracy": pa.list_(pa.float32()),
        "support": pa.list_(pa.int32()),
        **RECORDED,
    }
)


@dataclass
class RunResult:
    """The outcome of one run.

    ``status`` is ``succeeded``, ``failed`` (the steps were used up) or ``diverged`` (the loss is not finite). The
    curves have one entry an evaluation; a step's training loss is that of its batch before its update. ``steps`` and
    ``train_loss`` are those of the last evaluation; a learner that is fitted at once has no steps, and a loss only if
    it gives probabilities. What :mod:`pipeline.engine.recording` adds if it is asked to is empty or None otherwise:
    three more curves, of which the last has None for models without attention, and when the run ends its attention.
    """

    status: str = "failed"
    success_step: int | None = None
    best_holdout_accuracy: float = 0.0
    steps: int = 0
    train_loss: float | None = None
    curve_steps: list[int] = field(default_factory=list)
    curve_train_loss: list[float] = field(default_factory=list)
    curve_holdout_accuracy: list[float] = field(default_factory=list)
    curve_distance: list[float] = field(default_factory=list)
    curve_fourier_coefficient: list[float] = field(default_factory=list)
    curve_support_mass: list[float | None] = field(default_factory=list)
    head_support_mass: list[float] | None = None
    support_recovered: bool | None = None
    attention_map: list[float] | None = None

    @property
    def success(self) -> bool:
        """Whether the run met the success rule."""
        return self.status == "succeeded"

    @property
    def support_mass(self) -> float | None:
        """The mean over the heads of the attention mass on the support."""
        return self.head_support_mass and fmean(self.head_support_mass)

    def record(self, step: int, loss: float, accuracy: float, succeeded: bool) -> None:
        """Adds an evaluation."""
        self.steps, self.train_loss = step, loss
        self.curve_steps.append(step)
        self.curve_train_loss.append(loss)
        self.curve_holdout_accuracy.append(accuracy)
        if not math.isfinite(loss):
            self.status = "diverged"
            return
        self.best_holdout_accuracy = max(self.best_holdout_accuracy, accuracy)
        if succeeded:
            self.status, self.success_step = "succeeded", step

    def record_progress(self, distance: float, fourier_coefficient: float, support_mass: float | None) -> None:
        """Adds the hidden progress at an evaluation."""
        self.curve_distance.append(distance)
        self.curve_fourier_coefficient.append(fourier_coefficient)
        self.curve_support_mass.append(support_mass)

    def record_attention(
        self, head_support_mass: list[float], support_recovered: bool, attention_map: list[float] | None
    ) -> None:
        """Sets the attention at the end: each head's mass on the support, and perhaps all weights, H · T by head."""
        self.head_support_mass, self.support_recovered = head_support_mass, support_recovered
        self.attention_map = attention_map


def write_results(
    cell: Mapping[str, str | int], sets: Sequence[TrainingSet], results: Sequence[RunResult], path: Path
) -> None:
    """Writes the results of a block of runs.

    Args:
        cell: the cell's address: names of function, data, model and training; k, T, n.
        sets: the runs' training sets.
        results: their outcomes.
        path: the file.
    """
    rows = [{**cell, **_row(*pair)} for pair in zip(sets, results, strict=True)]
    write_table(table_of(rows, SCHEMA), path)


def _row(one: TrainingSet, result: RunResult) -> dict:
    return {
        "seed": one.seed,
        "success": result.success,
        "success_step": result.success_step,
        "best_holdout_accuracy": result.best_holdout_accuracy,
        "train_loss": result.train_loss,
        "steps": result.steps,
        "status": result.status,
        "unique": one.unique,
        "redraws": one.redraws,
        "curve_steps": result.curve_steps,
        "curve_train_loss": result.curve_train_loss,
        "curve_holdout_accuracy": result.curve_holdout_accuracy,
        "support": one.support.tolist(),
        **{name: getattr(result, name) for name in RECORDED},
    }
