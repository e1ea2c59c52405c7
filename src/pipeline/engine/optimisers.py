"""Optimisers over a stack of runs, able to drop runs: torch's fused kernels by their functional forms.

The optimiser classes would do the same, but they import torch's compiler, about two seconds of every training job. No
number that changes during training is handed over as a Python number, so a step can be captured in a CUDA graph.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol


class StackedOptimiser:
    """The optimiser of a protocol, with its state, over a stack of runs.

    Attributes:
        parameters: the stack; a step updates it in place.
        gradients: what a step updates by, to be written before it.
        moments: running means of each parameter, as many stacks as the rule has.
        rate: the learning rate, 0-dim, to be written before a step.
        steps: steps made so far, 0-dim.
    """

    def __init__(self, parameters: ParameterStack, protocol: Protocol) -> None:
        self.protocol = protocol
        self.parameters = parameters
        self.gradients = parameters.zeros()
        self._rule = RULES[protocol.optimiser]
        self.moments = [parameters.zeros() for _ in range(self._rule.moments)]
        device = parameters.flat.device
        # the CUDA kernels read a rate in float32 whatever the parameters are; the CPU's read it as a double
        precision = torch.float64 if device.type == "cpu" else torch.float32
        self.rate = torch.tensor(protocol.learning_rate, dtype=precision, device=device)
        self.steps = torch.zeros((), device=device)

    def step(self) -> None:
        """Updates the parameters by ``gradients`` at ``rate``."""
        self._rule.update(self)

    def state(self, runs: torch.Tensor) -> list[torch.Tensor]:
        """All that a step of some runs (an index) depends on but the gradients and the rate."""
        return [*(stack.select(runs).flat for stack in (self.parameters, *self.moments)), self.steps]

    def restore(self, state: list[torch.Tensor]) -> None:
        """Overwrites the state of all runs."""
        stacks = (stack.flat for stack in (self.parameters, *self.moments))
        for tensor, saved in zip((*stacks, self.steps), state, strict=True):
            tensor.copy_(saved)

    def keep(self, runs: torch.Tensor) -> None:
        """Drops all runs but the chosen ones (an index)."""
        self.parameters, *self.moments = (stack.select(runs) for stack in (self.parameters, *self.moments))
        self.gradients = self.parameters.zeros()


def _update_adaptively(update: Callable[..., None], o: StackedOptimiser) -> None:
    update(
        *([stack.whole] for stack in (o.parameters, o.gradients, *o.moments)),
        max_exp_avg_sqs=[],
        state_steps=[o.steps],
        fused=True,
        amsgrad=False,
        maximize=False,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        lr=o.rate,
        weight_decay=o.protocol.weight_decay,
    )


def _adam(o: StackedOptimiser) -> None:
    _update_adaptively(adam, o)


def _adamw(o: StackedOptimiser) -> None:
    _update_adaptively(adamw, o)


def _sgd(o: StackedOptimiser) -> None:
    # A momentum buffer that starts at zero is what torch.optim.SGD's lazily made one is after its first step.
    sgd(
        *([stack.whole] for stack in (o.parameters, o.gradients, *o.moments)),
        fused=True,
        maximize=False,
        nesterov=False,
        dampening=0.0,
        momentum=o.protocol.momentum,
        lr=o.rate,
        weight_decay=o.protocol.weight_decay,
    )


class Rule(NamedTuple):
    """An optimiser: how many moments it has of each parameter, and its update."""

    moments: int
    update: Callable[[StackedOptimiser], None]


RULES = {"adam": Rule(2, _adam), "adamw": Rule(2, _adamw), "sgd": Rule(1, _sgd)}
