"""Training stacked runs: steps, periodic evaluation; runs that are done leave the stack.

Between two evaluations lies a chunk of ``eval_every`` steps, in which nothing is read back from the device. For each
chunk, dropout is seeded anew. So training that is broken off at an evaluation can go on from the state there, to the
same results, without the state of any generator.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pipeline.engine.batches import Batches, Coordinates
from pipeline.engine.cuda_graphs import CapturedStep
from pipeline.engine.dropout import Noise
from pipeline.engine.holdout import Holdout
from pipeline.engine.model import StackedModel
from pipeline.engine.norm_bound import bound_norms
from pipeline.engine.optimisers import StackedOptimiser
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol
from pipeline.engine.recording import Recorder
from pipeline.engine.schedule import learning_rates
from pipeline.randomness import Stream
from pipeline.results import RunResult

# Runs that are done leave the stack once no more than this share of it is in training. On a GPU the step has to be
# recorded anew then, which takes as long as dozens of steps.
RESTACK = {"cpu": 1.0, "cuda": 0.8}


class Training:
    """R independent runs in training.

    Args:
        model: the architecture.
        protocol: the training protocol.
        parameters: the R runs' initial parameters, overwritten; their dtype and device are those of the computation.
        batches: what the R runs are trained on.
        holdout: the holdout of the R runs.
        runs: their coordinates, which name what dropout draws.
        recorder: records what the protocol asks for beyond the learning curves; None: it asks for nothing.

    Attributes:
        step: steps made so far.
        stacked: which runs are in the stack, an index.
        rows: which rows of the stack are still in training, an index.
        results: of all R runs in order.
    """

    def __init__(
        self,
        model: StackedModel,
        protocol: Protocol,
        parameters: ParameterStack,
        batches: Batches,
        holdout: Holdout,
        runs: Sequence[Coordinates],
        recorder: Recorder | None = None,
    ) -> None:
        self.model, self.protocol, self.batches, self.holdout = model, protocol, batches, holdout
        self.recorder = recorder
        self.seeds = [_dropout_seeds(run, protocol) for run in runs]
        self.step = 0
        self.stacked = torch.arange(len(runs), device=parameters.flat.device)
        self.rows = self.stacked
        self.results = [RunResult() for _ in runs]
        self.optimiser = StackedOptimiser(parameters, protocol)
        self.rates = learning_rates(protocol).to(self.optimiser.rate)
        self._prepare()

    @property
    def active(self) -> Tensor:
        """Which runs are still in training, an index."""
        return self.stacked[self.rows]

    @torch.no_grad()
    def evaluations(self) -> Iterator[int]:
        """Trains until all runs are done, and yields the step after each evaluation."""
        while len(self.rows) and self.step < self.protocol.max_steps:
            self._evaluate(self._train_chunk())
            yield self.step

    def state(self, runs: range) -> dict[str, Any]:
        """What :meth:`restore` needs to go on from here with some of the runs: tensors, lists and numbers."""
        results = [asdict(result) for result in self.results[runs.start : runs.stop]]
        rows = ((self.stacked >= runs.start) & (self.stacked < runs.stop)).nonzero().flatten()
        of_rows = {"stacked": self.stacked[rows] - runs.start, "optimiser": self.optimiser.state(rows)}
        return of_rows | {"step": self.step, "active": torch.isin(rows, self.rows), "results": results}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes training that has just begun to the state of another with the same runs."""
        self.step = state["step"]
        self.results = [RunResult(**result) for result in state["results"]]
        self._restack(state["stacked"].to(self.stacked.device))
        self.optimiser.restore(state["optimiser"])
        self.rows = state["active"].to(self.stacked.device).nonzero().flatten()

    def _prepare(self) -> None:
        """The noise and the step of the stack."""
        device = self.stacked.device
        self.noise = Noise([0] * len(self.stacked), device)
        self.update = self._update if device.type == "cpu" else CapturedStep(self._update, self.noise)

    def _update(self, samples: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        """One step at the optimiser's present rate; the runs' losses before it, [R]."""
        optimiser, bound = self.optimiser, self.protocol.norm_bound
        losses = self.model.loss_and_gradients(
            optimiser.parameters, samples, labels, optimiser.gradients, self.noise, weights
        )
        optimiser.step()
        if bound:
            bound_norms(optimiser.parameters, self.model, bound)
        return losses

    def _train_chunk(self) -> Tensor:
        """Trains to the next evaluation; the losses of the last step, a row a run of the stack."""
        chunk = self.step // self.protocol.eval_every
        self.noise.seed([self.seeds[run][chunk] for run in self.stacked.tolist()])
        for _ in range(self.protocol.eval_every):
            self.optimiser.rate.copy_(self.rates[self.step])
            losses = self.update(*self.batches.batch(self.step))
            self.step += 1
        return losses

    def _evaluate(self, losses: Tensor) -> None:
        stops_early, last = self.protocol.success.when == "any", self.step == self.protocol.max_steps
        exhaustive = last or not stops_early or "progress" in self.protocol.record
        parameters, active, losses = self.optimiser.parameters, self.active, losses[self.rows]
        if len(active) < len(self.stacked):
            parameters = parameters.select(self.rows)
        verdict = self.holdout.judge(self.model, parameters, active, exhaustive=exhaustive)
        reached = verdict.reached if stops_early or last else torch.zeros_like(verdict.reached)
        rows = (tensor.tolist() for tensor in (active, losses, verdict.accuracy, reached))
        for run, *evaluation in zip(*rows, strict=True):
            self.results[run].record(self.step, *evaluation)
        finite = losses.isfinite()
        if self.recorder:
            ended = finite & (reached | last)
            self.recorder.record(parameters, active, verdict.correlation, ended, self.results)
        self.rows = self.rows[(~reached & finite).nonzero().flatten()]
        if len(self.rows) <= RESTACK[self.stacked.device.type] * len(self.stacked):
            self._restack(self.rows)

    def _restack(self, rows: Tensor) -> None:
        """Drops all rows of the stack but the chosen ones (an index)."""
        if len(rows) < len(self.stacked):
            self.stacked = self.stacked[rows]
            self.optimiser.keep(rows)
            self.batches.keep(rows)
            self._prepare()
        self.rows = torch.arange(len(rows), device=rows.device)


def _dropout_seeds(run: Coordinates, protocol: Protocol) -> list[int]:
    """A seed of 32 bits for each chunk."""
    chunks = protocol.max_steps // protocol.eval_every
    return (Stream("dropout", **run).uniform((chunks,)) * (2**32 - 1)).astype(int).tolist()
