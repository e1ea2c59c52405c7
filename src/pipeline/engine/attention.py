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

:func:`attend` says this in torch. kernels.c keeps the samples packed and goes through the table byte by byte; on a GPU
the table is never written (fused).

Shapes: R runs, T positions, n samples, d width, H heads, C = d + H columns, the values' channels in the order
[d / H, H] and then the scores; samples packed, uint8 [R, n, ⌈T/8⌉], or [1, n, ...] if all runs share them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from pipeline.engine.autograd import Parameters
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack

EPSILON = 1e-5  # torch.nn.LayerNorm's default
ALIGNMENT = 16  # bytes that a GPU's thread loads at once

# exp(shifted score) stays finite for the largest score and above the smallest normal number for scores this much
# below it, twice over: a sample need not contain the token with the largest score.
HEADROOM = {torch.float32: 60.0, torch.float64: 600.0}
# A normaliser below that is out of range: gradients, which are divided by it, may overflow where the loss does not.
LEAST = math.exp(-HEADROOM[torch.float32])


def attend(p: Parameters, heads: int, samples: Tensor, keep: Tensor | None = None) -> Tensor:
    """Attention of [CLS] in every sample.

    If a normaliser is out of range in float32, all is computed again in float64; not of one-hot samples, which a GPU
    has: it would have to wait for the answer, and cannot while a step is recorded.

    Args:
        p: the parameters of a one-layer Transformer.
        heads: H.
        samples: packed samples, or what :func:`one_hot` made of them.
        keep: dropout masks of the attention weights, [R, n, H, 1, T + 1], [CLS] first.

    Returns:
        the output, [R, n, d]; not finite where a normaliser underflows, that is where the largest score of a sample
        lies about 140 (in float64 1300) below the largest of all tokens for the same run and head.
    """
    output, normaliser = _attend(p, heads, samples, keep)
    if output.dtype == torch.float64 or samples.is_floating_point() or (normaliser >= LEAST).all():
        return output
    double = {name: p[name].double() for name in (p.shapes if isinstance(p, ParameterStack) else p)}
    return _attend(double, heads, samples, None if keep is None else keep.double())[0].float()


