"""[CLS] attention over a table of distinct tokens, from the parameters to the attention output.

A token is its bit and its position, so a run has only 2T + 1 distinct tokens. What attention needs of a token is a row
of a table: its value vector v and its score s for [CLS]'s query, C = d + H columns. With w = exp(s - shift), the output
for all n samples is one product of the one-hot samples [n, 2T] with the rows [w ∘ v; w], and a division. This is exact:
the same function and the same gradients as attention over n sequences of T + 1 tokens.

A token's embedding is a sum p + e of position and bit, so its products with the weights are sums too, and the LayerNorm
of the sum is a factor: its variance follows from |p|², ⟨p, e⟩ and |e|² after centring. The products are over T + 2 rows
instead of 2T.

The halves for bit 0 and bit 1 are not merged into one by subtraction: the normaliser would then be a difference of
nearly equal sums once attention is sharp.

:class:`PlainAttention` says this in torch. :class:`FusedAttention` does it with the kernels of kernels.c, which keep
the samples packed and go through the table byte by byte; it takes the place of the former on the CPU.

Shapes: R runs, T positions, n samples, d width, H heads, C = d + H columns, the values' channels in the order
[d / H, H] and then the scores; samples packed, uint8 [R, n, ⌈T/8⌉], or [1, n, ...] if all runs share them.
"""

import math

import torch
from torch import Tensor

from pipeline.engine.kernels import Kernels, kernels
from pipeline.engine.layers import EPSILON, Normalised
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack

# exp(shifted score) stays finite for the largest score and above the smallest normal number for scores this much
# below it, twice over: a sample need not contain the token with the largest score.
HEADROOM = {torch.float32: 60.0, torch.float64: 600.0}

# What attention is a function of, beside the embedding of positions and bits.
CLS = ["cls", "cls_position"]
NORM = ["attention_norm_gain", "attention_norm_bias"]
LINEAR = ["query_weight", "query_bias", "key_weight", "value_weight", "value_bias"]
PARAMETERS = [*CLS, *NORM, *LINEAR]


def attend(
    p: ParameterStack, heads: int, samples: Tensor, keep: Tensor | None = None
) -> "PlainAttention | FusedAttention":
    """Attention of [CLS] in every sample.

    Scores of one run and head may differ by up to about 140 in float32 (1300 in float64) between the largest of all
    tokens and the largest of a sample's own; beyond that the sample's normaliser underflows and the output is not
    finite.

    Args:
        p: the parameters of a one-layer Transformer; those named in ``PARAMETERS`` and ``embedding`` are read.
        heads: H.
        samples: packed samples.
        keep: dropout masks of the attention weights, [R, n, H, 1, T + 1], [CLS] first.

    Returns:
        an object with the ``output`` [R, n, d] and ``backward``.
    """
    if p.flat.device.type == "cpu" and keep is None:
        compiled = kernels(p.flat.dtype, p["cls"].shape[1], heads, HEADROOM[p.flat.dtype])
        if compiled:
            return FusedAttention(compiled, p, heads, samples)
    return PlainAttention(p, heads, samples, keep)


class PlainAttention:
    """The direct form, a product with the one-hot samples, in torch on any device; gradients by autograd."""

    def __init__(self, p: ParameterStack, heads: int, samples: Tensor, keep: Tensor | None = None) -> None:
        self._leaves = {name: p[name].detach().requires_grad_() for name in ("embedding", *PARAMETERS)}
        with torch.enable_grad():
            self._output = _attend(self._leaves, heads, samples, keep)
        self.output = self._output.detach()

    def backward(self, d_output: Tensor, d_residual: Tensor, g: ParameterStack) -> None:
        """Writes the gradients of everything up to the attention.

        Args:
            d_output: gradient of the output, [R, n, d].
            d_residual: that of the residual stream, which begins with [CLS]'s embedding, [R, d].
            g: where they are written.
        """
        computed = torch.autograd.grad(self._output, list(self._leaves.values()), d_output)
        for name, gradient in zip(self._leaves, computed, strict=True):
            g[name].copy_(gradient)
        for name in CLS:
            g[name].add_(d_residual)


