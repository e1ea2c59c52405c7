"""The critical sample size: the number of training samples at which a given share of the runs succeeds.

The success rate is modelled as a logistic function of ln n, fitted with Firth's penalty, and the critical size is
where the fitted curve crosses the share. The grid of n must show both sides of the crossing; otherwise the size is
censored: it lies below or above the grid and has no value.

The interval is the percentile interval of a parametric bootstrap, which draws new counts from the fitted curve.
Resampling the runs themselves (the case bootstrap) never varies a cell in which all runs agree, and with a steep
threshold most cells are of that kind. Simulated coverage at confidence 0.95 (slopes b in logits per unit of ln n; 19
sizes from 20 to 400, equally spaced in ln n; shares 0.5 and 0.9; 500 repetitions, so ±0.02 at two standard errors):

======  ========  =============  ===================  =============================================
b       runs/cell case           parametric           parametric, widened if the grid is too coarse
======  ========  =============  ===================  =============================================
4-20    50        0.93 to 0.96   0.94 to 0.96         0.93 to 0.95
4-20    10        0.85 to 0.92   0.93 to 0.96         0.93 to 0.97
40      10 or 50  0.52 to 0.88   0.61 to 0.94         0.95 to 1.00
100     10 or 50  0.11 to 0.27   0.28 to 0.71         0.99 to 1.00
======  ========  =============  ===================  =============================================

The last column is what ``critical_sample_sizes`` does: where at most one cell has both successes and failures, the
rise is too steep for the grid to show its slope, on which the replicates rely, and the interval reaches at least to
the sizes on the grid next to the critical one.

The logistic shape is assumed, not tested. Where the rate levels off below 1 the critical size comes out too large
(in simulation by 7 % for a plateau at 0.95 and by a third for 0.8, at share 0.5 and b = 10), and a skewed rise, such as
the complementary log-log, shifts it by about 4 %. ``n_grid`` assumes nothing and is the check.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pipeline.randomness import Stream
from pipeline.statistics.logistic import firth_fit

CURVE = ["experiment", "function", "model", "k", "T"]
ESTIMATES = ["n_critical", "ci_low", "ci_high", "n_grid", "censored", "censored_side", "slope"]


def critical_sample_sizes(rates: pd.DataFrame, share: float, confidence: float, bootstrap: int) -> pd.DataFrame:
    """Estimates the critical sample size of every curve of success rates.

    Args:
        rates: the table of ``success_rates``; its columns ``CURVE``, ``n``, ``trials`` and ``successes`` are used.
        share: the success rate that defines the critical size, in (0, 1).
        confidence: nominal coverage of the interval, in (0, 1).
        bootstrap: number of bootstrap replicates behind the interval.

    Returns:
        One row per curve, sorted by ``CURVE``, with the columns

        - ``n_critical``: the n at which the fitted curve crosses the share, in samples; null if censored.
        - ``ci_low``, ``ci_high``: its interval. An end is null if the grid does not bound it: if censored, or if that
          tail's replicates are censored.
        - ``n_grid``: the smallest n of the grid whose observed rate reaches the share, the paper's definition; null if
          there is none.
        - ``censored``, ``censored_side``: whether the grid fails to bracket the critical size, and where that then
          lies: ``"below"`` (at most the smallest n), ``"above"`` (over the largest n), or ``""`` if not censored.
          The grid brackets it if some observed rates reach the share and some do not, and the fitted curve is under
          the share at the smallest n and not at the largest. A curve that falls through the share is ``"above"``.
        - ``slope``: of the fitted curve, in logits per unit of ln n; null if there are fewer than two n.

    Raises:
        ValueError: share is not in (0, 1).
        RuntimeError: a fit did not converge (see ``firth_fit``).
    """
    rows = [curve.address | _estimates(curve, confidence, bootstrap) for curve in _curves(rates, share)]
    types = dict.fromkeys(["n_critical", "ci_low", "ci_high", "slope"], float) | {"n_grid": "Int64", "censored": bool}
    return pd.DataFrame(rows, columns=[*CURVE, *ESTIMATES]).astype(types)


def bootstrap_critical_sizes(rates: pd.DataFrame, share: float, bootstrap: int) -> pd.DataFrame:
    """The bootstrap replicates of the critical sizes, the very ones behind their intervals.

    Every curve's replicates are drawn from streams of their own, so they are reproducible and independent of which
    other curves are in the table.

    Args:
        rates: as for ``critical_sample_sizes``.
        share: as for ``critical_sample_sizes``.
        bootstrap: number of replicates.

    Returns:
        One row per curve that is not censored, indexed by ``CURVE``, and one column per replicate; in samples. A
        replicate that is censored itself counts as the end of the grid that it lies beyond.

    Raises:
        ValueError: share is not in (0, 1).
        RuntimeError: a fit did not converge (see ``firth_fit``).
    """
    curves = [curve for curve in _curves(rates, share) if curve.side == ""]
    index = pd.MultiIndex.from_frame(pd.DataFrame([curve.address for curve in curves], columns=CURVE))
    return pd.DataFrame([_replicates(curve, bootstrap) for curve in curves], index, range(bootstrap))


@dataclass(frozen=True)
class Curve:
    """One curve of success counts: G sample sizes in ascending order, and the share that defines the critical one.

    The trials may differ from size to size.
    """

    address: dict[str, str | int]
    n: np.ndarray
    successes: np.ndarray
    trials: np.ndarray
    share: float

    @cached_property
    def coefficients(self) -> tuple[float, float]:
        """Intercept and slope of the fitted curve in ln n."""
        intercepts, slopes = self._fit(self.successes[None])
        return intercepts[0], slopes[0]

    @cached_property
    def size(self) -> float:
        """The critical size; 0 or infinity if it lies below or above the grid."""
        return self._crossings(self.successes[None], *np.array(self.coefficients)[:, None])[0]

    @property
    def side(self) -> str:
        """The censored side, empty if the grid brackets the critical size."""
        return {0: "below", np.inf: "above"}.get(self.size, "")

    def sizes(self, successes: np.ndarray) -> np.ndarray:
        """The critical sizes [B] of the tables of counts [B, G]; 0 or infinity if below or above the grid."""
        return self._crossings(successes, *self._fit(successes))

    def _fit(self, successes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return firth_fit(np.log(self.n), successes, self.trials)

    def _crossings(self, successes: np.ndarray, intercept: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """The critical sizes [B] of tables of counts [B, G] by their fitted intercepts [B] and slopes [B]."""
        ln_n, target = np.log(self.n), logit(self.share)
        first, last = intercept + slope * ln_n[0], intercept + slope * ln_n[-1]
        bracketed = (first < target) & (target <= last)
        crossing = np.divide(target - intercept, slope, out=np.zeros_like(slope), where=bracketed)
        reached = successes / self.trials >= self.share
        return np.select(
            [~reached.any(axis=1), reached.all(axis=1), last < target, first >= target],
            [np.inf, 0, np.inf, 0],
            np.exp(crossing),
        )


def _curves(rates: pd.DataFrame, share: float) -> Iterator[Curve]:
    """The curves of the table, sorted."""
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), not {share}")
    for address, cells in rates.sort_values("n").groupby(CURVE):
        counts = (cells[column].to_numpy() for column in ["n", "successes", "trials"])
        yield Curve(dict(zip(CURVE, address, strict=True)), *counts, share)


def _estimates(curve: Curve, confidence: float, bootstrap: int) -> dict:
    """The columns ``ESTIMATES`` of one curve."""
    reaching = curve.n[curve.successes / curve.trials >= curve.share]
    censored = curve.side != ""
    interval = (np.nan, np.nan) if censored else _interval(curve, confidence, bootstrap)
    size = np.nan if censored else curve.size
    n_grid = reaching.min() if len(reaching) else pd.NA
    return dict(zip(ESTIMATES, [size, *interval, n_grid, censored, curve.side, curve.coefficients[1]], strict=True))


def _interval(curve: Curve, confidence: float, bootstrap: int) -> tuple[float, float]:
    """The interval of a critical size within the grid; NaN for an end at the grid's end."""
    ends = np.quantile(_replicates(curve, bootstrap), [(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.where((curve.n[0] < ends) & (ends < curve.n[-1]), ends, np.nan)
    mixed = (curve.successes > 0) & (curve.successes < curve.trials)
    if mixed.sum() <= 1:  # np.minimum and np.maximum keep an open end open
        low = np.minimum(low, curve.n[curve.n <= curve.size].max())
        high = np.maximum(high, curve.n[curve.n >= curve.size].min())
    return low, high


def _replicates(curve: Curve, bootstrap: int) -> np.ndarray:
    """Critical sizes [bootstrap] of counts drawn from the fitted curve, clipped to the grid."""
    intercept, slope = curve.coefficients
    cells = zip(curve.n, expit(intercept + slope * np.log(curve.n)), curve.trials, strict=True)
    counts = [
        Stream("bootstrap", **curve.address, n=n).bernoulli(rate, (bootstrap, trials)).sum(axis=1)
        for n, rate, trials in cells
    ]
    return curve.sizes(np.stack(counts, axis=1)).clip(curve.n[0], curve.n[-1])