def _attend(p: Parameters, heads: int, samples: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
    """The output and the heads' normalisers, [R, n, 1, H]."""
    table, cls = _tables(p, heads)
    rows = samples if samples.is_floating_point() else one_hot(samples, table.shape[1] // 2, table.dtype)
    if keep is None:
        sums = _product(rows, table) + cls
        values, normaliser = sums.tensor_split([sums.shape[2] - 1], 2)
        return (values / normaliser).mT.flatten(2), normaliser
    normaliser = _product(rows, table[:, :, -1:]) + cls[:, :, -1:]
    values, cls_values = (part[:, :, :-1].permute(0, 3, 1, 2) for part in (table, cls))  # [R, H, 2T and 1, d / H]
    cls_kept, kept = keep.squeeze(3).transpose(1, 2).tensor_split([1], 3)  # [R, H, n, 1 and T]
    numerator = (rows.unsqueeze(1) * kept.repeat(1, 1, 1, 2)) @ values + cls_kept * cls_values  # [R, H, n, d / H]
    return (numerator.permute(0, 2, 3, 1) / normaliser).mT.flatten(2), normaliser


def bits(samples: Tensor, length: int) -> Tensor:
    """Bits of packed samples, bool [..., T], filled up with zeros to a multiple of ``ALIGNMENT``."""
    return F.pad(unpack(samples, length), (0, -length % ALIGNMENT))


def one_hot(samples: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """Packed samples as choices of the table's rows, [..., 2T]: at each position a 1 for bit 0 or, T on, for bit 1."""
    bits = unpack(samples, length)
    return torch.cat([~bits, bits], -1).to(dtype)


def _tables(p: Parameters, heads: int) -> tuple[Tensor, Tensor]:
    """The rows [w ∘ v; w] of the tokens with bit 0 at positions 0 … T-1, then with bit 1, and that of [CLS].

    [R, 2T, d / H + 1, H] and [R, 1, d / H + 1, H].
    """
    gain, bias = (p[f"attention_norm_{part}"].unsqueeze(1) for part in ("gain", "bias"))
    cls = F.layer_norm((p["cls"] + p["cls_position"]).unsqueeze(1), p["cls"].shape[1:], eps=EPSILON)
    query = (gain * cls + bias) @ p["query_weight"].mT + p["query_bias"].unsqueeze(1)
    # A score is the inner product of the normalised token with the query times the key weights: no key is formed.
    scores = (p["key_weight"] * query.mT).unflatten(1, (heads, -1)).sum(2) / math.sqrt(query.shape[2] // heads)
    values = p["value_weight"].unflatten(1, (heads, -1)).transpose(1, 2).flatten(1, 2)
    projection = torch.cat([values, scores], 1) * gain
    # The LayerNorm's bias shifts all scores alike, which the softmax does not see, and all values.
    constant = (bias @ p["value_weight"].mT + p["value_bias"].unsqueeze(1)).unflatten(2, (heads, -1)).mT.flatten(2)
    constant = torch.cat([constant, constant.new_zeros(*constant.shape[:2], heads)], 2)
    cls = (cls @ projection.mT + constant).unflatten(2, (-1, heads))
    embedding = p["embedding"] - p["embedding"].mean(2, keepdim=True)
    products, factors = embedding @ projection.mT, _factors(embedding)
    table, shift = _WeightedTable.apply(products, factors, constant, cls[:, :, -1:].detach())
    cls_weights = (cls[:, :, -1:] - shift).exp()
    return table, torch.cat([cls_weights * cls[:, :, :-1], cls_weights], 2)


def _factors(embedding: Tensor) -> Tensor:
    """What the LayerNorm multiplies each token by, [R, 2, T], from the centred embeddings of positions and bits."""
    position, bit = embedding[:, :-2], embedding[:, -2:]
    squares = position.square().sum(2).unsqueeze(1) + bit.square().sum(2, keepdim=True)
    return ((squares + 2 * bit @ position.mT) / embedding.shape[2] + EPSILON).rsqrt()


class _WeightedTable(torch.autograd.Function):
    """The rows [w ∘ v; w] of the 2T tokens, from what gives their [v; s].

    With a derived gradient: autograd would keep the table at each of its stages and pass over memory twice as often.
    In terms of a row's own gradient g, that of v is w ∘ g_v, and that of s the sum over its head's columns of g times
    the row, since both w ∘ v and w have w as a factor.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, products: Tensor, factors: Tensor, constant: Tensor, cls_scores: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The rows, [R, 2T, d / H + 1, H], and the heads' shifts, [R, 1, 1, H].

        Args:
            ctx: what the backward pass will need.
            products: of the T positions and the two bits with the weights, [R, T + 2, C].
            factors: of the LayerNorm, [R, 2, T].
            constant: what is added to every row, [R, 1, C].
            cls_scores: of [CLS], [R, 1, 1, H].
        """
        sums = products[:, None, :-2] + products[:, -2:, None]  # [R, 2, T, C]
        rows = torch.addcmul(constant.unsqueeze(1), sums, factors.unsqueeze(3)).flatten(1, 2)
        rows = rows.unflatten(2, (-1, cls_scores.shape[3]))
        values, scores = rows[:, :, :-1], rows[:, :, -1:]
        shift = torch.maximum(scores.amax(1, keepdim=True), cls_scores) - HEADROOM[rows.dtype]
        scores.sub_(shift).exp_()
        values.mul_(scores)
        ctx.save_for_backward(products, factors, rows)
        ctx.mark_non_differentiable(shift)
        return rows, shift

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of what :meth:`forward` was given."""
        products, factors, rows = ctx.saved_tensors
        own = gradient * rows[:, :, -1:]  # of [v; s] from here on
        torch.sum(gradient * rows, 2, keepdim=True, out=own[:, :, -1:])
        own = own.flatten(2).unflatten(1, (2, -1))  # [R, 2, T, C]
        constant = own.sum((1, 2)).unsqueeze(1)
        of_position = (own * products[:, None, :-2]).sum(3)
        of_factors = of_position + (own @ products[:, -2:].unsqueeze(3)).squeeze(3)
        own.mul_(factors.unsqueeze(3))
        return torch.cat([own[:, 0] + own[:, 1], own.sum(2)], 1), of_factors, constant, None


def _product(samples: Tensor, table: Tensor) -> Tensor:
    """Sums of the samples' rows: one-hot [R or 1, n, 2T] times [R, 2T, *columns] -> [R, n, *columns]."""
    if len(samples) == len(table):
        return (samples @ table.flatten(2)).unflatten(-1, table.shape[2:])
    return (samples[0] @ table.transpose(0, 1).flatten(1)).unflatten(-1, (-1, *table.shape[2:])).transpose(0, 1)
