"""The sums that attention is made of, and their gradients, on a GPU: Triton kernels that never write the table of tokens.

In torch (attention.py) a step passes over the table of 2T tokens some twenty times and reads one-hot samples, four
bytes a token. Here a program makes the rows of a block of tokens in registers, from their products with the weights,
and multiplies them at once with samples, of which it reads bits. What goes through memory is the products, the sums and
their gradients. The multiplication is the tensor cores': a row is the sum of three bfloat16, which keep all bits of a
float32, and choices are exact. With TF32 as the precision of products, it is TF32's.

Triton comes with PyTorch's CUDA builds. It wants blocks that are powers of two; so are the width and the heads here.

Shapes: R runs, T positions, n samples, d width, H heads, Q = d / H, C = d + H columns, the values' in the order [Q, H]
and then the scores. A block of P positions has 2P tokens: those with bit 0, then those with bit 1.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx

from pipeline.engine.attention import HEADROOM

LARGEST_WIDTH = 128  # whose blocks fit into a multiprocessor

# Blocks of samples and positions, by what was fastest; of programs there are several for each multiprocessor.
FORWARD = {"N": 64, "P": 16, "num_warps": 4}
BACKWARD = {"N": 64, "P": 64, "num_warps": 8}
PROGRAMS = 1000

# Gradients of the sums are as small as the weights in them are large (attention.HEADROOM). Scaled, their last parts in
# bfloat16 are still normal numbers.
GRADIENT_SCALE = tl.constexpr(2.0**20)

# Three products with parts of rows in bfloat16 are as exact as Triton's three of TF32, and faster. Triton 3.6 makes
# wrong ones of fewer columns.
BFLOAT16_COLUMNS = tl.constexpr(64)


def supported(width: int, heads: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there are kernels for it: float32, on a GPU that has bfloat16."""
    if device.type != "cuda" or dtype != torch.float32 or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    return 16 <= heads <= width <= LARGEST_WIDTH and all(size & (size - 1) == 0 for size in (heads, width))


