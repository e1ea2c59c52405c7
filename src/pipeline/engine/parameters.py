"""The parameters of R independent runs, stacked."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

# Torch's optimisers go over a buffer by vectors and round what is left at its end otherwise, so nothing may be left.
VECTOR = 64  # numbers; at least as many as the widest vector holds


class ParameterStack:
    """Named parameters of R runs, each a contiguous view [R, *shape] of one flat buffer.

    One buffer, so that the optimiser makes one pass over it whatever the number of parameters; parameter-major, so
    that every view is contiguous and can be the output of a batched product.

    Attributes:
        flat: the buffer.
        whole: the buffer with what follows it in memory, up to whole vectors, if this class made it.
    """

    def __init__(self, shapes: Shapes, flat: Tensor, whole: Tensor | None = None) -> None:
        self.shapes, self.flat, self.whole = shapes, flat, flat if whole is None else whole
        self.size = sum(torch.Size(shape).numel() for shape in shapes.values())
        self.runs = flat.numel() // self.size
        self._views = {}
        start = 0
        for name, shape in shapes.items():
            stop = start + self.runs * torch.Size(shape).numel()
            self._views[name] = flat[start:stop].view(self.runs, *shape)
            start = stop

    def __getitem__(self, name: str) -> Tensor:
        """The parameter ``name`` of all runs, [R, *shape], sharing the buffer."""
        return self._views[name]

    def like(self, flat: Tensor) -> "ParameterStack":
        """The same names and shapes over another buffer of the same layout (a gradient, a moment)."""
        return ParameterStack(self.shapes, flat)

    def zeros(self) -> "ParameterStack":
        """The same names and shapes over a buffer of zeros."""
        return self._over(torch.zeros_like(self.whole))

    def to(self, device: torch.device) -> "ParameterStack":
        """The same on a device."""
        return self._over(self.whole.to(device))

    def _over(self, whole: Tensor) -> "ParameterStack":
        return ParameterStack(self.shapes, whole[: len(self.flat)], whole)

    def select(self, runs: Tensor) -> "ParameterStack":
        """The chosen runs (an index [R']) in a buffer of their own."""
        return self._filled(self.shapes, [view[runs] for view in self._views.values()])

    def norms(self) -> Tensor:
        """The 2-norm of all parameters of each run together, float64 [R]."""
        squares = (view.square().flatten(1).sum(1, dtype=torch.float64) for view in self._views.values())
        return sum(squares).sqrt()

    @classmethod
    def stack(cls, shapes: Shapes, runs: Sequence[Mapping[str, Tensor]]) -> "ParameterStack":
        """Stacks the runs' own parameters, each a mapping from every name to a tensor of that name's shape."""
        return cls._filled(shapes, [torch.stack([run[name] for run in runs]) for name in shapes])

    @classmethod
    def _filled(cls, shapes: Shapes, views: Sequence[Tensor]) -> "ParameterStack":
        """A stack of these parameters, its buffer filled up to whole vectors."""
        size = sum(view.numel() for view in views)
        whole = views[0].new_zeros(size + -size % VECTOR)
        flat = torch.cat([view.detach().flatten() for view in views], out=whole[:size])
        return cls(shapes, flat, whole)
