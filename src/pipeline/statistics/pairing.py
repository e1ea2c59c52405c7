"""How far the errors of two critical sample sizes go together, because their experiments have runs in common.

Runs of the same T, n and seed in two experiments may share their support, samples and initial values, so one of them
often succeeds where the other does: if the seeds happen to be easy ones, both critical sizes come out small.

To first order the error of ln n_c is a sum over the runs: the run's success, less the rate of its cell, times the
cell's leverage on the point where the fitted logistic curve crosses the share. So the correlation of two errors is the
sum of the products of such terms over the runs in common, over the root of the sums of their squares over all runs.
Of few runs it may come out too large, as where by chance no two runs of a pair differ. So each cell counts as having
``PSEUDO_PAIRS`` more runs, which vary as its fitted rate says and have no counterpart. (Agresti and Min 2005 propose
as many for differences of paired proportions.) docs/statistics.md has the simulated coverage.
"""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

PSEUDO_PAIRS = 2
RUN = ["T", "n", "seed"]


def correlations(one: pd.DataFrame, other: pd.DataFrame, share: float) -> pd.Series:
    """The correlations of the errors of ln n_c in two experiments, at each T of either.

    Args:
        one: an experiment's runs of one function and k, with ``T``, ``n``, ``seed`` and ``success``, and ``n_critical``
            and ``slope`` of the curve that was fitted to the runs of their T.
        other: the other experiment's.
        share: the success rate that defines the critical size, in (0, 1).

    Returns:
        The correlations, in (-1, 1), indexed by T: 0 without runs in common, NaN where a size is censored or missing.
    """
    (errors, variances), (others, other_variances) = (_errors(runs, share) for runs in (one, other))
    return (errors * others).groupby("T").sum() / np.sqrt(variances * other_variances)


def _errors(runs: pd.DataFrame, share: float) -> tuple[pd.Series, pd.Series]:
    """What each run adds to the error of ln n_c, indexed by ``RUN``, and the variance of all that, indexed by T.

    At each T up to a factor, and its square.
    """
    distance = np.log(runs["n"] / runs["n_critical"])
    fitted = expit(logit(share) + runs["slope"] * distance)
    information = fitted * (1 - fitted)
    first, second = ((information * distance**power).groupby(runs["T"]).transform("sum") for power in (1, 2))
    leverage = second - first * distance
    cell = runs.groupby(["T", "n"])["success"]
    errors = leverage * (runs["success"] - cell.transform("mean"))
    pseudo = PSEUDO_PAIRS * leverage**2 * information / cell.transform("size")  # each run's part of its cell's
    variances = (errors**2 + pseudo).groupby(runs["T"]).sum(skipna=False)
    return errors.set_axis(pd.MultiIndex.from_frame(runs[RUN])), variances