class SumsOfRows(torch.autograd.Function):
    """The samples' sums of the rows [w ∘ v; w] of their tokens, from what gives the tokens' [v; s]."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, products: Tensor, factors: Tensor, constant: Tensor, cls_scores: Tensor, samples: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sums, [R, n, Q + 1, H], and the heads' shifts, [R, 1, 1, H].

        Args:
            ctx: what the backward pass will need.
            products: of the T positions and the two bits with the weights, [R, T + 2, C].
            factors: of the LayerNorm, [R, 2, T].
            constant: what is added to every row, [R, 1, C].
            cls_scores: of [CLS], [R, 1, 1, H].
            samples: their bits, bool [R, n, at least T], or [1, n, …] if all runs share them.
        """
        tokens = [tensor.contiguous() for tensor in (products, factors, constant)]
        shift = _shift(*tokens, cls_scores)
        (runs, _, columns), T, (n, heads) = products.shape, factors.shape[2], (samples.shape[1], shift.shape[3])
        blocks, blocks_of_positions = triton.cdiv(n, FORWARD["N"]), triton.cdiv(T, FORWARD["P"])
        share = triton.cdiv(blocks_of_positions, triton.cdiv(PROGRAMS, runs * blocks)) * FORWARD["P"]
        sums = products.new_empty(runs, triton.cdiv(T, share), n, columns)
        grid, options = (runs, blocks, sums.shape[1]), _options(columns, heads, products)
        _forward[grid](*tokens, shift, *_bits(samples, runs), sums, T, n, share, **options, **FORWARD)
        ctx.save_for_backward(*tokens, shift, samples)
        ctx.mark_non_differentiable(shift)
        return sums.sum(1).unflatten(2, (-1, heads)), shift

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of what :meth:`forward` was given."""
        *tokens, shift, samples = ctx.saved_tensors
        products, factors, _ = tokens
        (runs, _, columns), T, n = products.shape, factors.shape[2], samples.shape[1]
        grid, options = (runs, triton.cdiv(T, BACKWARD["P"])), _options(columns, shift.shape[3], products)
        of_products, of_factors = torch.empty_like(products), torch.empty_like(factors)
        parts = products.new_empty(*grid, 3, columns)
        given = gradient.contiguous(), *tokens, shift, *_bits(samples, runs)
        _backward[grid](*given, of_products, of_factors, parts, T, n, **options, **BACKWARD)
        of_products[:, -2:], of_constant = parts.sum(1).tensor_split([2], 1)
        return of_products, of_factors, of_constant, None, None


def _shift(products: Tensor, factors: Tensor, constant: Tensor, cls_scores: Tensor) -> Tensor:
    """What is subtracted from each head's scores, [R, 1, 1, H]."""
    (runs, _, columns), T, heads = products.shape, factors.shape[2], cls_scores.shape[3]
    largest = products.new_empty(runs, triton.cdiv(T, FORWARD["P"]), heads)
    sizes = {"Q": columns // heads - 1, "H": heads, "P": FORWARD["P"]}
    _largest_scores[largest.shape[:2]](products, factors, constant, largest, T, **sizes)
    return torch.maximum(largest.amax(1)[:, None, None], cls_scores) - HEADROOM[products.dtype]


def _bits(samples: Tensor, runs: int) -> tuple[Tensor, int, int]:
    """Samples, the way from a run's to the next one's, and from one to the next."""
    return samples.view(torch.uint8), samples.stride(0) if len(samples) == runs else 0, samples.stride(1)


def _options(columns: int, heads: int, like: Tensor) -> dict[str, int | str]:
    """Of both kernels; in Triton's interpreter products are the CPU's."""
    tf32 = torch.get_float32_matmul_precision() == "high"
    precision = ("tf32" if tf32 else "tf32x3") if like.is_cuda else "ieee"
    return {"Q": columns // heads - 1, "H": heads, "PRECISION": precision}


@triton.jit(do_not_specialize=["T"])
def _largest_scores(products, factors, constant, largest, T, Q: tl.constexpr, H: tl.constexpr, P: tl.constexpr):
    """The largest score of each head in a block of positions."""
    C: tl.constexpr = (Q + 1) * H
    run, block, head = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.arange(0, H)
    products, factors, constant = _of_run(run, products, factors, constant, T, C)
    bit, t, there = _tokens(block * P, T, P)
    factor = tl.load(factors + bit * T + t, mask=there, other=0.0)
    scores = _products(products, bit, t, there, Q * H + head, T, C) * factor[:, None]
    scores += tl.load(constant + Q * H + head)[None]
    scores = tl.max(tl.where(there[:, None], scores, float("-inf")), 0)
    tl.store(largest + (run * tl.num_programs(1) + block) * H + head, scores)


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
    """The sums of a block of samples over a share of the positions, to [R, shares, n, C]."""
    D: tl.constexpr = Q * H
    C: tl.constexpr = D + H
    run, part = tl.program_id(0).to(tl.int64), tl.program_id(2)
    products, factors, constant = _of_run(run, products, factors, constant, T, C)
    i = tl.program_id(1) * N + tl.arange(0, N)
    of_values, of_weights = tl.zeros((N, D), sums.dtype.element_ty), tl.zeros((N, H), sums.dtype.element_ty)
    for start in range(part * share, tl.minimum((part + 1) * share, T), P):
        bit, t, there = _tokens(start, T, P)
        factor = tl.load(factors + bit * T + t, mask=there, other=0.0)
        _, _, values, weights = _rows(products, factor, constant, shift + run * H, bit, t, there, T, Q, H)
        chosen = _chosen(samples + run * to_run, to_sample, i, n, bit, t, there)
        of_values = _add_product(chosen, values * _at_values(weights, P, Q, H), of_values, PRECISION)
        of_weights = _add_product(chosen, weights, of_weights, PRECISION)
    row = sums + ((run * tl.num_programs(2) + part) * n + i[:, None]) * C
    tl.store(row + tl.arange(0, D)[None], of_values, mask=(i < n)[:, None])
    tl.store(row + (D + tl.arange(0, H))[None], of_weights, mask=(i < n)[:, None])


@triton.jit(do_not_specialize=["T", "n"])
def _backward(
    gradient,
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
    """The gradients of a block of positions, and its parts of those of both bits and the constant, [R, blocks, 3, C].

    In terms of the gradient g of a row [w ∘ v; w], that of v is w ∘ g_v, and that of s the sum over its head of g times
    the row, since both w ∘ v and w have w as a factor.
    """
    D: tl.constexpr = Q * H
    C: tl.constexpr = D + H
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    of_products, of_factors = of_products + run * (T + 2) * C, of_factors + run * 2 * T
    products, factors, constant = _of_run(run, products, factors, constant, T, C)
    parts += (run * tl.num_programs(1) + block) * 3 * C
    of_value, of_score = tl.arange(0, D), D + tl.arange(0, H)
    bit, t, there = _tokens(block * P, T, P)

    g_values, g_weights = tl.zeros((2 * P, D), parts.dtype.element_ty), tl.zeros((2 * P, H), parts.dtype.element_ty)
    for first in range(0, n, N):
        i = first + tl.arange(0, N)
        chosen = tl.trans(_chosen(samples + run * to_run, to_sample, i, n, bit, t, there))
        row, inside = gradient + (run * n + i[:, None]) * C, (i < n)[:, None]
        given = tl.load(row + of_value[None], mask=inside, other=0.0) * GRADIENT_SCALE
        g_values = _add_product(chosen, given, g_values, PRECISION)
        given = tl.load(row + of_score[None], mask=inside, other=0.0) * GRADIENT_SCALE
        g_weights = _add_product(chosen, given, g_weights, PRECISION)
    g_values, g_weights = g_values / GRADIENT_SCALE, g_weights / GRADIENT_SCALE

    factor = tl.load(factors + bit * T + t, mask=there, other=0.0)
    of_v, of_s, values, weights = _rows(products, factor, constant, shift + run * H, bit, t, there, T, Q, H)
    own_s = weights * (tl.sum(tl.reshape(g_values * values, (2 * P, Q, H)), 1) + g_weights)
    own_v = g_values * _at_values(weights, P, Q, H)
    tl.store(of_factors + bit * T + t, tl.sum(own_v * of_v, 1) + tl.sum(own_s * of_s, 1), mask=there)
    tl.store(parts + 2 * C + of_value, tl.sum(own_v, 0))
    tl.store(parts + 2 * C + of_score, tl.sum(own_s, 0))

    own_v, own_s = (tl.reshape(own_v * factor[:, None], (2, P, D)), tl.reshape(own_s * factor[:, None], (2, P, H)))
    of_bit, position = parts + tl.arange(0, 2)[:, None] * C, block * P + tl.arange(0, P)[:, None]
    tl.store(of_bit + of_value[None], tl.sum(own_v, 1))
    tl.store(of_bit + of_score[None], tl.sum(own_s, 1))
    tl.store(of_products + position * C + of_value[None], tl.sum(own_v, 0), mask=position < T)
    tl.store(of_products + position * C + of_score[None], tl.sum(own_s, 0), mask=position < T)


@triton.jit
def _of_run(run, products, factors, constant, T, C: tl.constexpr):
    """Where the run's own begin."""
    return products + run * (T + 2) * C, factors + run * 2 * T, constant + run * C


@triton.jit
def _tokens(start, T, P: tl.constexpr):
    """The bits and positions of a block's tokens, and whether they are among the T."""
    token = tl.arange(0, 2 * P)
    t = start + token % P
    return token // P, t, t < T


@triton.jit
def _products(products, bit, t, there, column, T, C: tl.constexpr):
    """Of a block's tokens with the weights, in some columns."""
    of_position = tl.load(products + t[:, None] * C + column[None], mask=there[:, None], other=0.0)
    return of_position + tl.load(products + (T + bit[:, None]) * C + column[None])


@triton.jit
def _rows(products, factor, constant, shift, bit, t, there, T, Q: tl.constexpr, H: tl.constexpr):
    """Of a block's tokens the products for v and for s, v, and w."""
    C: tl.constexpr = (Q + 1) * H
    of_value, of_score = tl.arange(0, Q * H), Q * H + tl.arange(0, H)
    of_v, of_s = _products(products, bit, t, there, of_value, T, C), _products(products, bit, t, there, of_score, T, C)
    values = of_v * factor[:, None] + tl.load(constant + of_value)[None]
    scores = of_s * factor[:, None] + tl.load(constant + of_score)[None]
    weights = tl.exp(scores - tl.load(shift + tl.arange(0, H))[None])
    return of_v, of_s, values, tl.where(there[:, None], weights, 0.0)


@triton.jit
def _at_values(weights, P: tl.constexpr, Q: tl.constexpr, H: tl.constexpr):
    """The heads' weights at each of their values, [2P, d]."""
    return tl.reshape(tl.broadcast_to(weights[:, None, :], (2 * P, Q, H)), (2 * P, Q * H))


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
