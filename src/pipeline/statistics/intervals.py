"""Intervals of sums of independent estimates, from the estimates' own intervals alone."""

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
