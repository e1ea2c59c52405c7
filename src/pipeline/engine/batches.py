"""What a stack of runs is trained on at each step: all samples, minibatches of them, or fresh ones.

What is drawn comes from streams named after the run, so it does not depend on how runs are packed. A batch depends on
its step alone: after an interruption, batches go on at any step with nothing but their arguments.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pipeline.data.bits import PackedBits
from pipeline.data.datasets import TrainingSet
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.engine import protocol as training
from pipeline.engine.model import StackedModel
from pipeline.randomness import Stream

Coordinates = Mapping[str, str | int]  # what a run is addressed by: function, k, T, n, seed


class Batch(NamedTuple):
    """Encoded samples [R, b, …] and labels [R, b] of 0 and 1.

    Runs with fewer than b samples have their first one again in the places that are left. Weights [R, b] then say how
    much each counts in the mean of its run; None: all runs have b, and all count alike.
    """

    samples: Tensor
    labels: Tensor
    weights: Tensor | None = None


class Batches(Protocol):
    """A source of batches for a stack of runs."""

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""

    def keep(self, runs: Tensor) -> None:
        """Drops all runs but the chosen ones (an index)."""


class FullBatch:
    """All samples at every step."""

    def __init__(self, whole: Batch) -> None:
        self.whole = whole

    def batch(self, step: int) -> Batch:  # noqa: D102
        return self.whole

    def keep(self, runs: Tensor) -> None:  # noqa: D102
        samples, labels, weights = self.whole
        if weights is None:
            self.whole = Batch(samples[runs], labels[runs])
        else:  # the places that only others needed go with them
            places = (weights[runs] > 0).any(0)
            self.whole = Batch(*(tensor[runs][:, places] for tensor in self.whole))


class Minibatches:
    """Batches of ``size`` samples, in a new order each epoch; the samples left over at its end are dropped.

    Args:
        full: all samples.
        size: samples of a batch, at most n.
        runs: the runs' coordinates.
    """

    def __init__(self, full: FullBatch, size: int, runs: Sequence[Coordinates]) -> None:
        self.full, self.size = full, size
        self.streams = [Stream("minibatches", **run) for run in runs]
        self.epochs = 0  # drawn so far; `order` is that of the last

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0. Steps may be left out; an epoch that is over does not come back."""
        samples, labels, _ = self.full.whole
        epoch, position = divmod(step, labels.shape[1] // self.size)
        while self.epochs <= epoch:
            self.order, self.epochs = self._draw_order(labels), self.epochs + 1
        chosen = self.order[:, position * self.size : (position + 1) * self.size]
        rows = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        return Batch(samples[rows, chosen], labels[rows, chosen])

    def _draw_order(self, labels: Tensor) -> Tensor:
        """A permutation of each run's samples, [R, n]."""
        keys = np.stack([stream.uniform(labels.shape[1:]) for stream in self.streams])
        return _to_device(np.argsort(keys, kind="stable"), labels.device)

    def keep(self, runs: Tensor) -> None:  # noqa: D102
        self.full.keep(runs)
        self.streams = [self.streams[run] for run in runs.tolist()]
        if self.epochs:
            self.order = self.order[runs]


class FreshSamples:
    """n new samples at every step: of a run's training set only the support and the truth table count.

    Args:
        model: the architecture.
        sets: the runs' training sets.
        runs: their coordinates.
        dtype: of the computation.
        device: of the computation.
    """

    def __init__(
        self,
        model: StackedModel,
        sets: Sequence[TrainingSet],
        runs: Sequence[Coordinates],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.model, self.sets, self.runs = model, list(sets), list(runs)
        self.dtype, self.device = dtype, device

    def batch(self, step: int) -> Batch:  # noqa: D102
        inputs = [_draw_inputs(run, step) for run in self.runs]
        labels = [evaluate(one.truth_table, x, one.support) for one, x in zip(self.sets, inputs, strict=True)]
        return _encode(self.model, map(PackedBits.pack, inputs), labels, self.dtype, self.device)

    def keep(self, runs: Tensor) -> None:  # noqa: D102
        self.sets, self.runs = ([of_runs[run] for run in runs.tolist()] for of_runs in (self.sets, self.runs))


def _draw_inputs(run: Coordinates, step: int) -> np.ndarray:
    probability = FUNCTIONS[run["function"]].bit_probability(run["k"])
    return Stream("fresh-inputs", **run, step=step).bernoulli(probability, (run["n"], run["T"]))


def _full_batch(model: StackedModel, sets: Sequence[TrainingSet], dtype: torch.dtype, device: torch.device) -> Batch:
    """All samples of runs that may have different numbers of them."""
    sizes = np.array([[len(one.labels)] for one in sets])
    places = np.arange(sizes.max())
    used = places < sizes
    rows = np.where(used, places, 0)
    inputs = [PackedBits(one.inputs.data[row], one.inputs.length) for one, row in zip(sets, rows, strict=True)]
    batch = _encode(model, inputs, [one.labels[row] for one, row in zip(sets, rows, strict=True)], dtype, device)
    return batch if used.all() else batch._replace(weights=_to_device(used / sizes, device).to(dtype))


def _encode(
    model: StackedModel,
    inputs: Iterable[PackedBits],
    labels: Sequence[np.ndarray],
    dtype: torch.dtype,
    device: torch.device,
) -> Batch:
    """A batch from each run's b inputs and labels, bool [b]."""
    packed, labels = (_to_device(np.stack(arrays), device) for arrays in ([one.data for one in inputs], labels))
    return Batch(model.encode(packed, dtype), labels.to(dtype))


def _to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A copy to a GPU starts from pinned memory, so that nobody waits for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def choose_batches(
    protocol: training.Protocol,
    model: StackedModel,
    sets: Sequence[TrainingSet],
    runs: Sequence[Coordinates],
    dtype: torch.dtype,
    device: torch.device,
) -> Batches:
    """The batches that a protocol asks for, from the training sets of runs and their coordinates.

    With full batches the runs may have different n.
    """
    if protocol.samples == "fresh":
        return FreshSamples(model, sets, runs, dtype, device)
    full = FullBatch(_full_batch(model, sets, dtype, device))
    return full if protocol.batch_size is None else Minibatches(full, protocol.batch_size, runs)
