"""Initial parameters of stacked models, one run a stream; float32, in the order of the shapes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream


def normal(shapes: Shapes, std: float, streams: Sequence[Stream]) -> ParameterStack:
    """Weights and embeddings N(0, std²); ``…_gain`` 1 and ``…_bias`` 0."""

    def draw(stream: Stream, name: str, shape: tuple[int, ...]) -> Tensor:
        if name.endswith("_gain"):
            return torch.ones(shape)
        if name.endswith("_bias"):
            return torch.zeros(shape)
        return torch.from_numpy(stream.normal(shape) * std).float()

    return _stack(shapes, draw, streams)


def uniform(shapes: Shapes, bound: Callable[[str], float], streams: Sequence[Stream]) -> ParameterStack:
    """Every parameter uniform in ± its bound, as torch.nn does for its linear and recurrent layers."""

    def draw(stream: Stream, name: str, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy((2 * stream.uniform(shape) - 1) * bound(name)).float()

    return _stack(shapes, draw, streams)


def _stack(
    shapes: Shapes, draw: Callable[[Stream, str, tuple[int, ...]], Tensor], streams: Sequence[Stream]
) -> ParameterStack:
    runs = [{name: draw(stream, name, shape) for name, shape in shapes.items()} for stream in streams]
    return ParameterStack.stack(shapes, runs)
