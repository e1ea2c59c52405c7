"""When online training leaves the plateau, and how that step grows with the context length.

The transition of a run is the first evaluation at which the success rule is met. A run without one is censored: its
transition lies beyond the step at which the run ended, be it at the last step or because it diverged.

Evaluations are ``eval_every`` steps apart, so a recorded transition is late by up to that. Medians are of the recorded
steps; the power law takes each run's step for what is known of it: after the evaluation before (or the start), and not
after its own. Recorded steps would make exponents too small where the difference is not small beside them, which is at
short contexts first.
"""

import numpy as np
import pandas as pd

from pipeline.families import CELL, FAMILY
from pipeline.statistics.censored_regression import NoMaximumError, fit, slope_interval
from pipeline.statistics.medians import median_interval

ESTIMATES = ["runs", "reached", "median", "ci_low", "ci_high", "censored"]
LAW = ["exponent", "exponent_low", "exponent_high", "constant", "spread"]
COUNTS = ["runs", "censored_runs", "points"]


def transitions(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The median step of the transition in every cell.

    The interval is that of :func:`pipeline.statistics.medians.median_interval`.

    Args:
        runs: one row per run of online experiments, with the columns of ``CELL``, ``success_step`` (null if the run
            is censored) and ``steps`` (the step at which it ended).
        confidence: coverage of the interval, in (0, 1).

    Returns:
        One row per cell, sorted by ``CELL``, with the columns

        - ``runs``, ``reached``: the number of runs, and of those with a transition.
        - ``median``: of the transitions in steps, censored runs counting as later than all others; null if
          ``censored``, that is, if half of the runs or more are.
        - ``ci_low``, ``ci_high``: its interval. An end is null, so the interval open, if it falls among the censored
          runs or if the runs are too few to bound it (at confidence 0.95, fewer than six).

    Raises:
        ValueError: confidence is not in (0, 1).
    """
    rows = [
        dict(zip(CELL, cell, strict=True)) | _median(own["success_step"], confidence)
        for cell, own in runs.groupby(CELL)
    ]
    types = dict.fromkeys(["median", "ci_low", "ci_high"], float) | {"censored": bool}
    return pd.DataFrame(rows, columns=[*CELL, *ESTIMATES]).astype(types)


def _median(success_steps: pd.Series, confidence: float) -> dict:
    """The columns ``ESTIMATES`` of one cell."""
    steps = success_steps.astype("Float64").fillna(np.inf).to_numpy(float)
    median, low, high = (value if np.isfinite(value) else np.nan for value in median_interval(steps, confidence))
    reached = int(np.isfinite(steps).sum())
    return dict(zip(ESTIMATES, [len(steps), reached, median, low, high, np.isnan(median)], strict=True))


def transition_fits(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Fits the power law ``step = constant · T^exponent`` with a log-normal spread of the runs about it.

    That is ``ln step ~ N(ln constant + exponent · ln T, spread²)``, fitted by maximum likelihood to all runs, the
    censored ones included: leaving them out makes slow context lengths look fast. The step of a run that met the
    success rule lies between two evaluations, and that is all the fit takes for known. The interval of the exponent
    comes from the profile likelihood (see ``slope_interval``). Simulated, it covers as often as it says,
    also where many runs end at the first evaluation, and the exponent is not biased (tests).

    For sparse parities of k bits the number of steps is expected to grow like T^O(k) (Barak et al. 2022); a power law
    of the emergence time is also what Zucchet et al. (2025) find for sparse attention.

    Args:
        runs: as for ``transitions``, with ``eval_every``, the steps between evaluations; all T and n of a family are
            pooled.
        confidence: nominal coverage of the interval, in (0, 1).

    Returns:
        One row per (experiment, function, model, k), sorted by these, with the columns ``exponent``,
        ``exponent_low``, ``exponent_high``, ``constant`` (steps), ``spread`` (of ln step; the maximum-likelihood value,
        which is too small for few runs), ``runs``, ``censored_runs`` and ``points`` (the number of T). The fit is null
        if fewer than two T have a transition or if the transitions tell no spread, since one power law passes between
        the evaluations of all of them.

    Raises:
        RuntimeError: a fit did not converge.
    """
    rows = [dict(zip(FAMILY, family, strict=True)) | _law(own, confidence) for family, own in runs.groupby(FAMILY)]
    return pd.DataFrame(rows, columns=[*FAMILY, *LAW, *COUNTS]).astype(dict.fromkeys(LAW, float))


def _law(runs: pd.DataFrame, confidence: float) -> dict:
    """The columns from ``exponent`` on, of one family."""
    observed = runs["success_step"].notna().to_numpy()
    counts = {"runs": len(runs), "censored_runs": int((~observed).sum()), "points": runs["T"].nunique()}
    if runs.loc[observed, "T"].nunique() < 2:
        return counts
    low, high = _ln_limits(runs)
    ln_t = np.log(runs["T"].to_numpy(float))
    centre = ln_t.mean()
    design = np.column_stack([np.ones_like(ln_t), ln_t - centre])
    try:
        law = fit(design, low, high)
        ends = slope_interval(ln_t - centre, low, high, confidence)
    except NoMaximumError:
        return counts
    level, exponent = law.coefficients
    return dict(zip(LAW, [exponent, *ends, np.exp(level - exponent * centre), law.spread], strict=True)) | counts


def _ln_limits(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Between what limits ln step lies: -inf before the first evaluation, inf above a run that is censored."""
    reached = runs["success_step"].astype("Float64")
    low = (reached - runs["eval_every"]).fillna(runs["steps"])
    with np.errstate(divide="ignore"):
        return np.log(low.to_numpy(float)), np.log(reached.fillna(np.inf).to_numpy(float))
