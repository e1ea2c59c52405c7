"""Critical sample sizes as estimates, censored ones by what the grid bounds.

What imports SciPy's statistics is imported when it is used, since the workflow reads the rules at each of its starts.
"""

import math

import pandas as pd
from scipy.special import ndtri

from pipeline.claims.evidence import Evidence, Series
from pipeline.claims.verdicts import Estimate

TABLES = ("critical_sample_size", "success_rates")


def sizes_of_learner(evidence: Evidence, series: Series, tests: int = 1) -> dict[int, Estimate]:
    """The critical size of each T of a series, where it can be by the joint model of all runs.

    The joint model lets the success rate level off below 1. Where it is not fitted, or the rates of a T lie on one side
    of the share, the size is that of the T alone, which comes out too large where the rate levels off.

    Args:
        evidence: the tables, ``law_sizes`` among them.
        series: whose sizes.
        tests: as for :func:`critical_sizes`.
    """
    _, reach = _confidence(evidence, tests)
    rows = series.of(evidence.tables["law_sizes"])
    jointly = {row.T: _estimate(row, row.n, row.n_low, row.n_high, reach) for row in rows.itertuples() if row.bracketed}
    return critical_sizes(evidence, series, tests) | jointly


def critical_sizes(evidence: Evidence, series: Series, tests: int = 1) -> dict[int, Estimate]:
    """The critical size of each T of a series, by the runs of this T alone.

    Where the estimate leaves an end open, or the size is censored, the success rates bound it: below by the largest n
    whose rate lies under the share with its whole interval, above by the smallest n whose rate lies over it. Rates that
    rise above the share and fall below it again bound nothing.

    Args:
        evidence: the tables.
        series: whose sizes.
        tests: how many intervals are to miss together as rarely as one: each has the confidence 1 − (1 − c) / tests
            (Bonferroni). An estimate's ends move away from it, in ln n, as normal quantiles do.
    """
    from pipeline.statistics.success_rates import jeffreys_interval

    confidence, reach = _confidence(evidence, tests)
    rates = dict(list(evidence.rows("success_rates", series).groupby("T")))
    sizes = {}
    for row in evidence.rows("critical_sample_size", series).sort_values("T").itertuples():
        cells = rates[row.T]
        lowest, highest = jeffreys_interval(cells["successes"], cells["trials"], confidence)
        alone = _estimate(row, row.n_critical, row.ci_low, row.ci_high, reach)
        low = _known(alone.low, cells.loc[highest < evidence.share, "n"].max(), 0.0)
        high = _known(alone.high, cells.loc[lowest > evidence.share, "n"].min(), math.inf)
        ends = (low, high) if low <= high else (0.0, math.inf)
        sizes[row.T] = Estimate(alone.name, alone.value, *ends)
    return sizes


def _confidence(evidence: Evidence, tests: int) -> tuple[float, float]:
    """The confidence of each of several tests, and how much wider its intervals are, in normal quantiles."""
    confidence = 1 - (1 - evidence.confidence) / tests
    return confidence, ndtri((1 + confidence) / 2) / ndtri((1 + evidence.confidence) / 2)


def _estimate(row: tuple, size: float, low: float, high: float, reach: float) -> Estimate:
    """A size with its interval, widened in ln n."""
    return Estimate(f"critical size at T = {row.T}", size, *(size * (end / size) ** reach for end in (low, high)))


def _known(*ends: float) -> float:
    """The first end that is known."""
    return next(float(end) for end in ends if not pd.isna(end))