def _attend(p: dict[str, Tensor], heads: int, samples: Tensor, keep: Tensor | None) -> Tensor:
    columns, cls = (rows.unflatten(-1, (-1, heads)) for rows in _rows(p, heads))  # [R, 2T and 1, d / H + 1, H]
    shift = torch.maximum(columns[:, :, -1:].amax(1, keepdim=True), cls[:, :, -1:]).detach() - HEADROOM[columns.dtype]
    weights, cls_weights = (columns[:, :, -1:] - shift).exp(), (cls[:, :, -1:] - shift).exp()
    values, cls_values = weights * columns[:, :, :-1], cls_weights * cls[:, :, :-1]
    bits = unpack(samples, columns.shape[1] // 2)
    one_hot = torch.cat([~bits, bits], -1).to(columns.dtype)
    normaliser = _product(one_hot, weights) + cls_weights
    if keep is None:
        numerator = _product(one_hot, values) + cls_values
    else:
        cls_kept, kept = keep.squeeze(3).transpose(1, 2).split([1, bits.shape[2]], 3)  # [R, H, n, 1 and T]
        numerator = (one_hot.unsqueeze(1) * kept.repeat(1, 1, 1, 2)) @ values.permute(0, 3, 1, 2)  # [R, H, n, d / H]
        numerator = (numerator + cls_kept * cls_values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return (numerator / normaliser).mT.flatten(2)


def _rows(p: dict[str, Tensor], heads: int) -> tuple[Tensor, Tensor]:
    """The rows [v; s] of the tokens with bit 0 at positions 0 … T-1, then with bit 1, [R, 2T, C]; that of [CLS]."""
    gain, bias = (p[name].unsqueeze(1) for name in NORM)
    cls = Normalised((p["cls"] + p["cls_position"]).unsqueeze(1)).output
    query = (gain * cls + bias) @ p["query_weight"].mT + p["query_bias"].unsqueeze(1)
    # A score is the inner product of the normalised token with the query times the key weights: no key is formed.
    scores = (p["key_weight"] * query.mT).unflatten(1, (heads, -1)).sum(2) / math.sqrt(query.shape[2] // heads)
    values = p["value_weight"].unflatten(1, (heads, -1)).transpose(1, 2).flatten(1, 2)
    projection = torch.cat([values, scores], 1) * gain
    # The LayerNorm's bias shifts all scores alike, which the softmax does not see, and all values.
    constant = (bias @ p["value_weight"].mT + p["value_bias"].unsqueeze(1)).unflatten(2, (heads, -1)).mT.flatten(2)
    constant = torch.cat([constant, constant.new_zeros(*constant.shape[:2], heads)], 2)
    return _tokens(p["embedding"], projection) + constant, cls @ projection.mT + constant


def _tokens(embedding: Tensor, projection: Tensor) -> Tensor:
    """The rows of the 2T tokens without the constant."""
    embedding = embedding - embedding.mean(2, keepdim=True)
    position, bit = embedding[:, :-2], embedding[:, -2:]
    squares = position.square().sum(2).unsqueeze(1) + bit.square().sum(2, keepdim=True)
    variance = (squares + 2 * bit @ position.mT) / embedding.shape[2]  # [R, 2, T]
    products = embedding @ projection.mT
    sums = products[:, None, :-2] + products[:, -2:, None]  # [R, 2, T, C]
    return (sums * (variance + EPSILON).rsqrt().unsqueeze(-1)).flatten(1, 2)


def _product(one_hot: Tensor, rows: Tensor) -> Tensor:
    """Sums of the samples' rows: [R or 1, n, 2T] times [R, 2T, *columns] -> [R, n, *columns]."""
    if len(one_hot) == len(rows):
        return (one_hot @ rows.flatten(2)).unflatten(-1, rows.shape[2:])
    return (one_hot[0] @ rows.transpose(0, 1).flatten(1)).unflatten(-1, (-1, *rows.shape[2:])).transpose(0, 1)


class FusedAttention:
    """The same by the kernels of kernels.c; the gradients are derived."""

    def __init__(self, compiled: Kernels, p: ParameterStack, heads: int, samples: Tensor) -> None:
        self._call, self._p, self._samples = compiled, p, samples.contiguous()
        (runs, rows, width), n = p["embedding"].shape, samples.shape[1]
        self._size = (runs, rows - 2, n)

        def empty(*shape: int) -> Tensor:
            return p.flat.new_empty(runs, *shape)

        self._projection, self._cls, self._constant = empty(width + heads, width), empty(width + heads), empty(width)
        self._folded = (empty(width), empty(1), empty(width), empty(heads, width), self._projection)
        compiled("fold", runs, *(p[name] for name in PARAMETERS), *self._folded, self._cls, self._constant)
        self._products = torch.bmm(p["embedding"], self._projection.mT)
        self._factor, self._weights, self._cls_weights = empty(rows - 2, 2), empty(rows - 2, 2, heads), empty(heads)
        self._reciprocal, self.output = empty(n, heads), empty(n, width)
        given = (p["embedding"], self._products, self._cls, self._constant, self._samples)
        table = (self._factor, self._weights, self._cls_weights)
        compiled("attend", *self._size, int(len(samples) != runs), *given, *table, self._reciprocal, self.output)

    def backward(self, d_output: Tensor, d_residual: Tensor, g: ParameterStack) -> None:
        """As :meth:`PlainAttention.backward`; once only, since it writes over its state."""
        p, d_cls, d_constant = self._p, torch.empty_like(self._cls), torch.empty_like(self._constant)
        forward = (self.output, self._reciprocal, self._cls, self._constant, self._cls_weights, self._samples)
        table = (self._products, self._factor, self._weights)
        self._call("attend_backward", *self._size, d_output.contiguous(), *forward, *table, d_cls, d_constant)
        d_products, d_variance = self._products, self._factor
        torch.bmm(d_products, self._projection, out=g["embedding"])
        self._call("variance_backward", *self._size[:2], p["embedding"], d_variance, g["embedding"])
        weights = (p[name] for name in (*NORM, "query_weight", "key_weight", "value_weight"))
        d_folded = (torch.bmm(d_products.mT, p["embedding"]), d_cls, d_constant, d_residual.contiguous())
        self._call("fold_backward", p.runs, *weights, *self._folded, *d_folded, *(g[name] for name in PARAMETERS))
