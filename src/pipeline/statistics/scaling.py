"""How the critical sample size grows with the context length."""

import numpy as np
import pandas as pd

from pipeline.families import FAMILY

COLUMNS = [*FAMILY, "law", "a", "a_low", "a_high", "b", "b_low", "b_high", "r_squared", "points"]
MIN_POINTS = 3


def scaling_fits(critical: pd.DataFrame, replicates: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Fits the law ``n_critical = a·ln T + b`` over the context lengths T whose critical size is not censored.

    The fit is plain least squares. The standard error of a critical size is roughly proportional to the size, which
    over the range of T changes by a small factor, so weights would gain little; and they would rest on estimated
    errors, which collapse where the threshold is steeper than the grid of n resolves.

    Every replicate of the critical sizes is fitted in the same way, and the intervals are the percentiles of those
    fits. They carry the runs' randomness, but not the censored T left out, nor a departure from the law, which
    ``r_squared`` shows, nor the error of thresholds that the grid does not resolve.

    Args:
        critical: the table of ``critical_sample_sizes``.
        replicates: the table of ``bootstrap_critical_sizes`` for the same rates and share.
        confidence: nominal coverage of the intervals, in (0, 1).

    Returns:
        One row per (experiment, function, model, k), sorted by these, with the columns ``law`` (``"log"``), ``a``
        (samples per unit of ln T), ``b`` (samples), their intervals ``a_low``, ``a_high``, ``b_low`` and ``b_high``,
        ``r_squared`` (null if all critical sizes are equal) and ``points`` (the number of T in the fit). With fewer
        than three points the fit is null.

    Raises:
        KeyError: replicates lacks a curve that is not censored.
    """
    rows = [
        dict(zip(FAMILY, address, strict=True)) | {"law": "log"} | _log_law(curves, replicates, confidence)
        for address, curves in critical.groupby(FAMILY)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _log_law(curves: pd.DataFrame, replicates: pd.DataFrame, confidence: float) -> dict:
    """The fitted law of one family of curves, as the columns from ``a`` on."""
    curves = curves[~curves["censored"]]
    if len(curves) < MIN_POINTS:
        return {"points": len(curves)}
    ln_t, sizes = np.log(curves["T"].to_numpy()), curves["n_critical"].to_numpy()
    a, b = np.polyfit(ln_t, sizes, 1)
    drawn = replicates.loc[pd.MultiIndex.from_frame(curves[replicates.index.names])].to_numpy()
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    (a_low, b_low), (a_high, b_high) = np.quantile(np.polyfit(ln_t, drawn, 1), tails, axis=1)
    interval = {"a_low": a_low, "a_high": a_high, "b_low": b_low, "b_high": b_high}
    return {"a": a, "b": b, **interval, "r_squared": _r_squared(sizes, a * ln_t + b), "points": len(curves)}


def _r_squared(observed: np.ndarray, fitted: np.ndarray) -> float:
    """The share of the observed variance that the fit explains; NaN if there is no variance."""
    variance = observed.var()
    return 1 - np.mean((observed - fitted) ** 2) / variance if variance > 0 else np.nan
