"""The sums of the rows [w ∘ v; w] over the tokens of each sample, and their gradients.

A program makes the rows of a block of tokens in registers and multiplies them at once with samples, of which it reads
bits: the table of 2T tokens is never written, and no one-hot samples are read. A block of P positions has 2P tokens,
those with bit 0, then those with bit 1.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.engine.fused.operations import at_values, over_values, precision
from pipeline.engine.fused.tokens import OfProducts, Tokens

# Blocks of samples and positions, by what was fastest (docs/results/gpu); of programs several for each multiprocessor.
FORWARD = {"N": 64, "P": 16, "num_warps": 4}
BACKWARD = {"N": 64, "P": 64, "num_warps": 8}
PROGRAMS = 1000

# Gradients of the sums are as small as the weights in them are large (attention.HEADROOM). Scaled, the last parts of
# them are still normal numbers.
SCALE = tl.constexpr(2.0**20)

# Three products with parts of rows in bfloat16 are as exact as Triton's three of TF32, and faster. Triton 3.6 makes
# wrong ones of fewer columns.
BFLOAT16_COLUMNS = tl.constexpr(64)


def forward(tokens: Tokens, samples: Tensor) -> Tensor:
    """Sums over shares of the positions, [R, shares, n, C], from samples as ``train`` takes them."""
    (runs, _, columns), T, n = tokens.products.shape, tokens.factors.shape[2], samples.shape[1]
    blocks = triton.cdiv(n, FORWARD["N"])
    share = triton.cdiv(triton.cdiv(T, FORWARD["P"]), triton.cdiv(PROGRAMS, runs * blocks)) * FORWARD["P"]
    sums = tokens.products.new_empty(runs, triton.cdiv(T, share), n, columns)
    grid = runs, blocks, sums.shape[1]
    _forward[grid](*_given(tokens, samples), sums, T, n, share, **_options(tokens), **FORWARD)
    return sums


def backward(tokens: Tokens, samples: Tensor, of_sums: Tensor) -> OfProducts:
    """The gradients of the products, from that of the sums, [R, n, C]."""
    (runs, _, columns), T, n = tokens.products.shape, tokens.factors.shape[2], samples.shape[1]
    grid = runs, triton.cdiv(T, BACKWARD["P"])
    of_products, of_factors = torch.empty_like(tokens.products), torch.empty_like(tokens.factors)
    parts = tokens.products.new_empty(*grid, 3, columns)
    outputs = of_products, of_factors, parts
    _backward[grid](of_sums, *_given(tokens, samples), *outputs, T, n, **_options(tokens), **BACKWARD)
    return OfProducts(*outputs)


def _given(tokens: Tokens, samples: Tensor) -> tuple[Tensor | int, ...]:
    """What both kernels read; last the way from a run's samples to the next one's, and from one to the next."""
    to_run = samples.stride(0) if len(samples) == len(tokens.products) else 0
    inputs = tokens.products, tokens.factors, tokens.constant, tokens.shift
    return *inputs, samples.view(torch.uint8), to_run, samples.stride(1)


def _options(tokens: Tokens) -> dict[str, int | str]:
    heads = tokens.shift.shape[1]
    return {"Q": tokens.constant.shape[1] // heads, "H": heads, "PRECISION": precision(tokens.products)}


@triton.jit(do_not_specialize=["T", "n", "share"])
def _forward(
    products,
    factors,
    constant,
    shift,
    samples,
    to_run,
    to_sample,
    sums,
    T,
    n,
    share,
    Q: tl.constexpr,
    H: tl.constexpr,
    N: tl.constexpr,
    P: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The sums of a block of samples over a share of the positions."""
    D: tl.constexpr = Q * H
    C: tl.constexpr = D + H
    run, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    i = tl.program_id(1) * N + tl.arange(0, N)
    of_values, of_weights = tl.zeros((N, D), sums.dtype.element_ty), tl.zeros((N, H), sums.dtype.element_ty)
    for start in range(part * share, tl.minimum((part + 1) * share, T), P):
        bit, t, there = _tokens(start, T, P)
        _, _, _, values, weights = _rows(products, factors, constant, shift, run, bit, t, there, T, Q, H)
        chosen = _chosen(samples + run * to_run, to_sample, i, n, bit, t, there)
        of_values = _add_product(chosen, values * at_values(weights, 2 * P, Q, H), of_values, PRECISION)
        of_weights = _add_product(chosen, weights, of_weights, PRECISION)
    row = sums + ((run * tl.num_programs(2) + part) * n + i[:, None]) * C
    tl.store(row + tl.arange(0, D)[None], of_values, mask=(i < n)[:, None])
    tl.store(row + (D + tl.arange(0, H))[None], of_weights, mask=(i < n)[:, None])


