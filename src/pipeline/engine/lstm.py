"""A stack of LSTMs, gradients by autograd: pipeline.reference.ReferenceLstm for R runs at once.

A Python loop goes over the positions, and in it over the layers. A position's input is projected when its turn comes:
one product for all positions takes as long in a stack, and would hold 4 more floats per unit, sample and position.

A training step holds the four gates, the cell, its tanh and the output at every position: 7 · n · T · width · layers
floats a run. At T = 1100, n = 200 and width 64 that is 394 MB a run in float32. Evaluation holds one position's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.engine import initialisation
from pipeline.engine.autograd import AutogradModel, Parameters, linear
from pipeline.engine.dropout import Noise
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream


@dataclass(frozen=True)
class Lstm(AutogradModel):
    """The architecture, without dropout; parameters are passed in.

    Args:
        context_length: T, the number of input bits.
        width: size of the hidden state and the cell.
        layers: number of layers, at least 1.
    """

    context_length: int
    width: int
    layers: int = 1

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run, under the names of the reference's state dict; gates i, f, g, o."""
        shapes, gates = {}, 4 * self.width
        for layer in range(self.layers):
            shapes |= {
                f"lstm.weight_ih_l{layer}": (gates, self.width if layer else 1),
                f"lstm.weight_hh_l{layer}": (gates, self.width),
                f"lstm.bias_ih_l{layer}": (gates,),
                f"lstm.bias_hh_l{layer}": (gates,),
            }
        return shapes | {"readout.weight": (1, self.width), "readout.bias": (1,)}

    @property
    def floats_per_sample(self) -> int:
        """How many floats a training step holds for a sample of a run: what autograd saves."""
        return self.context_length * (7 * self.width * self.layers + 1)

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream: all U(±width^-½), as torch.nn.LSTM and torch.nn.Linear; float32."""
        return initialisation.uniform(self.shapes, lambda name: 1 / math.sqrt(self.width), streams)

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """The bits as ±1, [R or 1, n, T]: one number a position, and both values drive the weights alike."""
        return 2 * unpack(packed, self.context_length).to(dtype) - 1

    def forward(self, p: Parameters, samples: Tensor, noise: Noise | None) -> Tensor:
        """Logits [R, n] from the last layer's output at the last position."""
        weights = [_layer_weights(p, layer) for layer in range(self.layers)]
        zeros = samples.new_zeros(len(p["readout.weight"]), samples.shape[1], self.width)
        states = [(zeros, zeros)] * self.layers
        for x in samples.unsqueeze(-1).unbind(2):
            for layer, state in enumerate(states):
                states[layer] = _cell(x, *state, *weights[layer])
                x = states[layer][0]
        return linear(x, p["readout.weight"], p["readout.bias"]).squeeze(-1)


def _layer_weights(p: Parameters, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the input and of the last output, and the sum of both biases."""
    weight_ih, weight_hh, bias_ih, bias_hh = (
        p[f"lstm.{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return weight_ih, weight_hh, bias_ih + bias_hh


def _cell(x: Tensor, h: Tensor, c: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """One position: input [R, n, in], output and cell [R, n, width] -> the next output and cell."""
    i, f, g, o = torch.baddbmm(linear(x, weight_ih, bias), h, weight_hh.mT).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
