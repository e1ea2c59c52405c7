"""Rows of bits, packed: T bits take ⌈T/8⌉ bytes, so that inputs of any length fit into memory."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PackedBits:
    """Rows of T bits.

    Attributes:
        data: uint8 [n, ⌈T/8⌉] as numpy.packbits gives it: the first bit is the highest of the first byte.
        length: T.
    """

    data: np.ndarray
    length: int

    @classmethod
    def pack(cls, bits: np.ndarray) -> "PackedBits":
        """Packs bool [n, T]."""
        return cls(np.packbits(bits, axis=-1), bits.shape[-1])

    def unpack(self) -> np.ndarray:
        """All bits, bool [n, T]."""
        return np.unpackbits(self.data, axis=-1, count=self.length).view(bool)

    def columns(self, positions: np.ndarray) -> np.ndarray:
        """The bits at some positions, bool [n, len(positions)]."""
        return (self.data[:, positions // 8] >> (7 - positions % 8).astype(np.uint8) & 1).view(bool)

    def __len__(self) -> int:
        """Number of rows, n."""
        return len(self.data)
