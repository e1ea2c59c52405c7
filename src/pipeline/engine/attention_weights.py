"""How much [CLS] attends to each position in the one-layer Transformer: the mean of the softmax weights over samples.

A token is its bit and its position, and so is its weight before normalisation, w[t, b] = exp(score - shift). With the
normaliser Z_i of sample i, the mean weight of position t over N samples is exactly::

    1/N · Σ_b w[t, b] · Σ_{i: x_it = b} 1/Z_i,   Z_i = w_cls + Σ_t w[t, x_it]

Both sums take eight positions at a time, a byte of the packed samples, through its 256 patterns of bits: the weights
of a pattern are summed once and looked up by the samples, and the 1/Z_i of a pattern's samples are summed before the
patterns are to the bits. Samples stay packed, and nothing is subtracted. A GPU, which would wait for each byte's
few operations, takes both as products with one-hot samples.

All of it is in float64, whatever the precision of training: it is cheap, and the sharpest attention is in range.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.attention import HEADROOM, one_hot
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack

SAMPLES, RUNS = 1000, 50  # what a GPU takes at a time: one-hot samples, and tables of runs in float64


def mean_attention(p: ParameterStack, heads: int, inputs: Tensor) -> Tensor:
    """[CLS]'s mean attention weights; not finite where the scores of a head differ by more than about 1300.

    Args:
        p: the parameters of a one-layer Transformer, of R runs.
        heads: H.
        inputs: N packed samples that all runs share, uint8 [N, ⌈T/8⌉].

    Returns:
        float64 [R, H, T]. What a head's weights lack to 1 is [CLS]'s weight for itself.
    """
    if inputs.is_cuda:
        return by_products(*all_weights(p, heads), inputs)
    runs = ({name: p[name][run] for name in p.shapes} for run in range(p.runs))
    return torch.stack([by_bytes(*_weights(one, heads), inputs) for one in runs])


def all_weights(p: ParameterStack, heads: int) -> tuple[Tensor, Tensor]:
    """The weights before normalisation of all runs at once, [R, 2, T, H], and those of [CLS], [R, H]."""
    runs = {name: p[name] for name in p.shapes}
    return torch.func.vmap(lambda run: _weights(run, heads), chunk_size=RUNS)(runs)


def _weights(p: Mapping[str, Tensor], heads: int) -> tuple[Tensor, Tensor]:
    """One run's weights before normalisation: of the tokens with bit 0 and bit 1, [2, T, H], and of [CLS], [H]."""
    p = {name: value.double() for name, value in p.items()}

    def normalised(x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], p["attention_norm_gain"], p["attention_norm_bias"])

    cls = normalised(p["cls"] + p["cls_position"])
    query = F.linear(cls, p["query_weight"], p["query_bias"]) / math.sqrt(len(cls) // heads)
    keys = (p["key_weight"] * query.unsqueeze(1)).unflatten(0, (heads, -1)).sum(1)  # [H, d]: a score is one product
    position, bit = p["embedding"].split([len(p["embedding"]) - 2, 2])
    scores, cls_scores = normalised(position + bit.unsqueeze(1)) @ keys.T, keys @ cls
    shift = torch.maximum(scores.amax((0, 1)), cls_scores) - HEADROOM[torch.float64]
    return (scores - shift).exp(), (cls_scores - shift).exp()


def by_products(weights: Tensor, cls_weights: Tensor, inputs: Tensor) -> Tensor:
    """[R, H, T] from the runs' weights before normalisation, [R, 2, T, H], and those of [CLS], [R, H]."""
    rows, of_cls = weights.permute(1, 2, 0, 3).flatten(2).flatten(0, 1), cls_weights.flatten()  # [2T, R·H] and [R·H]
    sums = torch.zeros_like(rows)
    for block in inputs.split(SAMPLES):
        chosen = one_hot(block, weights.shape[2], rows.dtype)
        sums.addmm_(chosen.T, (chosen @ rows + of_cls).reciprocal_())
    attention = (rows * sums).unflatten(0, (2, -1)).sum(0) / len(inputs)
    return attention.unflatten(1, cls_weights.shape).permute(1, 2, 0)


def by_bytes(weights: Tensor, cls_weights: Tensor, inputs: Tensor) -> Tensor:
    """[H, T] from one run's weights before normalisation, [2, T, H], and those of [CLS], [H]."""
    T = weights.shape[1]
    bits = unpack(torch.arange(256, dtype=torch.uint8, device=inputs.device).unsqueeze(1), 8)
    of_bits = torch.stack([~bits, bits], 1).flatten(1).to(weights)  # the patterns, one-hot, [256, 16]
    padded = F.pad(weights, (0, 0, 0, -T % 8))  # the bits that fill up the last byte weigh nothing
    by_byte = padded.unflatten(1, (-1, 8)).transpose(0, 1).flatten(1, 2)  # [⌈T/8⌉, 16, H]
    columns = inputs.T.contiguous()
    normaliser = cls_weights.repeat(len(inputs), 1)
    for patterns, own in zip(columns, by_byte, strict=True):
        normaliser += (of_bits @ own).index_select(0, patterns.long())
    reciprocal, sums = normaliser.reciprocal(), torch.empty_like(by_byte)
    for patterns, own in zip(columns, sums, strict=True):
        of_patterns = of_bits.new_zeros(256, len(cls_weights)).index_add_(0, patterns.long(), reciprocal)
        torch.mm(of_bits.T, of_patterns, out=own)
    attention = (by_byte * sums).unflatten(1, (2, 8)).sum(1) / len(inputs)
    return attention.flatten(0, 1)[:T].T
