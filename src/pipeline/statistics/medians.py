"""The median of a sample, with an interval that assumes nothing of the distribution."""

import numpy as np
from scipy.stats import binom


def median_interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The median and the order statistics that bound it.

    The number of values below the true median is binomial, so the interval covers at least as often as it says.

    Args:
        values: float [N]; infinite ones are known to be larger than all others.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        The median and the ends of its interval, infinite where the values are too few to bound it (at confidence 0.95,
        fewer than six) or themselves infinite.

    Raises:
        ValueError: confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), not {confidence}")
    ordered, count = np.sort(values), len(values)
    first = int(binom.ppf((1 - confidence) / 2, count, 0.5))  # the interval's lower end is the first-th smallest
    low, high = (ordered[first - 1], ordered[count - first]) if first else (-np.inf, np.inf)
    return float(np.median(ordered)), float(low), float(high)
