"""How fast the critical sample size grows beside an offset: the exponent c of n = a·T^c + b, with its interval.

The five laws are members of this family: the log law is its limit c → 0, the linear law has c = 1, a power b = 0, a
constant a = 0. Which of them is named can hang on the range of T, since an offset bends a power towards a logarithm and
back; c and its interval do not presuppose that the offset is zero, or there.

The interval is by profile likelihood over the shapes left open, as for the coefficients of the laws: it goes from
the peak to where the likelihood first falls below the level. At a known c the law has two values like any other; c
itself is searched on a grid that is walked from the log law, each fit beginning where its neighbour's ended.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from pipeline.statistics.joint_model import Counts, Model
from pipeline.statistics.laws import OFFSET_POWER, Law
from pipeline.statistics.maximum_likelihood import log_likelihood, penalised, refit
from pipeline.statistics.profile_likelihood import Candidate

log = logging.getLogger(__name__)

LIMIT = 3.0  # exponents from −3 to 3 are searched
_STEP = 0.25
_PRECISION = 1e-4  # of an exponent


class Exponent(NamedTuple):
    """The exponent under the best shape with its interval, NaN beyond ``LIMIT``, and the law's log-likelihood there."""

    c: float
    low: float
    high: float
    log_likelihood: float


class Fit(NamedTuple):
    """At an exponent, the largest log-likelihood, with the ridge and up to a constant, and the parameters [size]."""

    c: float
    height: float
    parameters: np.ndarray


Fitting = Callable[[float, np.ndarray], Fit]  # at an exponent, from parameters near the maximum


def exponent(log_law: Sequence[Candidate], counts: Counts) -> Exponent:
    """The exponent and its interval.

    Args:
        log_law: the log law fitted to the table under each open shape, the best first.
        counts: the table.
    """
    found = [_of_shape(one, counts) for one in log_law]
    low, high = np.min([one.low for one in found]), np.max([one.high for one in found])  # NaN, open, if one is
    return found[0]._replace(low=low, high=high)


def _of_shape(log_law: Candidate, counts: Counts) -> Exponent:
    """The exponent and its ends under one shape."""
    shape, share = log_law.model.shape, log_law.model.share
    successes = counts.successes[None].astype(float)

    def model(c: float) -> Model:
        return Model(Law(OFFSET_POWER, counts.lengths, c), shape, share)

    def fit(c: float, near: np.ndarray) -> Fit:
        try:
            parameters = refit(model(c), counts, successes, near).parameters
        except RuntimeError as error:  # on separated tables; the likelihood is at least that of where the search began
            log.info("at the exponent %.3f %s", c, error)
            parameters = near[None]
        centre = model(c).start(counts.n)
        return Fit(c, penalised(model(c), counts, successes, centre, parameters)[0][0], parameters[0])

    fits = _walk(fit, log_law.parameters[0])
    peak = _peak(fit, fits)
    low, high = (_end(fit, fits, peak, sign, peak.height - log_law.drop) for sign in (-1, 1))
    value = log_likelihood(model(peak.c), counts, successes, peak.parameters[None])[0]
    return Exponent(peak.c if abs(peak.c) < LIMIT else np.nan, low, high, value)


def _walk(fit: Fitting, start: np.ndarray) -> list[Fit]:
    """The fits on the grid, from 0 upwards and downwards."""
    middle = fit(0.0, start)
    up, down = [middle], [middle]
    for place in range(1, round(LIMIT / _STEP) + 1):
        up.append(fit(place * _STEP, up[-1].parameters))
        down.append(fit(-place * _STEP, down[-1].parameters))
    return [*down[:0:-1], *up]


def _peak(fit: Fitting, fits: Sequence[Fit]) -> Fit:
    """The likeliest exponent's, between the neighbours of the grid's best; at an end of the grid, that of the end."""
    top = max(fits, key=lambda one: one.height)
    if abs(top.c) == LIMIT:
        return top
    found = minimize_scalar(
        lambda c: -fit(c, top.parameters).height,
        bounds=(top.c - _STEP, top.c + _STEP),
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
    while abs(outer - inner.c) > _PRECISION:
        middle = fit((inner.c + outer) / 2, inner.parameters)
        if middle.height >= level:
            inner = middle
        else:
            outer = middle.c
    return (inner.c + outer) / 2
