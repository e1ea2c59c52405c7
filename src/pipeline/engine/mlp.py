"""A stack of multilayer perceptrons, gradients by autograd: pipeline.reference.ReferenceMlp for R runs at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine import initialisation
from pipeline.engine.autograd import AutogradModel, Parameters, linear
from pipeline.engine.dropout import Noise, dropped
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream


@dataclass(frozen=True)
class Mlp(AutogradModel):
    """The architecture; parameters are passed in.

    The mask of hidden layer l = 1, 2, … is named ``hidden{l}`` and has shape [n, width of l].

    Args:
        context_length: T, the number of input bits.
        widths: of the hidden layers; none makes it a logistic regression.
        activation: of the hidden layers, by its name in torch.nn.functional.
        dropout: rate of the hidden units after the activation.
    """

    context_length: int
    widths: tuple[int, ...]
    activation: Literal["gelu", "relu"] = "relu"
    dropout: float = 0.0

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run, under the names of the reference's state dict."""
        names = [*(f"hidden.{layer}" for layer in range(len(self.widths))), "readout"]
        sizes = pairwise((self.context_length, *self.widths, 1))
        shapes = {}
        for name, (fan_in, fan_out) in zip(names, sizes, strict=True):
            shapes |= {f"{name}.weight": (fan_out, fan_in), f"{name}.bias": (fan_out,)}
        return shapes

    @property
    def floats_per_sample(self) -> int:
        """How many floats a training step holds for a sample of a run: what autograd saves and the largest gradient."""
        return self.context_length + (4 if self.dropout else 3) * sum(self.widths)

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream: U(±fan_in^-½), weights and biases, as torch.nn.Linear; float32."""
        shapes = self.shapes

        def bound(name: str) -> float:
            return 1 / math.sqrt(shapes[name.replace("bias", "weight")][1])

        return initialisation.uniform(shapes, bound, streams)

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """The bits as ±1, [R or 1, n, T]: both values drive the weights alike, and every sample has the same norm."""
        return 2 * unpack(packed, self.context_length).to(dtype) - 1

    def forward(self, p: Parameters, samples: Tensor, noise: Noise | None) -> Tensor:
        """Logits [R, n]; without noise no dropout."""
        x = samples
        for layer in range(len(self.widths)):
            x = getattr(F, self.activation)(linear(x, p[f"hidden.{layer}.weight"], p[f"hidden.{layer}.bias"]))
            x = dropped(x, f"hidden{layer + 1}", self.dropout, noise)
        return linear(x, p["readout.weight"], p["readout.bias"]).squeeze(-1)
