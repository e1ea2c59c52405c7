"""From the parameters to what gives each token's value v and score s, and back.

The weights of values and scores, times the LayerNorm's gain, are a projection; that of the centred embeddings gives the
products of positions and bits, of which a token's are the sum, and attention.py says the rest. What is of a run and not
of its positions is done by one program a run, in vectors and sums, the rest by blocks of positions.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.engine import attention
from pipeline.engine.fused.operations import EPSILON, at_values, dot, normalised, of_normalised, over_values, precision
from pipeline.engine.parameters import ParameterStack

# Positions of a block and warps of a program, by what was fastest (docs/results/gpu). With 64 positions, Triton 3.6's
# code reads or writes at places that are not its own.
POSITIONS, WARPS = 32, 4
PROGRAMS = 1000  # that go back over the positions: several for each multiprocessor
HEADROOM = tl.constexpr(attention.HEADROOM[torch.float32])

# Parameters but for the embedding, and their places among them.
PARAMETERS = ("cls", "cls_position", "attention_norm_gain", "attention_norm_bias", "query_weight", "query_bias")
PARAMETERS += ("key_weight", "value_weight", "value_bias")
CLS, CLS_POSITION, GAIN, BIAS, QUERY, QUERY_BIAS, KEY, VALUE, VALUE_BIAS = map(tl.constexpr, range(len(PARAMETERS)))


class Tokens(NamedTuple):
    """What gives the rows of a run's tokens.

    Attributes:
        projection: what the centred embeddings are multiplied by, [R, C, d].
        constant: what is added to all values, [R, d].
        cls: [CLS]'s own value and score, [R, C].
        products: of the T positions and the two bits, [R, T + 2, C].
        factors: what the LayerNorm multiplies each token by, [R, 2, T].
        shift: what is subtracted from each head's scores, [R, H].
        cls_row: [CLS]'s row [w ∘ v; w], [R, C].
    """

    projection: Tensor
    constant: Tensor
    cls: Tensor
    products: Tensor
    factors: Tensor
    shift: Tensor
    cls_row: Tensor


class OfProducts(NamedTuple):
    """Gradients.

    Attributes:
        products: [R, T + 2, C], but for the rows of the bits.
        factors: [R, 2, T].
        parts: of the products of both bits and of the constant, to be summed over blocks, [R, blocks, 3, C].
    """

    products: Tensor
    factors: Tensor
    parts: Tensor


def forward(p: ParameterStack, heads: int) -> Tokens:
    """What gives the rows of the tokens."""
    (runs, rows, width), new = p["embedding"].shape, p.flat.new_empty
    T, columns, sizes = rows - 2, width + heads, {"D": width, "H": heads, "num_warps": WARPS}
    projection, constant, cls = new(runs, columns, width), new(runs, width), new(runs, columns)
    parameters = tuple(p[name] for name in PARAMETERS)
    _project[runs,](parameters, projection, constant, cls, **sizes)
    products, factors = new(runs, rows, columns), new(runs, 2, T)
    largest = new(runs, triton.cdiv(T, POSITIONS), heads)
    outputs, options = (products, factors, largest), {"P": POSITIONS, "PRECISION": precision(cls)}
    _embed[largest.shape[:2]](p["embedding"], projection, *outputs, T, **sizes, **options)
    shift, cls_row = new(runs, heads), new(runs, columns)
    _shift[runs,](largest, cls, shift, cls_row, largest.shape[1], D=width, H=heads, num_warps=1)
    return Tokens(projection, constant, cls, products, factors, shift, cls_row)


def backward(
    p: ParameterStack, tokens: Tokens, of_products: OfProducts, of_cls_row: Tensor, gradients: ParameterStack
) -> None:
    """Writes the gradients of the parameters, from those of the products and of [CLS]'s row, [R, C].

    To that of ``cls_position``, which is that of what attention is added to, it adds: the position's part lies there.
    """
    (runs, rows, width), heads = p["embedding"].shape, tokens.shift.shape[1]
    T, columns, sizes = rows - 2, width + heads, {"D": width, "H": heads, "num_warps": WARPS}
    blocks = triton.cdiv(T, POSITIONS)
    share = triton.cdiv(blocks, triton.cdiv(PROGRAMS, runs)) * POSITIONS
    shares = triton.cdiv(T, share)
    of_projection = p.flat.new_empty(runs, shares, columns, width)
    of_bits, of_bits_share = p.flat.new_empty(runs, shares, 2, width), p.flat.new_empty(runs, shares, 2)
    given = p["embedding"], tokens.projection, tokens.factors, of_products.products, of_products.factors
    outputs = gradients["embedding"], of_projection, of_bits, of_bits_share
    _of_embed[runs, shares](*given, *outputs, T, share, **sizes, P=POSITIONS, PRECISION=precision(p.flat))
    parameters, written = (tuple(stack[name] for name in PARAMETERS) for stack in (p, gradients))
    given = tokens.projection, tokens.cls, tokens.cls_row, of_cls_row, of_products.parts, *outputs[1:]
    embedding = p["embedding"], gradients["embedding"]
    _of_project[runs,](parameters, written, *embedding, *given, T, of_products.parts.shape[1], shares, **sizes)


@triton.jit
def _project(parameters, projection, constant, cls, D: tl.constexpr, H: tl.constexpr):
    """A run's projection, constant, and [CLS]'s value and score."""
    run, d, h = tl.program_id(0).to(tl.int64), tl.arange(0, D), tl.arange(0, H)
    gain, bias, normal, _, _, scores, values = _of_run(parameters, run, D, H)
    at = projection + run * (D + H) * D + d[None]
    tl.store(at + d[:, None] * D, values * gain[None])
    tl.store(at + (D + h[:, None]) * D, scores * gain[None])
    added = tl.sum(values * bias[None], 1) + tl.load(parameters[VALUE_BIAS] + run * D + _channels(D, H))
    tl.store(constant + run * D + d, added)
    tl.store(cls + run * (D + H) + d, tl.sum(values * (gain * normal)[None], 1) + added)
    tl.store(cls + run * (D + H) + D + h, tl.sum(scores * (gain * normal)[None], 1))


@triton.jit(do_not_specialize=["T"])
def _embed(
    embedding,
    projection,
    products,
    factors,
    largest,
    T,
    D: tl.constexpr,
    H: tl.constexpr,
    P: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Products and factors of a block of positions, and the largest score of each head among their tokens."""
    C: tl.constexpr = D + H
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    d, h, t = tl.arange(0, D), tl.arange(0, H), block * P + tl.arange(0, P)
    of_values, of_scores = _load_projection(projection, run, D, H)
    position = _centred(embedding, run, t, T, D)
    row = products + (run * (T + 2) + t[:, None]) * C
    scores = dot(position, tl.trans(of_scores), PRECISION)
    tl.store(row + d[None], dot(position, tl.trans(of_values), PRECISION), mask=(t < T)[:, None])
    tl.store(row + (D + h)[None], scores, mask=(t < T)[:, None])
    most = tl.full((H,), float("-inf"), scores.dtype)
    for bit in tl.static_range(2):
        of_bit = _centred_bit(embedding, run, bit, T, D)
        bit_scores = tl.sum(of_scores * of_bit[None], 1)
        factor = _factor(position, of_bit, D)
        tl.store(factors + (run * 2 + bit) * T + t, factor, mask=t < T)
        both = tl.where((t < T)[:, None], (scores + bit_scores[None]) * factor[:, None], float("-inf"))
        most = tl.maximum(most, tl.max(both, 0))
        if block == 0:
            bit_row = products + (run * (T + 2) + T + bit) * C
            tl.store(bit_row + d, tl.sum(of_values * of_bit[None], 1))
            tl.store(bit_row + D + h, bit_scores)
    tl.store(largest + (run * tl.num_programs(1) + block) * H + h, most)


