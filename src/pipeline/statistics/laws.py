"""The laws by which the critical sample size may grow with the context length.

Every law is parametrised by the logarithms of its values at the anchors, the smallest and the largest context length of
the fitted table; a law of one coefficient by its value at the largest. So the values at the fitted T are positive, and
all laws have parameters of the same kind and size.
"""

from dataclasses import dataclass

import numpy as np

LAWS = ("constant", "proportional_log", "log", "power", "linear")
FREE = "free"  # a critical size of its own for every T
NESTED = {"constant": ("log", "power", "linear"), "proportional_log": ("log",)}  # the laws that contain a law

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Law:
    """A law n(T), one of ``LAWS`` or ``FREE``, over the ascending context lengths of a table, at least two."""

    name: str
    lengths: np.ndarray

    @property
    def size(self) -> int:
        """The number of parameters."""
        return {"constant": 1, "proportional_log": 1, FREE: len(self.lengths)}.get(self.name, 2)

    def ln_n(self, parameters: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of ln n and their derivatives by the parameters.

        A falling law, extrapolated to where its n would not be positive, is a millionth of a sample there.

        Args:
            parameters: [B, size].
            T: context lengths [G]; for ``FREE``, those of the table only.

        Returns:
            ln n [B, G] and its derivatives [B, G, size].
        """
        shape = (len(parameters), len(T), self.size)
        if self.name == FREE:
            own = np.equal.outer(T, self.lengths).astype(float)
            return parameters @ own.T, np.broadcast_to(own, shape)
        if self.size == 1:
            offset = np.log(np.log(T) / np.log(self.lengths[-1])) if self.name == "proportional_log" else 0.0
            return parameters + np.broadcast_to(offset, len(T)), np.ones(shape)
        place = self._place(T)
        weights = np.stack([1 - place, place], axis=1)
        if self.name == "power":
            return parameters @ weights.T, np.broadcast_to(weights, shape)
        ends = np.exp(parameters)
        n = np.maximum(ends @ weights.T, _SMALLEST)
        return np.log(n), weights * ends[:, None, :] / n[:, :, None]

    def coefficients(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The law's a and b, each [B], of the parameters [B, size]; NaN where it has none.

        ``constant`` n = b, ``proportional_log`` n = a·ln T, ``log`` n = a·ln T + b, ``power`` n = a·T^b, ``linear``
        n = a·T + b.
        """
        none = np.full(len(parameters), np.nan)
        first, last = self.lengths[[0, -1]].astype(float)
        if self.name == "constant":
            return none, np.exp(parameters[:, 0])
        if self.name == "proportional_log":
            return np.exp(parameters[:, 0]) / np.log(last), none
        if self.name == "power":
            exponent = (parameters[:, 1] - parameters[:, 0]) / np.log(last / first)
            return np.exp(parameters[:, 0] - exponent * np.log(first)), exponent
        low, high = np.exp(parameters).T
        start, end = (first, last) if self.name == "linear" else np.log([first, last])
        a = (high - low) / (end - start)
        return a, low - a * start

    def _place(self, T: np.ndarray) -> np.ndarray:
        """Where T lies between the anchors, from 0 to 1, on the axis on which the law is straight."""
        axis = (lambda x: np.asarray(x, float)) if self.name == "linear" else np.log
        first, last = axis(self.lengths[[0, -1]])
        return (axis(T) - first) / (last - first)
