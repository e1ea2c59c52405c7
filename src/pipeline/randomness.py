"""Named random streams.

Every random number of the project comes from a stream that is addressed by what it is for and by the cell it
belongs to, so a run's data and initialisation do not depend on how runs are packed into jobs or in which order
they run. Only raw 64-bit words of a counter-based generator are used (Philox, seeded through SeedSequence):
NumPy keeps those stable across releases, while its distributions may change.
"""

import hashlib

import numpy as np
from numpy.random import Philox, SeedSequence

PIECE = 2**22  # bits drawn at once, so that the words take little memory beside them; even: two bits a word


class Stream:
    """A reproducible source of random values, addressed by a purpose and the coordinates of a cell.

    Args:
        purpose: what the numbers are for, such as ``"train-inputs"`` or ``"initialisation"``.
        address: the coordinates, such as ``function="and", k=3, T=100, n=50, seed=7``; their order is irrelevant.
    """

    def __init__(self, purpose: str, **address: str | int) -> None:
        name = "/".join([purpose, *(f"{key}={value}" for key, value in sorted(address.items()))])
        entropy = int.from_bytes(hashlib.sha256(name.encode()).digest(), "little")
        self._philox = Philox(SeedSequence(entropy))

    def _words(self, count: int) -> np.ndarray:
        """``count`` raw words, uint64."""
        return self._philox.random_raw(count)

    def bernoulli(self, probability: float, shape: tuple[int, ...]) -> np.ndarray:
        """Independent bits with ``P(1) = probability`` to within 2⁻³², as a bool array of the given shape."""
        bits = np.empty(int(np.prod(shape)), bool)
        for piece in np.split(bits, range(PIECE, len(bits), PIECE)):
            halves = self._words((len(piece) + 1) // 2).astype("<u8", copy=False).view("<u4")[: len(piece)]
            np.less(halves, round(probability * 2**32), out=piece)
        return bits.reshape(shape)

    def subset(self, size: int, population: int) -> np.ndarray:
        """A uniform subset of ``range(population)``, ascending, int64 of length ``size``.

        The positions of the ``size`` smallest of ``population`` random words; a tie has probability below 2⁻³⁰.
        """
        return np.sort(np.argsort(self._words(population), kind="stable")[:size])

    def uniform(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform values in (0, 1], float64 of the given shape, with 53 random bits each."""
        return (((self._words(int(np.prod(shape))) >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(shape)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """Standard normal values, float64 of the given shape, by the Box-Muller transform."""
        count = int(np.prod(shape))
        pairs = (count + 1) // 2
        uniform = self.uniform((2 * pairs,))
        radius, angle = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(shape)
