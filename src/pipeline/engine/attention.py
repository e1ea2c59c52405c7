"""[CLS] attention over a table of distinct tokens.

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

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.engine.kernels import Kernels, kernels
from pipeline.engine.layers import EPSILON
from pipeline.engine.packing import unpack

# exp(shifted score) stays finite for the largest score and above the smallest normal number for scores this much
# below it, twice over: a sample need not contain the token with the largest score.
HEADROOM = {torch.float32: 60.0, torch.float64: 600.0}


class Inputs(NamedTuple):
    """What attention is a function of; also the gradients with respect to it."""

    embedding: Tensor  # of the T positions, then of bit 0 and bit 1, [R, T + 2, d]
    projection: Tensor  # from a normalised token to its row, [R, C, d]
    cls: Tensor  # [CLS]'s row, [R, C]
    constant: Tensor  # what is added to all values, channels as torch has them ([H, d / H]), [R, d]


def attend(inputs: Inputs, samples: Tensor, keep: Tensor | None = None) -> "PlainAttention | FusedAttention":
    """Attention of [CLS] in every sample.

    Scores of one run and head may differ by up to about 140 in float32 (1300 in float64) between the largest of all
    tokens and the largest of a sample's own; beyond that the sample's normaliser underflows and the output is not
    finite.

    Args:
        inputs: embeddings, projection and [CLS].
        samples: packed samples.
        keep: dropout masks of the attention weights, [R, n, H, 1, T + 1], [CLS] first.

    Returns:
        an object with the ``output`` [R, n, d] and ``backward``, from the output's gradient to those of the inputs.
    """
    embedding = inputs.embedding
    if embedding.device.type == "cpu" and keep is None:
        width, dtype = embedding.shape[2], embedding.dtype
        compiled = kernels(dtype, width, inputs.cls.shape[1] - width, HEADROOM[dtype])
        if compiled:
            return FusedAttention(compiled, inputs, samples)
    return PlainAttention(inputs, samples, keep)


class PlainAttention:
    """The product with the one-hot samples in torch, on any device; gradients by autograd."""

    def __init__(self, inputs: Inputs, samples: Tensor, keep: Tensor | None = None) -> None:
        self._inputs = Inputs(*(x.detach().requires_grad_() for x in inputs))
        with torch.enable_grad():
            self._output = _attend(self._inputs, samples, keep)
        self.output = self._output.detach()

    def backward(self, d_output: Tensor, d_embedding: Tensor) -> Inputs:
        """From the output's gradient to those of the inputs.

        Args:
            d_output: [R, n, d].
            d_embedding: where the embeddings' gradient goes, [R, T + 2, d].
        """
        computed, *others = torch.autograd.grad(self._output, self._inputs, d_output)
        return Inputs(d_embedding.copy_(computed), *others)


def _attend(inputs: Inputs, samples: Tensor, keep: Tensor | None) -> Tensor:
    width, heads = inputs.embedding.shape[2], inputs.cls.shape[1] - inputs.embedding.shape[2]
    columns = _table(inputs).unflatten(-1, (-1, heads))  # [R, 2T, d / H + 1, H], the last row the scores
    cls = inputs.cls.unflatten(-1, (-1, heads)).unsqueeze(1)  # likewise, [R, 1, d / H + 1, H]
    shift = torch.maximum(columns[:, :, -1:].amax(1, keepdim=True), cls[:, :, -1:]).detach() - HEADROOM[columns.dtype]
    weights, cls_weights = (columns[:, :, -1:] - shift).exp(), (cls[:, :, -1:] - shift).exp()
    constant = inputs.constant.unflatten(1, (heads, -1)).mT.unsqueeze(1)
    values, cls_values = weights * (columns[:, :, :-1] + constant), cls_weights * (cls[:, :, :-1] + constant)
    bits = unpack(samples, inputs.embedding.shape[1] - 2)
    one_hot = torch.cat([~bits, bits], -1).to(columns.dtype)
    normaliser = _product(one_hot, weights) + cls_weights
    if keep is None:
        numerator = _product(one_hot, values) + cls_values
    else:
        cls_kept, kept = keep.squeeze(3).transpose(1, 2).split([1, bits.shape[2]], 3)  # [R, H, n, 1 and T]
        numerator = (one_hot.unsqueeze(1) * kept.repeat(1, 1, 1, 2)) @ values.permute(0, 3, 1, 2)  # [R, H, n, d / H]
        numerator = (numerator + cls_kept * cls_values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return (numerator / normaliser).mT.reshape(-1, bits.shape[1], width)


def _table(inputs: Inputs) -> Tensor:
    """The rows [v; s] of the tokens with bit 0 at positions 0 … T-1, then with bit 1, [R, 2T, C]."""
    embedding = inputs.embedding - inputs.embedding.mean(2, keepdim=True)
    position, bit = embedding[:, :-2], embedding[:, -2:]
    squares = position.square().sum(2).unsqueeze(1) + bit.square().sum(2, keepdim=True)
    variance = (squares + 2 * bit @ position.mT) / embedding.shape[2]  # [R, 2, T]
    products = embedding @ inputs.projection.mT
    sums = products[:, None, :-2] + products[:, -2:, None]  # [R, 2, T, C]
    return (sums * (variance + EPSILON).rsqrt().unsqueeze(-1)).flatten(1, 2)


def _product(one_hot: Tensor, rows: Tensor) -> Tensor:
    """Sums of the samples' rows: [R or 1, n, 2T] times [R, 2T, *columns] -> [R, n, *columns]."""
    if len(one_hot) == len(rows):
        return (one_hot @ rows.flatten(2)).unflatten(-1, rows.shape[2:])
    return (one_hot[0] @ rows.transpose(0, 1).flatten(1)).unflatten(-1, (-1, *rows.shape[2:])).transpose(0, 1)