@triton.jit(do_not_specialize=["T", "n"])
def _backward(
    of_sums,
    products,
    factors,
    constant,
    shift,
    samples,
    to_run,
    to_sample,
    of_products,
    of_factors,
    parts,
    T,
    n,
    Q: tl.constexpr,
    H: tl.constexpr,
    N: tl.constexpr,
    P: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The gradients of a block of positions, and its parts of those of both bits and the constant.

    In terms of the gradient g of a row [w ∘ v; w], that of v is w ∘ g_v, and that of s the sum over its head of g times
    the row, since both w ∘ v and w have w as a factor.
    """
    D: tl.constexpr = Q * H
    C: tl.constexpr = D + H
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    of_value, of_score = tl.arange(0, D), D + tl.arange(0, H)
    bit, t, there = _tokens(block * P, T, P)

    g_values, g_weights = tl.zeros((2 * P, D), parts.dtype.element_ty), tl.zeros((2 * P, H), parts.dtype.element_ty)
    for first in range(0, n, N):
        i = first + tl.arange(0, N)
        chosen = tl.trans(_chosen(samples + run * to_run, to_sample, i, n, bit, t, there))
        row, inside = of_sums + (run * n + i[:, None]) * C, (i < n)[:, None]
        given = tl.load(row + of_value[None], mask=inside, other=0.0) * SCALE
        g_values = _add_product(chosen, given, g_values, PRECISION)
        given = tl.load(row + of_score[None], mask=inside, other=0.0) * SCALE
        g_weights = _add_product(chosen, given, g_weights, PRECISION)
    g_values, g_weights = g_values / SCALE, g_weights / SCALE

    of_v, of_s, factor, values, weights = _rows(products, factors, constant, shift, run, bit, t, there, T, Q, H)
    own_s = weights * (over_values(g_values * values, 2 * P, Q, H) + g_weights)
    own_v = g_values * at_values(weights, 2 * P, Q, H)
    of_factor = tl.sum(own_v * of_v, 1) + tl.sum(own_s * of_s, 1)
    tl.store(of_factors + (run * 2 + bit) * T + t, of_factor, mask=there)
    part = parts + (run * tl.num_programs(1) + block) * 3 * C
    tl.store(part + 2 * C + of_value, tl.sum(own_v, 0))
    tl.store(part + 2 * C + of_score, tl.sum(own_s, 0))

    own_v, own_s = tl.reshape(own_v * factor[:, None], (2, P, D)), tl.reshape(own_s * factor[:, None], (2, P, H))
    of_bit, position = part + tl.arange(0, 2)[:, None] * C, block * P + tl.arange(0, P)[:, None]
    tl.store(of_bit + of_value[None], tl.sum(own_v, 1))
    tl.store(of_bit + of_score[None], tl.sum(own_s, 1))
    row = of_products + (run * (T + 2) + position) * C
    tl.store(row + of_value[None], tl.sum(own_v, 0), mask=position < T)
    tl.store(row + of_score[None], tl.sum(own_s, 0), mask=position < T)


@triton.jit
def _tokens(start, T, P: tl.constexpr):
    """The bits and positions of a block's tokens, and whether they are among the T."""
    token = tl.arange(0, 2 * P)
    t = start + token % P
    return token // P, t, t < T


@triton.jit
def _rows(products, factors, constant, shift, run, bit, t, there, T, Q: tl.constexpr, H: tl.constexpr):
    """Of a block's tokens the products for v and for s, the LayerNorm's factor, v, and w."""
    D: tl.constexpr = Q * H
    of_value, of_score = tl.arange(0, D), D + tl.arange(0, H)
    row = products + (run * (T + 2) + t[:, None]) * (D + H)
    of_bit = products + (run * (T + 2) + T + bit[:, None]) * (D + H)
    of_v = tl.load(row + of_value[None], mask=there[:, None], other=0.0) + tl.load(of_bit + of_value[None])
    of_s = tl.load(row + of_score[None], mask=there[:, None], other=0.0) + tl.load(of_bit + of_score[None])
    factor = tl.load(factors + (run * 2 + bit) * T + t, mask=there, other=0.0)
    values = of_v * factor[:, None] + tl.load(constant + run * D + of_value)[None]
    weights = tl.exp(of_s * factor[:, None] - tl.load(shift + run * H + tl.arange(0, H))[None])
    return of_v, of_s, factor, values, tl.where(there[:, None], weights, 0.0)


@triton.jit
def _chosen(samples, to_sample, i, n, bit, t, there):
    """Which of a block's tokens are in which samples, [N, 2P]."""
    at = samples + i[:, None].to(tl.int64) * to_sample + t[None]
    return tl.load(at, mask=(i < n)[:, None] & there[None], other=2) == bit[None]


@triton.jit
def _add_product(chosen, rows, sums, PRECISION: tl.constexpr):
    """The sums, and the product of choices with rows added to them."""
    if PRECISION == "tf32x3" and rows.shape[1] >= BFLOAT16_COLUMNS:
        chosen = chosen.to(tl.bfloat16)
        for _ in tl.static_range(3):
            part = rows.to(tl.bfloat16)
            rows -= part.to(tl.float32)
            sums = tl.dot(chosen, part, sums)
    else:
        sums = tl.dot(chosen.to(rows.dtype), rows, sums, input_precision=PRECISION, out_dtype=sums.dtype)
    return sums
