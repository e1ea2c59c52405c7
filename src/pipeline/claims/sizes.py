"""Critical sample sizes as estimates, censored ones by what the grid bounds."""

import math

import pandas as pd

from pipeline.claims.evidence import Evidence, Series
from pipeline.claims.verdicts import Estimate

TABLES = ("critical_sample_size", "success_rates")


def critical_sizes(evidence: Evidence, series: Series) -> dict[int, Estimate]:
    """The critical size of each T of a series.

    Where the estimate leaves an end open, or the size is censored, the success rates bound it: below by the largest n
    whose rate lies under the share with its whole interval, above by the smallest n whose rate lies over it. Rates that
    rise above the share and fall below it again bound nothing.
    """
    rates = dict(list(evidence.rows("success_rates", series).groupby("T")))
    sizes = {}
    for row in evidence.rows("critical_sample_size", series).sort_values("T").itertuples():
        cells = rates[row.T]
        low = _known(row.ci_low, cells.loc[cells["ci_high"] < evidence.share, "n"].max(), 0.0)
        high = _known(row.ci_high, cells.loc[cells["ci_low"] > evidence.share, "n"].min(), math.inf)
        ends = (low, high) if low <= high else (0.0, math.inf)
        sizes[row.T] = Estimate(f"critical size at T = {row.T}", row.n_critical, *ends)
    return sizes


def _known(*ends: float) -> float:
    """The first end that is known."""
    return next(float(end) for end in ends if not pd.isna(end))
