"""A stack of one-layer Transformers read out at [CLS], with derived gradients.

The same function as :class:`pipeline.reference.ReferenceTransformer`, for R runs at once. What makes it fast:

- only [CLS]'s query is needed, so attention is linear in T, and a token depends on its bit and position alone, so
  LayerNorm, score and value are computed for 2T + 1 distinct tokens instead of n · T (attention.py);
- the query is folded into the key weights, LayerNorm gains into the weights behind them; the key bias cancels in the
  softmax and is left out.

Shapes: R runs, T positions, n samples, d width, H heads, m MLP width. Activations are [R, n, channels].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine import initialisation
from pipeline.engine.attention import FusedAttention, PlainAttention, attend
from pipeline.engine.attention_weights import mean_attention
from pipeline.engine.dropout import NO_DROPOUT, Dropout, Noise
from pipeline.engine.layers import AffineLinear, Normalised
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream

ACTIVATIONS = {
    "gelu": (F.gelu, torch.ops.aten.gelu_backward),
    "relu": (F.relu, lambda d_activated, hidden: d_activated * (hidden > 0)),
}


@dataclass
class Activations:
    """What the forward pass leaves for the backward pass."""

    attention: PlainAttention | FusedAttention
    mlp_norm: Normalised
    mlp_in: AffineLinear
    hidden: Tensor  # MLP before the activation, [R, n, m]
    activated: Tensor
    final_norm: Normalised
    readout: AffineLinear
    # dropout, or None: of what attention adds to the residual stream, of the hidden units, of what the MLP adds
    attention_mask: Tensor | None
    hidden_mask: Tensor | None
    mlp_mask: Tensor | None


@dataclass(frozen=True)
class Transformer:
    """The architecture; parameters are passed in.

    The dropout masks have the names of :class:`pipeline.engine.deep_transformer.DeepTransformer`'s first layer.

    Args:
        context_length: T, the number of input bits.
        width: embedding width d.
        heads: number of attention heads H, a divisor of d.
        mlp_width: hidden width m of the MLP.
        init_std: standard deviation of the normal initialisation of weights and embeddings.
        activation: of the MLP.
        dropout: the rates; that of the embeddings must be 0, since with it tokens are no longer few.
    """

    context_length: int
    width: int
    heads: int
    mlp_width: int
    init_std: float
    activation: Literal["gelu", "relu"] = "gelu"
    dropout: Dropout = NO_DROPOUT

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run; the rows of ``embedding`` are the T positions, then bit 0 and bit 1."""
        d, m = self.width, self.mlp_width
        shapes = {"embedding": (self.context_length + 2, d), "cls": (d,), "cls_position": (d,)}
        shapes |= {f"{name}_weight": (d, d) for name in ("query", "key", "value", "out")}
        shapes |= {"mlp_in_weight": (m, d), "mlp_out_weight": (d, m), "readout_weight": (1, d)}
        shapes |= {f"{name}_norm_gain": (d,) for name in ("attention", "mlp", "final")}
        shapes |= {f"{name}_norm_bias": (d,) for name in ("attention", "mlp", "final")}
        shapes |= {f"{name}_bias": (d,) for name in ("query", "value", "out", "mlp_out")}
        return shapes | {"mlp_in_bias": (m,), "readout_bias": (1,)}

    @property
    def attention_weights(self) -> list[tuple[str, str, str]]:
        """Names of each layer's query, key and value weights."""
        return [("query_weight", "key_weight", "value_weight")]

    def floats_per_run(self, n: int, device: torch.device) -> int:
        """How many floats a training step on n samples holds for a run, with gradient and two moments."""
        tokens, columns = 2 * self.context_length, self.width + self.heads
        parameters = sum(torch.Size(shape).numel() for shape in self.shapes.values())
        if device.type == "cpu" and not self.dropout.attention:  # the kernels keep products and weights
            attention = tokens * (columns // 2 + self.heads + 1)
        else:  # autograd keeps the table at every stage, and the one-hot samples or their masked weights
            attention = tokens * (6 * columns + n * (2 + 2 * self.heads * (self.dropout.attention > 0)))
        return 4 * parameters + attention + n * (10 * self.width + 4 * self.mlp_width)

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream: weights and embeddings N(0, init_std²), gains 1, biases 0; float32."""
        return initialisation.normal(self.shapes, self.init_std, streams)

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """Packed inputs as they are, uint8 [R or 1, n, ⌈T/8⌉]: attention takes them apart as it goes."""
        return packed

    def logits(self, p: ParameterStack, samples: Tensor) -> Tensor:
        """Logits of P(label = 1), [R, n]; packed samples of R runs, or of 1 if all runs share them."""
        return self._forward(p, samples, None)[0]

    def attention(self, p: ParameterStack, inputs: Tensor) -> Tensor:
        """[CLS]'s attention weights, means over N packed samples that all runs share, float64 [R, H, T]."""
        return mean_attention(p, self.heads, inputs)

    def loss_and_gradients(
        self, p: ParameterStack, samples: Tensor, labels: Tensor, gradients: ParameterStack, noise: Noise
    ) -> Tensor:
        """Mean cross-entropy of each run, [R], for labels [R, n] in {0, 1}, with dropout; writes its gradients."""
        logits, saved = self._forward(p, samples, noise)
        losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1)
        d_logits = (torch.sigmoid(logits) - labels).div_(labels.shape[1])
        self._backward(d_logits.unsqueeze(2), saved, p, gradients)
        return losses

    def _forward(self, p: ParameterStack, samples: Tensor, noise: Noise | None) -> tuple[Tensor, Activations]:
        n = samples.shape[1]

        def mask(name: str, rate: float, *shape: int) -> Tensor | None:
            return noise.keep(name, (n, *shape), rate, p.flat) if noise and rate else None

        keep = mask("attention1", self.dropout.attention, self.heads, 1, self.context_length + 1)
        attention = attend(p, self.heads, samples, keep)
        attention_mask = mask("attention_residual1", self.dropout.residual, 1, self.width)
        start = (p["cls"] + p["cls_position"]).unsqueeze(1)
        added = torch.baddbmm(_row(p, "out_bias"), attention.output, p["out_weight"].mT)
        residual = _masked(added, attention_mask).add_(start)
        mlp_norm = Normalised(residual)
        mlp_in = _affine_linear(p, "mlp_in", "mlp")
        hidden = mlp_in.forward(mlp_norm.output)
        hidden_mask = mask("mlp1", self.dropout.mlp, 1, self.mlp_width)
        activated = _masked(ACTIVATIONS[self.activation][0](hidden), hidden_mask)
        added = torch.baddbmm(_row(p, "mlp_out_bias"), activated, p["mlp_out_weight"].mT)
        mlp_mask = mask("mlp_residual1", self.dropout.residual, 1, self.width)
        final_norm = Normalised(residual + _masked(added, mlp_mask))
        readout = _affine_linear(p, "readout", "final")
        logits = readout.forward(final_norm.output).squeeze(2)
        masks = (attention_mask, hidden_mask, mlp_mask)
        return logits, Activations(attention, mlp_norm, mlp_in, hidden, activated, final_norm, readout, *masks)

    def _backward(self, d_logits: Tensor, a: Activations, p: ParameterStack, g: ParameterStack) -> None:
        d_final = a.readout.backward(d_logits, a.final_norm.output, *_affine_gradients(g, "readout", "final"))
        d_residual = a.final_norm.backward(d_final)
        d_added = _masked(d_residual, a.mlp_mask)
        torch.sum(d_added, 1, out=g["mlp_out_bias"])
        torch.bmm(d_added.mT, a.activated, out=g["mlp_out_weight"])
        d_activated = _masked(torch.bmm(d_added, p["mlp_out_weight"]), a.hidden_mask)
        d_hidden = ACTIVATIONS[self.activation][1](d_activated, a.hidden)
        d_norm = a.mlp_in.backward(d_hidden, a.mlp_norm.output, *_affine_gradients(g, "mlp_in", "mlp"))
        d_residual = d_residual + a.mlp_norm.backward(d_norm)
        d_added = _masked(d_residual, a.attention_mask)
        torch.sum(d_added, 1, out=g["out_bias"])
        torch.bmm(d_added.mT, a.attention.output, out=g["out_weight"])
        a.attention.backward(torch.bmm(d_added, p["out_weight"]), d_residual.sum(1), g)


def _row(p: ParameterStack, name: str) -> Tensor:
    """A vector of each run as a row, [R, 1, channels]."""
    return p[name].unsqueeze(1)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Dropout of x [R, n, channels] by a mask [R, n, 1, channels]."""
    return x if mask is None else x * mask.squeeze(2)


def _affine_linear(p: ParameterStack, linear: str, norm: str) -> AffineLinear:
    bias, gain, shift = (_row(p, name) for name in (f"{linear}_bias", f"{norm}_norm_gain", f"{norm}_norm_bias"))
    return AffineLinear(p[f"{linear}_weight"], bias, gain, shift)


def _affine_gradients(g: ParameterStack, linear: str, norm: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    vectors = (_row(g, name) for name in (f"{linear}_bias", f"{norm}_norm_gain", f"{norm}_norm_bias"))
    return g[f"{linear}_weight"], *vectors
