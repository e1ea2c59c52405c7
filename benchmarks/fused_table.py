"""A candidate for the engine on GPUs: the table of tokens and its gradient as Triton kernels, each in one pass.

The engine's ``_WeightedTable`` (pipeline/engine/attention.py) passes over the table some twenty times a step in torch:
most of the element-wise work, which is more than half of a step at T = 500. Here the forward pass writes the table
once, and the backward pass reads it and its gradient once. ``python benchmarks/gpu.py`` measures an engine with it
beside the engine. Until that was done on a GPU it is no part of the engine: it has only run under TRITON_INTERPRET=1,
on a CPU.

Triton comes with PyTorch's CUDA builds. Heads and the width of one are powers of two, as it wants its blocks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx

from pipeline.engine import attention

POSITIONS = 16  # of a block


@triton.jit
def _rows_of(run, bit, t, products, T, Q: tl.constexpr, H: tl.constexpr):
    """Products of a block of positions with one bit, of values [t, Q, H] and of scores [t, H], and where they are."""
    C: tl.constexpr = (Q + 1) * H
    q, h = tl.arange(0, Q), tl.arange(0, H)
    inside = t < T
    of_values, of_scores = q[:, None] * H + h[None, :], Q * H + h
    position, of_bit = products + (run * (T + 2) + t) * C, products + (run * (T + 2) + T + bit) * C
    values = tl.load(position[:, None, None] + of_values[None], mask=inside[:, None, None], other=0.0)
    scores = tl.load(position[:, None] + of_scores[None], mask=inside[:, None], other=0.0)
    return values + tl.load(of_bit + of_values)[None], scores + tl.load(of_bit + of_scores)[None]


@triton.jit
def _forward(products, factors, constant, shift, table, T, Q: tl.constexpr, H: tl.constexpr, N: tl.constexpr):
    """Writes the rows [w ∘ v; w] of a block of positions."""
    C: tl.constexpr = (Q + 1) * H
    run, t = tl.program_id(0).to(tl.int64), tl.program_id(1) * N + tl.arange(0, N)
    q, h = tl.arange(0, Q), tl.arange(0, H)
    inside = t < T
    of_values, of_scores = q[:, None] * H + h[None, :], Q * H + h
    for bit in tl.static_range(2):
        values, scores = _rows_of(run, bit, t, products, T, Q, H)
        factor = tl.load(factors + (run * 2 + bit) * T + t, mask=inside, other=0.0)
        scores = scores * factor[:, None] + tl.load(constant + run * C + of_scores)[None]
        weights = tl.exp(scores - tl.load(shift + run * H + h)[None])
        values = values * factor[:, None, None] + tl.load(constant + run * C + of_values)[None]
        row = table + ((run * 2 + bit) * T + t) * C
        tl.store(row[:, None, None] + of_values[None], weights[:, None, :] * values, mask=inside[:, None, None])
        tl.store(row[:, None] + of_scores[None], weights, mask=inside[:, None])


@triton.jit
def _backward(
    gradient,
    table,
    products,
    factors,
    of_products,
    of_factors,
    sums,
    T,
    Q: tl.constexpr,
    H: tl.constexpr,
    N: tl.constexpr,
):
    """Gradients of a block of positions; its parts of those of both bits and the constant go to [R, blocks, 3, C]."""
    C: tl.constexpr = (Q + 1) * H
    run, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    t = block * N + tl.arange(0, N)
    q, h = tl.arange(0, Q), tl.arange(0, H)
    inside = t < T
    of_values, of_scores = q[:, None] * H + h[None, :], Q * H + h
    part = sums + (run * tl.num_programs(1) + block) * 3 * C
    for bit in tl.static_range(2):
        row = ((run * 2 + bit) * T + t) * C
        at_values, at_scores = row[:, None, None] + of_values[None], row[:, None] + of_scores[None]
        g_values = tl.load(gradient + at_values, mask=inside[:, None, None], other=0.0)
        g_scores = tl.load(gradient + at_scores, mask=inside[:, None], other=0.0)
        weights = tl.load(table + at_scores, mask=inside[:, None], other=0.0)
        weighted = tl.load(table + at_values, mask=inside[:, None, None], other=0.0)
        own_scores = tl.sum(g_values * weighted, 1) + g_scores * weights
        own_values = g_values * weights[:, None, :]
        values, scores = _rows_of(run, bit, t, products, T, Q, H)
        of_factor = tl.sum(tl.sum(own_values * values, 2), 1) + tl.sum(own_scores * scores, 1)
        tl.store(of_factors + (run * 2 + bit) * T + t, of_factor, mask=inside)
        if bit == 0:
            constant_values, constant_scores = tl.sum(own_values, 0), tl.sum(own_scores, 0)
        else:
            constant_values += tl.sum(own_values, 0)
            constant_scores += tl.sum(own_scores, 0)
        factor = tl.load(factors + (run * 2 + bit) * T + t, mask=inside, other=0.0)
        own_values, own_scores = own_values * factor[:, None, None], own_scores * factor[:, None]
        tl.store(part + bit * C + of_values, tl.sum(own_values, 0))
        tl.store(part + bit * C + of_scores, tl.sum(own_scores, 0))
        if bit == 0:
            position_values, position_scores = own_values, own_scores
        else:
            position_values += own_values
            position_scores += own_scores
    position = of_products + (run * (T + 2) + t) * C
    tl.store(position[:, None, None] + of_values[None], position_values, mask=inside[:, None, None])
    tl.store(position[:, None] + of_scores[None], position_scores, mask=inside[:, None])
    tl.store(part + 2 * C + of_values, constant_values)
    tl.store(part + 2 * C + of_scores, constant_scores)


class FusedTable(torch.autograd.Function):
    """Takes and gives what the engine's ``_WeightedTable`` does."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, products: Tensor, factors: Tensor, constant: Tensor, cls_scores: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The rows, [R, 2T, d / H + 1, H], and the heads' shifts, [R, 1, 1, H]."""
        runs, _, T = factors.shape
        heads = cls_scores.shape[3]
        columns = products.shape[2] // heads
        products, factors, constant = products.contiguous(), factors.contiguous(), constant.contiguous()
        scores = products[..., -heads:]
        scores = (scores[:, None, :-2] + scores[:, -2:, None]) * factors.unsqueeze(3) + constant[:, None, :, -heads:]
        shift = torch.maximum(scores.amax((1, 2))[:, None, None], cls_scores) - attention.HEADROOM[scores.dtype]
        table = products.new_empty(runs, 2 * T, columns, heads)
        sizes = {"T": T, "Q": columns - 1, "H": heads, "N": POSITIONS}
        _forward[runs, triton.cdiv(T, POSITIONS)](products, factors, constant, shift.contiguous(), table, **sizes)
        ctx.save_for_backward(products, factors, table)
        ctx.mark_non_differentiable(shift)
        return table, shift

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of what :meth:`forward` was given."""
        products, factors, table = ctx.saved_tensors
        runs, _, T = factors.shape
        columns, heads = table.shape[2:]
        blocks = triton.cdiv(T, POSITIONS)
        of_products, of_factors = torch.empty_like(products), torch.empty_like(factors)
        sums = products.new_empty(runs, blocks, 3, columns * heads)
        sizes = {"T": T, "Q": columns - 1, "H": heads, "N": POSITIONS}
        arguments = gradient.contiguous(), table, products, factors, of_products, of_factors, sums
        _backward[runs, blocks](*arguments, **sizes)
        sums = sums.sum(1)
        of_products[:, -2:] = sums[:, :2]
        return of_products, of_factors, sums[:, 2:], None


@contextmanager
def in_use() -> Iterator[None]:
    """Has the engine take these kernels."""
    before = attention._WeightedTable
    attention._WeightedTable = FusedTable
    try:
        yield
    finally:
        attention._WeightedTable = before
