"""A training step as a CUDA graph."""

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.engine.dropout import Noise

WARM_UP = 1  # calls before the step is recorded: kernels are loaded and generators made when they are first needed


class CapturedStep:
    """A step that is recorded once and then replayed, without Python and without separate launches in between.

    The first calls are made eagerly, on a stream of their own; they are steps like all others.

    Args:
        step: the step, from its inputs to its result; all else that it reads and writes stays in place between calls.
        noise: what it draws from. It may be seeded anew between calls.
    """

    def __init__(self, step: Callable[..., Tensor], noise: Noise) -> None:
        self.step, self.noise, self.calls = step, noise, 0
        self.stream, self.graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """The step's result, which the next call overwrites."""
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._eagerly(*inputs)
        if self.calls == WARM_UP + 1:
            self._record(*inputs)
        for recorded, given in zip(self.inputs, inputs, strict=True):
            if given is not recorded:
                recorded.copy_(given)
        self.graph.replay()
        return self.result

    def _record(self, *inputs: Tensor | None) -> None:
        for generator in self.noise.generators:
            self.graph.register_generator_state(generator)
        self.inputs = inputs  # the graph reads these tensors for good
        with torch.cuda.graph(self.graph):
            self.result = self.step(*inputs)

    def _eagerly(self, *inputs: Tensor | None) -> Tensor:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = self.step(*inputs)
        torch.cuda.current_stream().wait_stream(self.stream)
        return result
