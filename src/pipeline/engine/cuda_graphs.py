"""A training step as a CUDA graph. Written to PyTorch's documentation; it has not been run on a GPU yet."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

WARM_UP = 3  # calls before the step is recorded, as torch.cuda.CUDAGraph asks for


class CapturedStep:
    """A step that is recorded once and then replayed, without Python and without separate launches in between.

    The first calls are made eagerly, on a stream of their own; they are steps like all others.

    Args:
        step: the step, from its inputs to its result; all else that it reads and writes stays in place between calls.
        generators: what it draws from. They may be seeded anew between calls.
    """

    def __init__(self, step: Callable[..., Tensor], generators: Iterable[torch.Generator]) -> None:
        self.step, self.calls = step, 0
        self.stream, self.graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        for generator in generators:
            self.graph.register_generator_state(generator)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The step's result, which the next call overwrites."""
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._eagerly(*inputs)
        if self.calls == WARM_UP + 1:
            self.inputs = inputs  # the graph reads these tensors for good
            with torch.cuda.graph(self.graph):
                self.result = self.step(*inputs)
        for recorded, given in zip(self.inputs, inputs, strict=True):
            if given is not recorded:
                recorded.copy_(given)
        self.graph.replay()
        return self.result

    def _eagerly(self, *inputs: Tensor) -> Tensor:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = self.step(*inputs)
        torch.cuda.current_stream().wait_stream(self.stream)
        return result
