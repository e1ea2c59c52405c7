"""A stack of one-layer Transformers read out at [CLS].

The same function as :class:`pipeline.reference.ReferenceTransformer`, for R runs at once. What makes it fast:

- only [CLS]'s query is needed, so attention is linear in T, and a token depends on its bit and position alone, so
  LayerNorm, score and value are computed for 2T + 1 distinct tokens instead of n · T (attention.py);
- on the CPU a step is one call of the C functions of kernels.c, whose gradients are derived; they go run by run, so
  that what a run needs stays in the cache, and draw the dropout masks of attention weights as they go; a run whose
  scores are too far apart for float32 is computed again in float64;
- on a GPU it is a few kernels of :mod:`pipeline.engine.fused`, without dropout and in sizes that these know.

:meth:`Transformer.forward` says the function in torch. It is what runs where neither can do it, with gradients by
autograd but for that of the table, which is derived.

Shapes: R runs, T positions, n samples, d width, H heads, m MLP width. Activations are [R, n, channels].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine import initialisation
from pipeline.engine.attention import HEADROOM, attend, bits, one_hot
from pipeline.engine.attention_weights import mean_attention
from pipeline.engine.autograd import AutogradModel, Parameters, linear
from pipeline.engine.dropout import NO_DROPOUT, Dropout, Noise
from pipeline.engine.kernels import Kernels, kernels
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream

WIDEST = 512  # of the C functions, which have matrices on the stack


@dataclass(frozen=True)
class Transformer(AutogradModel):
    """The architecture; parameters are passed in.

    The dropout masks have the names of :class:`pipeline.engine.deep_transformer.DeepTransformer`'s first layer.

    Args:
        context_length: T, the number of input bits.
        width: embedding width d.
        heads: number of attention heads H, a divisor of d.
        mlp_width: hidden width m of the MLP.
        init_std: standard deviation of the normal initialisation of weights and embeddings.
        activation: of the MLP, by its name in torch.nn.functional.
        dropout: the rates; that of the embeddings must be 0, since with it tokens are no longer few.
    """

    context_length: int
    width: int
    heads: int
    mlp_width: int
    init_std: float
    activation: Literal["gelu", "relu"] = "gelu"
    dropout: Dropout = NO_DROPOUT

    def __post_init__(self) -> None:
        """Refuses what the C functions would take for something else.

        Raises:
            ValueError: an unknown activation, heads that do not divide the width, or dropout of the embeddings.
        """
        if self.activation not in ("gelu", "relu"):
            raise ValueError(f"the activation {self.activation!r} is unknown; use gelu or relu")
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the width {self.width}")
        if self.dropout.embedding:
            raise ValueError("a table of tokens has no dropout of embeddings; use DeepTransformer with one layer")

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run; the rows of ``embedding`` are the T positions, then bit 0 and bit 1.

        kernels.c knows them in this order.
        """
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

    @property
    def floats_per_sample(self) -> int:
        """How many floats a training step by autograd holds for a sample of a run: one-hot or masked weights too."""
        one_hot = 2 * self.context_length * (2 + 2 * self.heads * bool(self.dropout.attention))
        return one_hot + 10 * self.width + 4 * self.mlp_width

    def floats_per_run(self, n: int, device: torch.device) -> int:
        """How many floats a training step on n samples holds for a run, with gradient and two moments."""
        tokens, d, m, columns = 2 * self.context_length, self.width, self.mlp_width, self.width + self.heads
        if self._kernels(device, torch.float32):
            masks = 2 * d * bool(self.dropout.residual) + m * bool(self.dropout.mlp)
            packed = math.ceil(self.context_length / 32)
            own = self.floats_of_c(n) + n * (masks + packed)
            return 4 * sum(map(math.prod, self.shapes.values())) + own
        if self.is_fused(device, torch.float32):
            # in large stacks; smaller ones hold sums over more shares of the positions
            own = 2 * (tokens + (self.context_length + 2) * columns) + 4 * d * columns + n * (3 * columns + tokens // 8)
            return 4 * sum(map(math.prod, self.shapes.values())) + own
        table = 6 * tokens * columns  # autograd keeps it at every stage
        return super().floats_per_run(n, device) + table

    def floats_of_c(self, n: int) -> int:
        """How many floats the C functions take for n samples of a run, of one run at a time; at most."""
        d, m, heads = self.width, self.mlp_width, self.heads
        row = 16 * math.ceil((d + heads) / 16)  # of the table: whole vectors, of up to 16 floats
        folded = d * (2 * row + 2 * d + 3 * m + heads)
        single = 64 * row  # vectors of which there is one, and what lies between arrays
        return self.context_length * (row + 2 * heads + 2) + n * (row + 4 * (d + heads) + 3 * m + 3) + folded + single

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream: weights and embeddings N(0, init_std²), gains 1, biases 0; float32."""
        return initialisation.normal(self.shapes, self.init_std, streams)

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """On a CPU packed inputs as they are, uint8 [R or 1, n, ⌈T/8⌉]: attention takes them apart as it goes.

        On a GPU what is made once and read at every step: bits, bool [R or 1, n, T and up to 15 more], for
        :mod:`pipeline.engine.fused`, else one-hot rows, [R or 1, n, 2T].
        """
        if packed.device.type == "cpu":
            return packed
        if self.is_fused(packed.device, dtype):
            return bits(packed, self.context_length)
        return one_hot(packed, self.context_length, dtype)

    def is_fused(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Whether :mod:`pipeline.engine.fused` is used, for which Triton has to be there, and to be right."""
        module = fused() if self.dropout == NO_DROPOUT else None
        if not module or not module.supported(self.width, self.heads, self.mlp_width, dtype, device):
            return False
        from pipeline.engine.fused.check import agree

        return agree(replace(self, context_length=1), device)

    def logits(self, p: ParameterStack, samples: Tensor) -> Tensor:
        """Logits of P(label = 1), [R, n]; encoded samples of R runs, or of 1 if all runs share them."""
        if samples.dtype == torch.bool:
            return fused().infer(p, self.heads, self.activation, samples)
        compiled = self._kernels(p.flat.device, p.flat.dtype)
        if not compiled:
            return super().logits(p, samples)
        logits = p.flat.new_empty(p.runs, samples.shape[1])
        size, shared = (p.runs, self.context_length, samples.shape[1]), len(samples) != p.runs
        finite = compiled("infer", *size, int(shared), p.flat, samples.contiguous(), logits)
        if not finite and self._wider(p):
            lost = _not_finite(logits)
            logits[lost] = self.logits(_double(p, lost), samples if shared else samples[lost]).float()
        return logits

    def attention(self, p: ParameterStack, inputs: Tensor) -> Tensor:
        """[CLS]'s attention weights, means over N packed samples that all runs share, float64 [R, H, T]."""
        return mean_attention(p, self.heads, inputs)

    def loss_and_gradients(
        self,
        p: ParameterStack,
        samples: Tensor,
        labels: Tensor,
        gradients: ParameterStack,
        noise: Noise | None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy of each run, [R], for labels [R, n] in {0, 1}, with dropout; writes its gradients."""
        if samples.dtype == torch.bool:
            return fused().train(p, self.heads, self.activation, samples, labels, weights, gradients)
        compiled = self._kernels(p.flat.device, p.flat.dtype) if weights is None else None
        if not compiled:
            return super().loss_and_gradients(p, samples, labels, gradients, noise, weights)
        rate = float(self.dropout.attention) if noise else 0.0  # C takes it for a double
        seeds = noise.words(1) if rate else None  # of masks that are too many to be stored
        drawn = (seeds, *self._masks(samples.shape[1], noise, p.flat))
        return self._train(compiled, p, gradients, rate, samples.contiguous(), labels.contiguous(), *drawn)

    def _train(
        self, compiled: Kernels, p: ParameterStack, gradients: ParameterStack, rate: float, *data: Tensor | None
    ) -> Tensor:
        """Losses [R] and gradients by C; data: samples, labels, seeds and masks as C takes them, [R, ...] or None."""
        losses, size = p.flat.new_empty(p.runs), (p.runs, self.context_length, data[0].shape[1])
        finite = compiled("train", *size, rate, p.flat, *data, gradients.flat, losses)
        if not finite and (wider := self._wider(p)):
            lost = _not_finite(losses)
            double = _double(p, lost)
            again = p.like(torch.empty_like(double.flat))
            losses[lost] = self._train(wider, double, again, rate, *(_chosen(x, lost) for x in data)).float()
            for name in p.shapes:
                gradients[name][lost] = again[name].float()
        return losses

    def _wider(self, p: ParameterStack) -> Kernels | None:
        """The C functions in float64, for parameters in float32: of runs whose scores are out of its range."""
        return None if p.flat.dtype == torch.float64 else self._kernels(p.flat.device, torch.float64)

    def _kernels(self, device: torch.device, dtype: torch.dtype) -> Kernels | None:
        """The C functions, if they can do it."""
        if device.type != "cpu" or self.width > WIDEST:
            return None
        return kernels(dtype, self.width, self.heads, self.mlp_width, self.activation, HEADROOM[dtype])

    def _attention_masks(self, n: int, noise: Noise | None, like: Tensor) -> Tensor | None:
        """Dropout masks of the attention weights, [R, n, H, 1, T + 1]."""
        return _mask(noise, "attention1", self.dropout.attention, (n, self.heads, 1, self.context_length + 1), like)

    def _masks(self, n: int, noise: Noise | None, like: Tensor) -> tuple[Tensor | None, ...]:
        """Other dropout masks, [R, n, 1, channels]: of what attention adds, of hidden units, of what the MLP adds."""
        residual, d = self.dropout.residual, self.width
        return (
            _mask(noise, "attention_residual1", residual, (n, 1, d), like),
            _mask(noise, "mlp1", self.dropout.mlp, (n, 1, self.mlp_width), like),
            _mask(noise, "mlp_residual1", residual, (n, 1, d), like),
        )

    def forward(self, p: Parameters, samples: Tensor, noise: Noise | None) -> Tensor:
        """Logits [R, n]; without noise no dropout."""
        n, like = samples.shape[1], p["cls"]
        weights = self._attention_masks(n, noise, like)
        attention, hidden, mlp = (1 if mask is None else mask.squeeze(2) for mask in self._masks(n, noise, like))
        attended = attend(p, self.heads, samples, weights)
        x = (p["cls"] + p["cls_position"]).unsqueeze(1) + attention * _linear(p, "out", attended)
        activated = getattr(F, self.activation)(_linear(p, "mlp_in", _norm(p, "mlp", x)))
        x = x + mlp * _linear(p, "mlp_out", hidden * activated)
        return _linear(p, "readout", _norm(p, "final", x)).squeeze(2)


@cache
def fused() -> ModuleType | None:
    """:mod:`pipeline.engine.fused`, if there is Triton."""
    if not find_spec("triton"):
        return None
    from pipeline.engine import fused

    return fused


def _not_finite(results: Tensor) -> Tensor:
    """Which runs, an index, have a number in [R, ...] that is not finite."""
    return (~results.isfinite().view(len(results), -1).all(1)).nonzero().flatten()


def _double(p: ParameterStack, runs: Tensor) -> ParameterStack:
    """The chosen runs in float64."""
    return p.like(p.select(runs).flat.double())


def _chosen(x: Tensor | None, runs: Tensor) -> Tensor | None:
    """The chosen runs' part of [R, ...], in float64 if it is in float32."""
    chosen = x if x is None else x[runs]
    return chosen.double() if chosen is not None and chosen.is_floating_point() else chosen


def _mask(noise: Noise | None, name: str, rate: float, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    return noise.keep(name, shape, rate, like) if noise and rate else None


def _norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    gain, bias = (p[f"{name}_norm_{part}"].unsqueeze(1) for part in ("gain", "bias"))
    return torch.addcmul(bias, F.layer_norm(x, x.shape[-1:]), gain)


def _linear(p: Parameters, name: str, x: Tensor) -> Tensor:
    return linear(x, p[f"{name}_weight"], p[f"{name}_bias"])
