"""The laws by which the critical sample size may grow with the context length.

Every law is parametrised by the logarithms of its values at the anchors, the smallest and the largest context length of
the fitted table; a law of one coefficient by its value at the largest. So the values at the fitted T are positive, and
all laws have parameters of the same kind and size.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import boxcox

LAWS = ("constant", "proportional_log", "log", "power", "linear")
OFFSET_POWER = "offset_power"  # n = a·T^c + b with a known c, which contains the five
FREE = "free"  # a critical size of its own for every T
NESTED = {"constant": ("log", "power", "linear"), "proportional_log": ("log",)}  # the laws that contain a law

SMALLEST = 1e-6  # samples


@dataclass(frozen=True)
class Law:
    """A law n(T), of ``LAWS``, ``OFFSET_POWER`` or ``FREE``, over a table's ascending context lengths, at least two."""

    name: str
    lengths: np.ndarray
    exponent: float = 0.0  # c of ``OFFSET_POWER``

    @property
    def size(self) -> int:
        """The number of parameters."""
        return {"constant": 1, "proportional_log": 1, FREE: len(self.lengths)}.get(self.name, 2)

    @property
    def in_logarithms(self) -> bool:
        """Whether it is ln n, and not n, that is a weighted sum of the law's ``values``."""
        return self.name in ("power", FREE)

    def values(self, parameters: np.ndarray) -> np.ndarray:
        """What n (or ln n, of a law in logarithms) is a weighted sum of, [B, size], from parameters [B, size]."""
        return parameters if self.in_logarithms else np.exp(parameters)

    def weights(self, T: np.ndarray) -> np.ndarray:
        """The weights [G, size] of the values at the context lengths [G]; for ``FREE``, those of the table only."""
        if self.name == FREE:
            return np.equal.outer(T, self.lengths).astype(float)
        if self.size == 1:
            growth = np.log(T) / np.log(self.lengths[-1]) if self.name == "proportional_log" else np.ones(len(T))
            return growth[:, None]
        first, last = self._axis(self.lengths[[0, -1]])
        place = (self._axis(T) - first) / (last - first)
        return np.stack([1 - place, place], axis=1)

    def ln_n(self, parameters: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of ln n and their derivatives by the parameters.

        A falling law, extrapolated to where its n would not be positive, is a millionth of a sample there.

        Args:
            parameters: [B, size].
            T: context lengths [G]; for ``FREE``, those of the table only.

        Returns:
            ln n [B, G] and its derivatives [B, G, size].
        """
        values, weights = self.values(parameters), self.weights(T)
        if self.in_logarithms:
            return values @ weights.T, np.broadcast_to(weights, (len(parameters), *weights.shape))
        n = np.maximum(values @ weights.T, SMALLEST)
        return np.log(n), weights * values[:, None, :] / n[:, :, None]

    def coefficient_weights(self) -> np.ndarray:
        """The weights [2, size] of the values in a and b, of a power law in ln a and b; NaN where it has none."""
        if self.name == "constant":
            return np.array([[np.nan], [1.0]])
        if self.name == "proportional_log":
            return np.array([[1 / np.log(self.lengths[-1])], [np.nan]])
        first, last = self._axis(self.lengths[[0, -1]])
        slope = np.array([-1.0, 1.0]) / (last - first)
        intercept = np.array([1.0, 0.0]) - first * slope
        return np.stack([intercept, slope] if self.name == "power" else [slope, intercept])

    def coefficients(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The law's a and b, each [B], of the parameters [B, size]; NaN where it has none.

        ``constant`` n = b, ``proportional_log`` n = a·ln T, ``log`` n = a·ln T + b, ``power`` n = a·T^b, ``linear``
        n = a·T + b.
        """
        a, b = self.coefficient_weights() @ self.values(parameters).T
        return (np.exp(a) if self.name == "power" else a), b

    def _axis(self, T: np.ndarray) -> np.ndarray:
        """T on the axis on which the law is straight."""
        if self.name == OFFSET_POWER:
            return boxcox(T / self.lengths[0], self.exponent)  # (x^c − 1) / c, and ln x where c is 0
        return np.asarray(T, float) if self.name == "linear" else np.log(T)
