"""Shares and medians of runs as estimates.

What imports SciPy is imported when it is used, since the workflow reads the rules at each of its starts.
"""

import pandas as pd

from pipeline.claims.verdicts import Estimate


def share(name: str, outcomes: pd.Series, confidence: float) -> Estimate:
    """The share of outcomes that are true, with its Jeffreys interval."""
    from pipeline.statistics.success_rates import jeffreys_interval

    count, of = int(outcomes.sum()), len(outcomes)
    low, high = jeffreys_interval(count, of, confidence)
    return Estimate(name, count / of, float(low), float(high))


def median(name: str, values: pd.Series, confidence: float) -> Estimate:
    """The median with its distribution-free interval, open where the values are too few."""
    from pipeline.statistics.medians import median_interval

    return Estimate(name, *median_interval(values.to_numpy(float), confidence))
