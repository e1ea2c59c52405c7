"""Intervals of sums and differences of estimates, from the estimates' own intervals (MOVER)."""

import numpy as np


def sum_interval(
    weights: np.ndarray, values: np.ndarray, lows: np.ndarray, highs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weighted sum of independent estimates and its interval (MOVER, Zou and Donner 2008).

    The distances from each value to its ends are added as standard errors are, each side for itself, so the interval
    need not be symmetric. Of logarithms, with weights 1 and −1, it is the interval of a ratio.

    Args:
        weights: [M].
        values: the estimates, [M, …].
        lows: the lower ends of their intervals, of the same shape.
        highs: the upper ends.

    Returns:
        The sum and the ends of its interval, each [...]; an end that needs an infinite one is infinite, and one that
        needs NaN is NaN.
    """
    weights = np.reshape(weights, (-1, *[1] * (np.ndim(values) - 1)))
    terms = weights * values
    ends = np.where(weights > 0, [weights * lows, weights * highs], [weights * highs, weights * lows])
    below, above = (np.sqrt(((terms - end) ** 2).sum(axis=0)) for end in ends)
    total = terms.sum(axis=0)
    return total, total - below, total + above


def difference_interval(
    one: np.ndarray, other: np.ndarray, correlation: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The difference of two correlated estimates and its interval (MOVER, Zou 2007).

    It is that of :func:`sum_interval` if the correlation is 0, and the narrower the more the errors go together.

    Args:
        one: the estimates and the lower and upper ends of their intervals, [3, ...].
        other: those of the estimates that are taken off, of the same shape.
        correlation: of the errors of both, in [-1, 1], [...].

    Returns:
        The differences and the ends of their intervals, each [...]; an end that needs NaN is NaN.
    """
    (value, low, high), (less, less_low, less_high) = one, other

    def combined(own: np.ndarray, their: np.ndarray) -> np.ndarray:
        """The root of own² + their² - 2 correlation own their."""
        return np.hypot(own - correlation * their, np.sqrt(1 - correlation**2) * their)

    total = value - less
    return total, total - combined(value - low, less_high - less), total + combined(high - value, less - less_low)
