"""Critical sample sizes as estimates, censored ones by what the grid bounds.

What imports SciPy's statistics is imported when it is used, since the workflow reads the rules at each of its starts.
"""

import math

import pandas as pd
from scipy.special import ndtri

from pipeline.claims.evidence import Evidence, Series
from pipeline.claims.verdicts import Estimate

TABLES = ("critical_sample_size", "success_rates")


def critical_sizes(evidence: Evidence, series: Series, tests: int = 1) -> dict[int, Estimate]:
    """The critical size of each T of a series.

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

    confidence = 1 - (1 - evidence.confidence) / tests
    reach = ndtri((1 + confidence) / 2) / ndtri((1 + evidence.confidence) / 2)
    rates = dict(list(evidence.rows("success_rates", series).groupby("T")))
    sizes = {}
    for row in evidence.rows("critical_sample_size", series).sort_values("T").itertuples():
        cells = rates[row.T]
        lowest, highest = jeffreys_interval(cells["successes"], cells["trials"], confidence)
        below, above = (row.n_critical * (end / row.n_critical) ** reach for end in (row.ci_low, row.ci_high))
        low = _known(below, cells.loc[highest < evidence.share, "n"].max(), 0.0)
        high = _known(above, cells.loc[lowest > evidence.share, "n"].min(), math.inf)
        ends = (low, high) if low <= high else (0.0, math.inf)
        sizes[row.T] = Estimate(f"critical size at T = {row.T}", row.n_critical, *ends)
    return sizes


def _known(*ends: float) -> float:
    """The first end that is known."""
    return next(float(end) for end in ends if not pd.isna(end))