class FusedAttention:
    """The same by the kernels of kernels.c; the gradients are derived."""

    def __init__(self, compiled: Kernels, inputs: Inputs, samples: Tensor) -> None:
        self._call, self._embedding, self._cls = compiled, inputs.embedding, inputs.cls
        self._samples = samples.contiguous()
        runs, rows, width = inputs.embedding.shape
        n, heads = samples.shape[1], inputs.cls.shape[1] - width
        self._size = (runs, rows - 2, n)
        # to centre the weights is to centre the tokens
        self._projection = inputs.projection - inputs.projection.mean(2, keepdim=True)
        self._products = torch.bmm(self._embedding, self._projection.mT)
        empty = inputs.embedding.new_empty
        self._attended, self._reciprocal = empty(runs, n, width), empty(runs, n, heads)
        self._factor, self._weights = empty(runs, rows - 2, 2), empty(runs, rows - 2, 2, heads)
        self._cls_weights = empty(runs, heads)
        shared = int(len(samples) != runs)
        tensors = (self._embedding, self._products, self._cls, self._samples, self._factor, self._weights)
        self._call("attend", *self._size, shared, *tensors, self._cls_weights, self._reciprocal, self._attended)
        self.output = self._attended + inputs.constant.unsqueeze(1)

    def backward(self, d_output: Tensor, d_embedding: Tensor) -> Inputs:
        """As :meth:`PlainAttention.backward`; once only, since it writes over its state."""
        d_cls = torch.empty_like(self._cls)
        forward = (self._attended, self._reciprocal, self._cls, self._cls_weights, self._samples)
        table = (self._products, self._factor, self._weights)
        self._call("attend_backward", *self._size, d_output.contiguous(), *forward, *table, d_cls)
        d_products, d_variance = self._products, self._factor
        torch.bmm(d_products, self._projection, out=d_embedding)
        self._call("variance_backward", *self._size[:2], self._embedding, d_variance, d_embedding)
        d_projection = torch.bmm(d_products.mT, self._embedding)
        d_projection -= d_projection.mean(2, keepdim=True)
        return Inputs(d_embedding, d_projection, d_cls, d_output.sum(1))
