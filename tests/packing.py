"""Packed bits as the engine takes them."""

import torch

from pipeline.data.bits import PackedBits


def packed(bits: torch.Tensor) -> torch.Tensor:
    """bool [..., T] -> uint8 [..., ⌈T/8⌉]."""
    return torch.from_numpy(PackedBits.pack(bits.numpy()).data)
