"""What several kernels are made of."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.engine import attention

EPSILON = tl.constexpr(attention.EPSILON)


def precision(like: Tensor) -> str:
    """Of products, by Triton's name; its interpreter has the CPU's."""
    if not like.is_cuda:
        return "ieee"
    return "tf32" if torch.get_float32_matmul_precision() == "high" else "tf32x3"


@triton.jit
def dot(left, right, PRECISION: tl.constexpr):
    """The product of two blocks."""
    return tl.dot(left, right, input_precision=PRECISION, out_dtype=left.dtype)


@triton.jit
def normalised(x, D: tl.constexpr):
    """Rows with mean 0 and variance 1, and what they were multiplied by, [rows, 1]."""
    centred = x - tl.sum(x, 1)[:, None] / D
    scale = tl.rsqrt(tl.sum(centred * centred, 1) / D + EPSILON)[:, None]
    return centred * scale, scale


@triton.jit
def of_normalised(gradient, normal, scale, D: tl.constexpr):
    """The gradient of rows, from that of :func:`normalised` ones."""
    along = tl.sum(gradient * normal, 1)[:, None] / D
    return (gradient - tl.sum(gradient, 1)[:, None] / D - normal * along) * scale


@triton.jit
def at_values(of_heads, ROWS: tl.constexpr, Q: tl.constexpr, H: tl.constexpr):
    """What heads have at each of their values, [rows, H] -> [rows, d]."""
    return tl.reshape(tl.broadcast_to(of_heads[:, None, :], (ROWS, Q, H)), (ROWS, Q * H))


@triton.jit
def over_values(of_values, ROWS: tl.constexpr, Q: tl.constexpr, H: tl.constexpr):
    """Sums over the values of each head, [rows, d] -> [rows, H]."""
    return tl.sum(tl.reshape(of_values, (ROWS, Q, H)), 1)
