"""The share of successful runs in every cell, with its confidence interval."""

import numpy as np
import pandas as pd
from scipy.stats import beta

from pipeline.families import CELL


def success_rates(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Counts the successes in every cell.

    Args:
        runs: one row per run, with the columns of ``CELL`` and the bool column ``success``. Every run is a trial,
            whatever its status: a run that ended without success did not learn the function.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        One row per cell, sorted by ``CELL``, with the columns ``trials``, ``successes``, ``rate`` (their quotient) and
        ``ci_low`` and ``ci_high`` (the Jeffreys interval of the rate).

    Raises:
        ValueError: confidence is not in (0, 1).
    """
    rates = runs.groupby(CELL, as_index=False)["success"].agg(trials="size", successes="sum")
    rates["rate"] = rates["successes"] / rates["trials"]
    successes, trials = rates["successes"].to_numpy(), rates["trials"].to_numpy()
    rates["ci_low"], rates["ci_high"] = jeffreys_interval(successes, trials, confidence)
    return rates


def jeffreys_interval(successes: np.ndarray, trials: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The Jeffreys interval of a binomial proportion: central quantiles of Beta(successes + ½, failures + ½).

    By convention the interval starts at 0 where nothing succeeded and ends at 1 where nothing failed, without which
    the coverage would drop to zero near these ends (Brown, Cai and DasGupta 2001).

    Args:
        successes: counts, of any shape.
        trials: counts, of the same shape.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        The lower and the upper ends, each of that shape.

    Raises:
        ValueError: confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), not {confidence}")
    failures = trials - successes
    posterior = beta(successes + 0.5, failures + 0.5)
    low = np.where(successes == 0, 0.0, posterior.ppf((1 - confidence) / 2))
    high = np.where(failures == 0, 1.0, posterior.ppf((1 + confidence) / 2))
    return low, high
