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

:func:`attend` says this in torch. kernels.c keeps the samples packed and goes through the table byte by byte.

Shapes: R runs, T positions, n samples, d width, H heads, C = d + H columns, the values' channels in the order
[d / H, H] and then the scores; samples packed, uint8 [R, n, ⌈T/8⌉], or [1, n, ...] if all runs share them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.autograd import Parameters
from pipeline.engine.packing import unpack

EPSILON = 1e-5  # torch.nn.LayerNorm's default

# exp(shifted score) stays finite for the largest score and above the smallest normal number for scores this much
# below it, twice over: a sample need not contain the token with the largest score.
HEADROOM = {torch.float32: 60.0, torch.float64: 600.0}


def attend(p: Parameters, heads: int, samples: Tensor, keep: Tensor | None = None) -> Tensor:
    """Attention of [CLS] in every sample.

    Scores of one run and head may differ by up to about 140 in float32 (1300 in float64) between the largest of all
    tokens and the largest of a sample's own; beyond that the sample's normaliser underflows and the output is not
    finite.

    Args:
        p: the parameters of a one-layer Transformer.
        heads: H.
        samples: packed samples.
        keep: dropout masks of the attention weights, [R, n, H, 1, T + 1], [CLS] first.

    Returns:
        the output, [R, n, d].
    """
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


def _rows(p: Parameters, heads: int) -> tuple[Tensor, Tensor]:
    """The rows [v; s] of the tokens with bit 0 at positions 0 … T-1, then with bit 1, [R, 2T, C]; that of [CLS]."""
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
