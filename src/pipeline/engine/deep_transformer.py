"""A stack of Transformers of any depth and with every dropout, gradients by autograd.

The same function as :class:`pipeline.reference.ReferenceTransformer`, for R runs at once. It is the plain path: every
layer but the last attends from all T + 1 tokens, so time and memory grow with T². The last computes [CLS]'s query
alone, since the read-out sees nothing else. One layer without embedding dropout is what
:class:`pipeline.engine.transformer.Transformer` does much faster.

Shapes: R runs, T positions, n samples, Q queries (T + 1, in the last layer 1), d width, H heads, m MLP width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine import initialisation
from pipeline.engine.autograd import AutogradModel, Parameters, linear
from pipeline.engine.dropout import NO_DROPOUT, Dropout, Noise, dropped
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream

MAX_EVALUATED = 2**27  # floats of the samples evaluated at once, 512 MiB in float32


@dataclass(frozen=True)
class DeepTransformer(AutogradModel):
    """The architecture; parameters are passed in.

    Masks of the layers l = 1 … layers, by name: ``embedding`` [n, T + 1, d], ``attention{l}`` [n, H, Q, T + 1],
    ``attention_residual{l}`` and ``mlp_residual{l}`` [n, Q, d], ``mlp{l}`` [n, Q, m]. [CLS] is token 0.

    Args:
        context_length: T, the number of input bits.
        width: embedding width d.
        heads: number of attention heads H, a divisor of d.
        mlp_width: hidden width m of the MLPs.
        layers: number of layers, at least 1.
        init_std: standard deviation of the normal initialisation of weights and embeddings.
        activation: of the MLPs, by its name in torch.nn.functional.
        dropout: the rates.
    """

    context_length: int
    width: int
    heads: int
    mlp_width: int
    layers: int
    init_std: float
    activation: Literal["gelu", "relu"] = "gelu"
    dropout: Dropout = NO_DROPOUT

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run; the names of layer l begin with ``layer{l}_``.

        The rows of ``embedding`` are the T positions, then bit 0 and bit 1. The key bias cancels in the softmax and is
        left out.
        """
        d = self.width
        shapes = {"embedding": (self.context_length + 2, d), "cls": (d,), "cls_position": (d,)}
        for layer in range(1, self.layers + 1):
            shapes |= {f"layer{layer}_{name}": shape for name, shape in self._layer_shapes().items()}
        return shapes | _norm_shapes("final", d) | {"readout_weight": (1, d), "readout_bias": (1,)}

    def _layer_shapes(self) -> Shapes:
        d, m = self.width, self.mlp_width
        attention = {f"{name}_weight": (d, d) for name in ("query", "key", "value", "out")}
        attention |= {f"{name}_bias": (d,) for name in ("query", "value", "out")}
        mlp = {"mlp_in_weight": (m, d), "mlp_in_bias": (m,), "mlp_out_weight": (d, m), "mlp_out_bias": (d,)}
        return _norm_shapes("attention", d) | attention | _norm_shapes("mlp", d) | mlp

    @property
    def attention_weights(self) -> list[tuple[str, str, str]]:
        """Names of each layer's query, key and value weights."""
        names = ("query_weight", "key_weight", "value_weight")
        return [tuple(f"layer{layer}_{name}" for name in names) for layer in range(1, self.layers + 1)]

    @property
    def floats_per_sample(self) -> int:
        """How many floats a training step holds for a sample of a run: what autograd saves and the largest gradient."""
        tokens, d, m, rates = self.context_length + 1, self.width, self.mlp_width, self.dropout
        weights = self.heads * tokens  # of a query
        masked = 2 * weights * bool(rates.attention) + 2 * d * bool(rates.residual) + m * bool(rates.mlp)
        queries = (self.layers - 1) * tokens + 1  # of all layers
        saved = queries * (weights + 5 * d + 2 * m + masked) + (5 * self.layers + bool(rates.embedding)) * tokens * d
        return saved + 2 * weights * (tokens if self.layers > 1 else 1) + 3 * tokens * d

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream: weights and embeddings N(0, init_std²), gains 1, biases 0; float32."""
        return initialisation.normal(self.shapes, self.init_std, streams)

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """The bits, bool [R or 1, n, T]: tokens are looked up when they are needed."""
        return unpack(packed, self.context_length)

    def logits(self, p: ParameterStack, samples: Tensor) -> Tensor:
        """Logits of P(label = 1), [R, n]; samples bool [R or 1, n, T]. Many samples are taken piece by piece."""
        return torch.cat([self.forward(p, piece, None) for piece in self._pieces(p, samples)], 1)

    def attention(self, p: ParameterStack, inputs: Tensor) -> Tensor:
        """[CLS]'s attention weights in the last layer, means over N packed samples, float64 [R, H, T]."""
        samples = self.encode(inputs.unsqueeze(0), p.flat.dtype)
        return sum(self._cls_weights(p, piece) for piece in self._pieces(p, samples)) / len(inputs)

    def _pieces(self, p: ParameterStack, samples: Tensor) -> Sequence[Tensor]:
        return samples.split(max(1, MAX_EVALUATED // (p.runs * self.floats_per_sample)), 1)

    def _cls_weights(self, p: Parameters, samples: Tensor) -> Tensor:
        """[CLS]'s attention weights for the positions in the last layer, sums over the samples."""
        x = self._embed(p, samples)
        for layer in range(1, self.layers):
            x = self._layer(p, x, layer, None)
        weights = self._weights(p, _norm(p, f"layer{self.layers}_attention", x), self.layers)
        return weights[:, :, :, 0, 1:].sum(1, dtype=torch.float64)

    def forward(self, p: Parameters, samples: Tensor, noise: Noise | None) -> Tensor:
        """Logits [R, n]; without noise no dropout."""
        x = dropped(self._embed(p, samples), "embedding", self.dropout.embedding, noise)
        for layer in range(1, self.layers + 1):
            x = self._layer(p, x, layer, noise)
        return _linear(p, "readout", _norm(p, "final", x)).flatten(1)

    def _embed(self, p: Parameters, bits: Tensor) -> Tensor:
        """Embeddings of [CLS] and the bits, [R, n, T + 1, d]."""
        position, bit = p["embedding"].unsqueeze(1).split([self.context_length, 2], 2)
        tokens = torch.where(bits.unsqueeze(-1), position + bit[:, :, 1:], position + bit[:, :, :1])
        cls = (p["cls"] + p["cls_position"])[:, None, None].expand(-1, tokens.shape[1], -1, -1)
        return torch.cat([cls, tokens], 2)

    def _layer(self, p: Parameters, x: Tensor, layer: int, noise: Noise | None) -> Tensor:
        """Attention and MLP, [R, n, T + 1, d] -> [R, n, Q, d]."""
        attended = self._attend(p, _norm(p, f"layer{layer}_attention", x), layer, noise)
        x = x[:, :, : attended.shape[2]] + attended
        return x + self._mlp(p, _norm(p, f"layer{layer}_mlp", x), layer, noise)

    def _attend(self, p: Parameters, x: Tensor, layer: int, noise: Noise | None) -> Tensor:
        """Multi-head self-attention, [R, n, T + 1, d] -> [R, n, Q, d]."""
        weights = dropped(self._weights(p, x, layer), f"attention{layer}", self.dropout.attention, noise)
        value = self._by_head(_linear(p, f"layer{layer}_value", x))
        out = _linear(p, f"layer{layer}_out", (weights @ value).transpose(2, 3).flatten(3))
        return dropped(out, f"attention_residual{layer}", self.dropout.residual, noise)

    def _weights(self, p: Parameters, x: Tensor, layer: int) -> Tensor:
        """Softmax weights, [R, n, T + 1, d] -> [R, n, H, Q, T + 1]."""
        queries = x if layer < self.layers else x[:, :, :1]
        query = self._by_head(_linear(p, f"layer{layer}_query", queries)) / math.sqrt(self.width / self.heads)
        key = self._by_head(linear(x, p[f"layer{layer}_key_weight"]))
        return (query @ key.mT).softmax(-1)

    def _by_head(self, x: Tensor) -> Tensor:
        """[R, n, tokens, d] -> [R, n, H, tokens, d / H], a view."""
        return x.unflatten(-1, (self.heads, -1)).transpose(2, 3)

    def _mlp(self, p: Parameters, x: Tensor, layer: int, noise: Noise | None) -> Tensor:
        """[R, n, Q, d] -> [R, n, Q, d]."""
        hidden = getattr(F, self.activation)(_linear(p, f"layer{layer}_mlp_in", x))
        out = _linear(p, f"layer{layer}_mlp_out", dropped(hidden, f"mlp{layer}", self.dropout.mlp, noise))
        return dropped(out, f"mlp_residual{layer}", self.dropout.residual, noise)


def _norm_shapes(name: str, width: int) -> Shapes:
    return {f"{name}_norm_gain": (width,), f"{name}_norm_bias": (width,)}


def _norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    """LayerNorm with the runs' gains and biases, [R, n, tokens, d]."""
    gain, bias = (p[f"{name}_norm_{part}"][:, None, None] for part in ("gain", "bias"))
    return torch.addcmul(bias, F.layer_norm(x, x.shape[-1:]), gain)


def _linear(p: Parameters, name: str, x: Tensor) -> Tensor:
    return linear(x, p[f"{name}_weight"], p[f"{name}_bias"])
