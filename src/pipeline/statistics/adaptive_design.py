"""Which sample sizes the next runs get: sequential design of the estimate of a critical sample size.

Under the logistic model, logit P(success) = a + b·ln n, a run at n tells P(1 − P) about the curve's height: most where
half of the runs succeed, next to nothing far from there. The estimate's variance is smallest with all runs at the
critical size (for one half, a c-optimal design), but then nothing tells the slope, on which the interval rests too.
What tells most of both (D-optimal) are success rates of 0.18 and 0.82, 1.54 logits on either side (Abdelbasit and
Plackett 1983). The critical size is not known beforehand, so the runs come in rounds, and a fit to all runs so far
chooses each round's sizes (Wu 1985).

They are spread evenly over ``SPREAD`` logits on either side of the fitted critical size. So narrow, because the shape
is only assumed: where the rate levels off below 1, runs far above the threshold pull the fit upwards. In simulation
(docs/results/adaptive) 0.4, 0.6 and 1 give equally wide intervals on a logistic curve; on a curve that levels off
at 0.77, with 200 runs, they overestimate the critical size by 3, 5 and 9 %.
"""

import numpy as np

from pipeline.statistics.critical_sample_size import Curve
from pipeline.statistics.ladder import sizes_between

SPREAD = 0.5  # logits
REACH = 2.0  # the largest factor between a size and the fitted critical size, or the sizes so far


def choose_sizes(curve: Curve, count: int, low: int, high: int) -> list[int]:
    """The sizes of the next round.

    Near the fitted critical size if the runs so far bracket it. Otherwise beyond the largest or smallest size so
    far, on the side on which it lies, up to a factor of ``REACH``.

    Args:
        curve: the counts of the runs so far.
        count: number of sizes.
        low: the smallest size allowed.
        high: the largest size allowed.

    Returns:
        Different sizes among ``sizes_between(low, high)``, ascending.

    Raises:
        ValueError: there are not so many sizes between the bounds.
    """
    allowed = np.array(sizes_between(low, high))
    if len(allowed) < count:
        raise ValueError(f"there are {len(allowed)} sizes from {low} to {high}, fewer than {count}")
    return allowed[_different(_nearest(allowed, _wanted(curve, count)), len(allowed))].tolist()


def _wanted(curve: Curve, count: int) -> np.ndarray:
    """The sizes before bounds and rounding, ascending."""
    if curve.side == "above":
        return curve.n[-1] * REACH ** (np.arange(1, count + 1) / count)
    if curve.side == "below":
        return curve.n[0] / REACH ** (np.arange(count, 0, -1) / count)
    places = (np.arange(count) - (count - 1) / 2) * 2 / max(count - 1, 1)
    width = min(SPREAD / curve.coefficients[1], np.log(REACH))
    return curve.size * np.exp(width * places)


def _nearest(allowed: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each wanted size, the index of the nearest allowed one by ratio."""
    return np.abs(np.log(allowed) - np.log(wanted)[:, None]).argmin(axis=1)


def _different(indices: np.ndarray, length: int) -> np.ndarray:
    """Ascending indices moved apart, as little upwards as downwards, until all differ and are below ``length``."""
    ranks = np.arange(len(indices))
    up = np.maximum.accumulate(indices - ranks)
    down = np.minimum.accumulate((indices - ranks)[::-1])[::-1]
    return ((up + down) // 2).clip(0, length - len(indices)) + ranks
