"""What runs record beside losses and accuracies, if their protocol asks for it: hidden progress and attention.

Hidden progress, at every evaluation (Barak et al. 2022, "Hidden Progress in Deep Learning"):

- the distance from initialisation, ‖θ - θ₀‖₂ / ‖θ₀‖₂ over all parameters of the run, of which the engine leaves out
  the key bias;
- the mean over the holdout of (2y - 1) · tanh(logit / 2), where tanh(logit / 2) = 2σ(logit) - 1 is the output as a
  number between -1 and 1. For parity of uniform bits it is the output's Fourier coefficient at the support;
- the mass of [CLS]'s attention on the support, the mean over the heads.

Attention, when a run ends: that mass, head by head, and whether the largest weights are those of the support.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.engine.batches import Coordinates
from pipeline.engine.holdout import Holdout
from pipeline.engine.model import AttentionModel, StackedModel
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol
from pipeline.results import RunResult

MAPPED_SEED = 0  # whose run of each cell keeps its attention position by position; all maps would fill the disk


class Recorder:
    """Records what a protocol asks for, of R runs in training.

    Args:
        protocol: its ``record`` says what.
        model: the architecture.
        initial: the initial parameters; they are copied.
        holdout: its inputs are those that attention is a mean over.
        supports: the runs' supports, int64 [R, k].
        runs: their coordinates, of which the seed counts.
    """

    def __init__(
        self,
        protocol: Protocol,
        model: StackedModel,
        initial: ParameterStack,
        holdout: Holdout,
        supports: Tensor,
        runs: Sequence[Coordinates],
    ) -> None:
        self.progress, self.attention = (what in protocol.record for what in ("progress", "attention"))
        self.model, self.inputs, self.supports = model, holdout.inputs, supports
        self.initial = initial.like(initial.flat.clone()) if self.progress else None
        self.mapped = [run["seed"] == MAPPED_SEED for run in runs]

    def record(
        self, parameters: ParameterStack, runs: Tensor, correlation: Tensor, ended: Tensor, results: Sequence[RunResult]
    ) -> None:
        """Adds to the results after an evaluation.

        Args:
            parameters: of the R' runs that were evaluated.
            runs: which runs they are, [R'].
            correlation: the holdout's verdict on them, [R'].
            ended: which of them have just ended without divergence, bool [R'].
            results: of all R runs.
        """
        if self.progress:
            attention = self._attend(parameters)
            self._record_progress(parameters, runs, correlation, attention, results)
            if self.attention:
                self._record_attention(attention[ended], runs[ended], results)
        elif self.attention and ended.any():
            rows = ended.nonzero().flatten()
            self._record_attention(self._attend(parameters.select(rows)), runs[rows], results)

    def _attend(self, parameters: ParameterStack) -> Tensor | None:
        """Mean attention weights, [R', H, T]; None if the model has none."""
        return self.model.attention(parameters, self.inputs) if isinstance(self.model, AttentionModel) else None

    def _record_progress(
        self,
        parameters: ParameterStack,
        runs: Tensor,
        correlation: Tensor,
        attention: Tensor | None,
        results: Sequence[RunResult],
    ) -> None:
        initial = self.initial.select(runs)
        distance = initial.like(parameters.flat - initial.flat).norms() / initial.norms()
        masses = [None] * len(runs) if attention is None else self._head_masses(attention, runs).mean(1).tolist()
        for run, *values in zip(runs.tolist(), distance.tolist(), correlation.tolist(), masses, strict=True):
            results[run].record_progress(*values)

    def _record_attention(self, attention: Tensor, runs: Tensor, results: Sequence[RunResult]) -> None:
        """Leaves out runs whose weights are not finite."""
        finite = attention.isfinite().all(2).all(1)
        attention, runs = attention[finite], runs[finite]
        masses, recovered = self._head_masses(attention, runs), _recovered(attention.mean(1), self.supports[runs])
        for run, weights, *values in zip(runs.tolist(), attention, masses.tolist(), recovered.tolist(), strict=True):
            results[run].record_attention(*values, weights.flatten().tolist() if self.mapped[run] else None)

    def _head_masses(self, attention: Tensor, runs: Tensor) -> Tensor:
        """The mass of each head on the support, [R', H]."""
        supports = self.supports[runs].unsqueeze(1).expand(-1, attention.shape[1], -1)
        return attention.gather(2, supports).sum(2)


def _recovered(weights: Tensor, supports: Tensor) -> Tensor:
    """Whether each position of the support has a larger weight than any other, bool [R]; weights [R, T]."""
    outside = weights.scatter(1, supports, -torch.inf).amax(1)
    return weights.gather(1, supports).amin(1) > outside
