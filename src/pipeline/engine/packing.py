"""Packed bits (:mod:`pipeline.data.bits`) as tensors on any device."""

import torch
from torch import Tensor


def unpack(packed: Tensor, length: int) -> Tensor:
    """Rows of T bits: uint8 [..., ⌈T/8⌉], the first bit the highest of the first byte -> bool [..., T]."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(-1) >> shifts & 1).bool().flatten(-2)[..., :length]