@triton.jit(do_not_specialize=["blocks"])
def _shift(largest, cls, shift, cls_row, blocks, D: tl.constexpr, H: tl.constexpr):
    """A run's shifts, and [CLS]'s row."""
    run, d, h = tl.program_id(0).to(tl.int64), tl.arange(0, D), tl.arange(0, H)
    score = tl.load(cls + run * (D + H) + D + h)
    most = score
    for block in range(blocks):
        most = tl.maximum(most, tl.load(largest + (run * blocks + block) * H + h))
    weights = tl.exp(score - (most - HEADROOM))
    tl.store(shift + run * H + h, most - HEADROOM)
    tl.store(cls_row + run * (D + H) + D + h, weights)
    weighted = tl.load(cls + run * (D + H) + d)[None] * at_values(weights[None], 1, D // H, H)
    tl.store(cls_row + run * (D + H) + d, tl.sum(weighted, 0))


@triton.jit(do_not_specialize=["T", "share"])
def _of_embed(
    embedding,
    projection,
    factors,
    of_products,
    of_factors,
    of_embedding,
    of_projection,
    of_bits,
    of_bits_share,
    T,
    share,
    D: tl.constexpr,
    H: tl.constexpr,
    P: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The gradients of a share of the positions' embeddings, and its parts of those of the projection and of the bits.

    The latter are a sum of embeddings, of_bits, and a number that the bit's own is to be multiplied by, of_bits_share.
    A factor is S^(-1/2) with S = (|p|² + 2⟨p, e⟩ + |e|²) / d + ε of position and bit.
    """
    C: tl.constexpr = D + H
    run, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    d, h = tl.arange(0, D), tl.arange(0, H)
    of_values, of_scores = _load_projection(projection, run, D, H)
    bit0, bit1 = _centred_bit(embedding, run, 0, T, D), _centred_bit(embedding, run, 1, T, D)
    by_values, by_scores = tl.zeros_like(of_values), tl.zeros_like(of_scores)
    by_bit0, by_bit1 = tl.zeros_like(bit0), tl.zeros_like(bit1)
    share0, share1 = tl.sum(by_bit0), tl.sum(by_bit1)
    for start in range(part * share, tl.minimum((part + 1) * share, T), P):
        t = start + tl.arange(0, P)
        inside = (t < T)[:, None]
        row = of_products + (run * (T + 2) + t[:, None]) * C
        by_value = tl.load(row + d[None], mask=inside, other=0.0)
        by_score = tl.load(row + (D + h)[None], mask=inside, other=0.0)
        position = _centred(embedding, run, t, T, D)
        along0 = _of_inner_product(factors, of_factors, run, 0, t, T, D)
        along1 = _of_inner_product(factors, of_factors, run, 1, t, T, D)
        by_values += dot(tl.trans(by_value), position, PRECISION)
        by_scores += dot(tl.trans(by_score), position, PRECISION)
        by_bit0 += tl.sum(along0[:, None] * position, 0)
        by_bit1 += tl.sum(along1[:, None] * position, 0)
        share0 += tl.sum(along0)
        share1 += tl.sum(along1)
        by_position = dot(by_value, of_values, PRECISION) + dot(by_score, of_scores, PRECISION)
        by_position += along0[:, None] * (position + bit0[None]) + along1[:, None] * (position + bit1[None])
        by_position -= tl.sum(by_position, 1)[:, None] / D
        tl.store(of_embedding + (run * (T + 2) + t[:, None]) * D + d[None], by_position, mask=inside)
    place = run * tl.num_programs(1) + part
    tl.store(of_projection + place * C * D + d[:, None] * D + d[None], by_values)
    tl.store(of_projection + place * C * D + (D + h[:, None]) * D + d[None], by_scores)
    tl.store(of_bits + place * 2 * D + d, by_bit0)
    tl.store(of_bits + (place * 2 + 1) * D + d, by_bit1)
    tl.store(of_bits_share + place * 2, share0)
    tl.store(of_bits_share + place * 2 + 1, share1)


@triton.jit(do_not_specialize=["T", "blocks", "shares"])
def _of_project(
    parameters,
    gradients,
    embedding,
    of_embedding,
    projection,
    cls,
    cls_row,
    of_cls_row,
    parts,
    of_projection,
    of_bits,
    of_bits_share,
    T,
    blocks,
    shares,
    D: tl.constexpr,
    H: tl.constexpr,
):
    """The gradients of a run's parameters but for its positions' embeddings."""
    C: tl.constexpr = D + H
    Q: tl.constexpr = D // H
    run, d, h, channel = tl.program_id(0).to(tl.int64), tl.arange(0, D), tl.arange(0, H), _channels(D, H)
    gain, bias, normal, scale, query, scores, values = _of_run(parameters, run, D, H)
    projected_values, projected_scores = _load_projection(projection, run, D, H)

    row_values, row_weights = tl.load(cls_row + run * C + d)[None], tl.load(cls_row + run * C + D + h)[None]
    g_values, g_weights = tl.load(of_cls_row + run * C + d)[None], tl.load(of_cls_row + run * C + D + h)[None]
    of_cls_value = tl.sum(g_values * at_values(row_weights, 1, Q, H), 0)
    of_cls_score = tl.sum(over_values(g_values * row_values, 1, Q, H) + g_weights * row_weights, 0)

    of_values, of_scores = of_cls_value[:, None] * normal[None], of_cls_score[:, None] * normal[None]
    for part in range(shares):
        at = of_projection + (run * shares + part) * C * D + d[None]
        of_values += tl.load(at + d[:, None] * D)
        of_scores += tl.load(at + (D + h[:, None]) * D)
    of_constant = of_cls_value
    for block in range(blocks):
        of_constant += tl.load(parts + ((run * blocks + block) * 3 + 2) * C + d)
    for bit in tl.static_range(2):
        own = _centred_bit(embedding, run, bit, T, D)
        by_bit = tl.zeros_like(own)
        for part in range(shares):
            place = (run * shares + part) * 2 + bit
            by_bit += tl.load(of_bits + place * D + d) + tl.load(of_bits_share + place) * own
        by_value, by_score = tl.zeros_like(of_constant), tl.zeros_like(of_cls_score)
        for block in range(blocks):
            at = parts + ((run * blocks + block) * 3 + bit) * C
            by_value += tl.load(at + d)
            by_score += tl.load(at + D + h)
        of_values += by_value[:, None] * own[None]
        of_scores += by_score[:, None] * own[None]
        by_bit += tl.sum(by_value[:, None] * projected_values, 0) + tl.sum(by_score[:, None] * projected_scores, 0)
        tl.store(of_embedding + (run * (T + 2) + T + bit) * D + d, by_bit - tl.sum(by_bit) / D)

    of_normal = tl.sum(of_cls_value[:, None] * projected_values, 0)
    of_normal += tl.sum(of_cls_score[:, None] * projected_scores, 0)
    of_gain = tl.sum(of_values * values, 0) + tl.sum(of_scores * scores, 0)
    of_bias = tl.sum(of_constant[:, None] * values, 0)
    at_channels = run * D * D + channel[:, None] * D + d[None]
    tl.store(gradients[VALUE] + at_channels, of_values * gain[None] + of_constant[:, None] * bias[None])
    tl.store(gradients[VALUE_BIAS] + run * D + channel, of_constant)

    at = run * D * D + d[:, None] * D + d[None]
    by_channel = tl.reshape(tl.broadcast_to((of_scores * gain[None])[:, None, :], (H, Q, D)), (D, D)) * _score_scale(Q)
    tl.store(gradients[KEY] + at, by_channel * query[:, None])
    of_query = tl.sum(by_channel * tl.load(parameters[KEY] + at), 1)
    tl.store(gradients[QUERY] + at, of_query[:, None] * (gain * normal + bias)[None])
    tl.store(gradients[QUERY_BIAS] + run * D + d, of_query)
    of_input = tl.sum(of_query[:, None] * tl.load(parameters[QUERY] + at), 0)
    tl.store(gradients[GAIN] + run * D + d, of_gain + of_input * normal)
    tl.store(gradients[BIAS] + run * D + d, of_bias + of_input)
    of_normal += of_input * gain
    of_sum = tl.sum(of_normalised(of_normal[None], normal[None], scale, D), 0)
    of_sum += tl.load(gradients[CLS_POSITION] + run * D + d)
    tl.store(gradients[CLS_POSITION] + run * D + d, of_sum)
    tl.store(gradients[CLS] + run * D + d, of_sum)


@triton.jit
def _of_run(parameters, run, D: tl.constexpr, H: tl.constexpr):
    """Gain, bias, [CLS] after its LayerNorm but for them, its scale, the query, and the weights of scores, [H, d], and
    of values, in the order of columns, [d, d].

    A score is the inner product of a normalised token with the query times the key weights: no key is formed.
    """
    Q: tl.constexpr = D // H
    d = tl.arange(0, D)
    gain, bias = tl.load(parameters[GAIN] + run * D + d), tl.load(parameters[BIAS] + run * D + d)
    summed = tl.load(parameters[CLS] + run * D + d) + tl.load(parameters[CLS_POSITION] + run * D + d)
    rows, scale = normalised(summed[None], D)
    normal = tl.sum(rows, 0)
    at = run * D * D + d[:, None] * D + d[None]
    query = tl.sum(tl.load(parameters[QUERY] + at) * (gain * normal + bias)[None], 1)
    query += tl.load(parameters[QUERY_BIAS] + run * D + d)
    by_channel = tl.load(parameters[KEY] + at) * (query * _score_scale(Q))[:, None]
    scores = tl.sum(tl.reshape(by_channel, (H, Q, D)), 1)
    values = tl.load(parameters[VALUE] + run * D * D + _channels(D, H)[:, None] * D + d[None])
    return gain, bias, normal, scale, query, scores, values


@triton.jit
def _channels(D: tl.constexpr, H: tl.constexpr):
    """Which of attention's channels, in the order [H, Q], the columns of the values are, in the order [Q, H]."""
    column = tl.arange(0, D)
    return column % H * (D // H) + column // H


@triton.jit
def _score_scale(Q: tl.constexpr):
    """1 / sqrt(Q)."""
    return tl.sqrt(1.0 / Q)


@triton.jit
def _load_projection(projection, run, D: tl.constexpr, H: tl.constexpr):
    """That of values, [d, d], and of scores, [H, d]."""
    d, at = tl.arange(0, D), projection + run * (D + H) * D + tl.arange(0, D)[None]
    return tl.load(at + d[:, None] * D), tl.load(at + (D + tl.arange(0, H)[:, None]) * D)


@triton.jit
def _centred(embedding, run, t, T, D: tl.constexpr):
    """The embeddings of positions less their means, [P, d]; 0 where there is no position."""
    row = embedding + (run * (T + 2) + t[:, None]) * D
    rows = tl.load(row + tl.arange(0, D)[None], mask=(t < T)[:, None], other=0.0)
    return rows - tl.sum(rows, 1)[:, None] / D


@triton.jit
def _centred_bit(embedding, run, bit, T, D: tl.constexpr):
    """The embedding of a bit less its mean, [d]."""
    row = tl.load(embedding + (run * (T + 2) + T + bit) * D + tl.arange(0, D))
    return row - tl.sum(row) / D


@triton.jit
def _factor(position, of_bit, D: tl.constexpr):
    """What the LayerNorm multiplies the tokens of positions and a bit by."""
    squares = tl.sum(position * position, 1) + 2 * tl.sum(position * of_bit[None], 1) + tl.sum(of_bit * of_bit)
    return tl.rsqrt(squares / D + EPSILON)


@triton.jit
def _of_inner_product(factors, of_factors, run, bit, t, T, D: tl.constexpr):
    """The gradient of the inner products of positions with a bit, from those of the factors."""
    at = (run * 2 + bit) * T + t
    factor = tl.load(factors + at, mask=t < T, other=0.0)
    return -tl.load(of_factors + at, mask=t < T, other=0.0) * factor * factor * factor / D
