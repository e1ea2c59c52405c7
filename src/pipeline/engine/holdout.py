"""Holdout evaluation of stacked runs."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.engine.model import StackedModel
from pipeline.engine.parameters import ParameterStack

# Samples judged at once: few at first, since an evaluation may stop behind each block, then more, since what depends on
# the parameters alone is computed again for each block. On a GPU, where starting operations costs more, soon as many as
# its memory has room for: samples of all runs together.
FIRST_BLOCK, LARGEST_BLOCK = {"cpu": 250, "cuda": 500}, {"cpu": 1000, "cuda": 4000}
GPU_SAMPLES = 1_000_000


class Verdict(NamedTuple):
    """The verdict on R runs.

    Attributes:
        accuracy: share of the samples seen that a run gets right, float64 [R].
        reached: whether the accuracy is the one that success takes, bool [R].
        correlation: mean over the samples seen of (2y - 1) · tanh(logit / 2), the product of the label's sign and its
            predicted mean, float64 [R].
    """

    accuracy: Tensor
    reached: Tensor
    correlation: Tensor


class Holdout:
    """The holdout of a cell: inputs shared by its runs, labels of each run's support.

    Args:
        inputs: packed, uint8 [N, ⌈T/8⌉].
        labels: bool [R, N].
        accuracy: the share of the N samples that a run must get right.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, accuracy: float) -> None:
        self.inputs, self.labels = inputs, labels
        self.size = len(inputs)
        # the slack keeps a product such as 0.55 · 200 from being rounded up past its value
        self.allowed_errors = self.size - math.ceil(accuracy * self.size - 1e-9)

    def judge(self, model: StackedModel, parameters: ParameterStack, runs: Tensor, *, exhaustive: bool) -> Verdict:
        """Judges each run of a stack.

        The holdout is gone through block by block. Unless ``exhaustive``, a run that has already made more errors
        than the success rule allows is judged no further: the verdict is exact, and its means are those over the
        samples seen until then.

        Args:
            model: the architecture.
            parameters: the stack of R' runs.
            runs: which row of ``labels`` each of them has, [R'].
            exhaustive: judge every run on all N samples.
        """
        errors, seen = torch.zeros_like(runs), torch.zeros_like(runs)
        agreement = torch.zeros_like(runs, dtype=torch.float64)
        pending = torch.arange(len(runs), device=runs.device)
        stop = 0
        while stop < self.size:
            start, stop = stop, min(stop + block_size(self.inputs.device.type, stop, len(pending)), self.size)
            encoded = model.encode(self.inputs[None, start:stop], parameters.flat.dtype)
            logits, labels = model.logits(parameters, encoded), self.labels[runs[pending], start:stop]
            errors[pending] += (~torch.where(labels, logits > 0, logits <= 0)).sum(1)  # NaN is right for no label
            agreement[pending] += torch.where(labels, logits, -logits).double().div(2).tanh().sum(1)
            seen[pending] = stop
            in_reach = errors[pending] <= self.allowed_errors
            if exhaustive or in_reach.all():
                continue
            if not in_reach.any():
                break
            rows = in_reach.nonzero().flatten()
            pending, parameters = pending[rows], parameters.select(rows)
        return Verdict(1 - errors.double() / seen, errors <= self.allowed_errors, agreement / seen)


def block_size(device: str, seen: int, runs: int) -> int:
    """How many samples a block has.

    Args:
        device: its type.
        seen: how many samples were judged before.
        runs: how many runs are still to be judged.
    """
    if not seen:
        return FIRST_BLOCK[device]
    return min(seen if device == "cpu" else max(1, GPU_SAMPLES // runs), LARGEST_BLOCK[device])
