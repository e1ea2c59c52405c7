"""How fast the critical sample size grows beside an offset: the exponent c of n = a·T^c + b, with its interval.

The five laws are members of this family: the log law is its limit c → 0, the linear law has c = 1, a power b = 0, a
constant a = 0. Which of them is named can hang on the range of T, since an offset bends a power towards a logarithm and
back; c and its interval do not presuppose that the offset is zero, or there.

The interval is that of a profile likelihood over the shapes left open, as for the coefficients of the laws. At a known
c the law has two values like any other; c itself is searched on a grid that is walked from the log and from the linear
law, each fit beginning where its neighbour's ended, since the likelihood has local maxima.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.statistics.joint_model import Counts, Model
from pipeline.statistics.laws import OFFSET_POWER, Law
from pipeline.statistics.maximum_likelihood import penalised, refit
from pipeline.statistics.profile_likelihood import Candidate

LIMIT, STEP = 3.0, 0.25  # of the exponents searched: from −3 to 3
_GRID = np.arange(-LIMIT, LIMIT + STEP / 2, STEP)
_PRECISION = 1e-3  # of an exponent


class Fit(NamedTuple):
    """At an exponent, the largest log-likelihood, with the ridge and up to a constant, and the parameters [size]."""

    c: float
    height: float
    parameters: np.ndarray


Fitting = Callable[[float, np.ndarray], Fit]  # at an exponent, from parameters near the maximum


def exponent(log: Sequence[Candidate], linear: Sequence[Candidate], counts: Counts) -> tuple[float, float, float]:
    """The exponent under the best shape, and its interval over all shapes that are left open.

    Args:
        log: the log law fitted to the table under each open shape, the best first.
        linear: the linear law likewise.
        counts: the table.

    Returns:
        c, its lower and its upper end; NaN where it would be beyond ``LIMIT``.
    """
    found = np.array([_of_shape(*pair, counts) for pair in zip(log, linear, strict=True)])
    return found[0, 0], found[:, 1].min(), found[:, 2].max()


def _of_shape(log: Candidate, linear: Candidate, counts: Counts) -> tuple[float, float, float]:
    """The exponent and its ends under one shape."""
    shape, share = log.model.shape, log.model.share
    successes = counts.successes[None].astype(float)

    def fit(c: float, near: np.ndarray) -> Fit:
        model = Model(Law(OFFSET_POWER, counts.lengths, c), shape, share)
        parameters = refit(model, counts, successes, near).parameters
        return Fit(c, penalised(model, counts, successes, model.start(counts.n), parameters)[0][0], parameters[0])

    walked = [_walk(fit, origin, one.parameters[0]) for origin, one in ((0.0, log), (1.0, linear))]
    fits = [max(pair, key=lambda one: one.height) for pair in zip(*walked, strict=True)]
    peak = _peak(fit, fits)
    low, high = (_end(fit, fits, peak, sign, peak.height - log.drop) for sign in (-1, 1))
    return peak.c if abs(peak.c) < LIMIT else np.nan, low, high


def _walk(fit: Fitting, origin: float, start: np.ndarray) -> list[Fit]:
    """The fits on the grid, from the origin upwards and downwards."""
    fits = {}
    first = int(np.argmin(np.abs(_GRID - origin)))
    for way in (range(first, len(_GRID)), range(first, -1, -1)):
        near = start
        for place in way:
            fits[place] = fit(_GRID[place], near)
            near = fits[place].parameters
    return [fits[place] for place in range(len(_GRID))]


def _peak(fit: Fitting, fits: Sequence[Fit]) -> Fit:
    """The likeliest exponent's, between the neighbours of the grid's best; at an end of the grid, that of the end."""
    top = max(fits, key=lambda one: one.height)
    if abs(top.c) == LIMIT:
        return top
    found = minimize_scalar(
        lambda c: -fit(c, top.parameters).height,
        bounds=(top.c - STEP, top.c + STEP),
        method="bounded",
        options={"xatol": _PRECISION},
    )
    return max(top, fit(found.x, top.parameters), key=lambda one: one.height)


def _end(fit: Fitting, fits: Sequence[Fit], peak: Fit, sign: int, level: float) -> float:
    """Where the likelihood first falls below the level, seen from the peak; NaN if nowhere on the grid."""
    inner = peak
    for one in fits[::sign]:
        if sign * one.c <= sign * peak.c:
            continue
        if one.height < level:
            return _crossing(fit, inner, one.c, level)
        inner = one
    return np.nan


def _crossing(fit: Fitting, inner: Fit, outer: float, level: float) -> float:
    """Where the likelihood falls below the level between an exponent inside and one outside, by bisection."""
    while abs(outer - inner.c) > _PRECISION / 2:
        middle = fit((inner.c + outer) / 2, inner.parameters)
        if middle.height >= level:
            inner = middle
        else:
            outer = middle.c
    return (inner.c + outer) / 2
