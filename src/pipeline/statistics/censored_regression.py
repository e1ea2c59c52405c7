"""Linear regression with normal errors where a response is only known to lie between two limits.

A limit may be infinite: the response is then censored on that side. On the logarithm of a duration it is the log-normal
accelerated-failure-time model of survival analysis. As the limits close in on a response, its probability becomes its
density times their distance, so that the model tends to ordinary regression.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, linprog
from scipy.special import erfcx, log_ndtr
from scipy.stats import norm, t

_TOLERANCE = 1e-10  # what a step promises of the mean log-likelihood when it is the last
_MAX_ITERATIONS = 100
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


class NoMaximumError(ValueError):
    """The likelihood rises without end: towards a spread of 0, or towards a mean that is infinite somewhere."""


@dataclass(frozen=True)
class Fit:
    """A fitted model ``y ~ N(design @ coefficients, spread²)`` and its log-likelihood, that of the limits."""

    coefficients: np.ndarray
    spread: float
    likelihood: float


def fit(design: np.ndarray, low: np.ndarray, high: np.ndarray) -> Fit:
    """Fits the model by maximum likelihood.

    The likelihood is concave in coefficients / spread and 1 / spread (Burridge 1981), so it has at most one maximum.
    The climb starts at the least-squares fit of the upper limits.

    Args:
        design: the regressors, float [N, P], of full rank where the upper limit is finite.
        low: the limits above which the responses lie, [N]; -inf where there is none.
        high: those that they do not exceed, [N], larger than ``low``; inf where there is none.

    Raises:
        NoMaximumError: the responses with an upper limit leave the likelihood without a maximum.
        RuntimeError: the climb did not converge.
    """
    observed = np.isfinite(high)
    _require_maximum(design[observed], low[observed], high[observed])
    return _climb(design, low, high)


def slope_interval(x: np.ndarray, low: np.ndarray, high: np.ndarray, confidence: float) -> tuple[float, float]:
    """The profile likelihood's interval of the slope in ``y ~ N(intercept + slope·x, spread²)``.

    The likelihood ratio is compared with the value that makes the interval Student's, and so exact, if all N
    responses are known exactly: ``N ln(1 + t² / (N − 2))``. The responses with an upper limit are counted as N.

    Args:
        x: the regressor, float [N]; at least two values where the upper limit is finite.
        low: as for ``fit``.
        high: as for ``fit``.
        confidence: coverage of the interval, in (0, 1).

    Raises:
        NoMaximumError: as for ``fit``.
        RuntimeError: a fit did not converge.
    """
    line = np.column_stack([np.ones_like(x), x])
    observed = np.isfinite(high)
    best, count = fit(line, low, high), observed.sum()
    quantile = t.ppf((1 + confidence) / 2, count - 2)
    drop = count / 2 * np.log1p(quantile**2 / (count - 2))

    def excess(slope: float) -> float:
        return _climb(line[:, :1], low - slope * x, high - slope * x).likelihood - best.likelihood + drop

    slope, ends = best.coefficients[1], []
    for direction in (-1, 1):
        width = best.spread / x[observed].std() / np.sqrt(count)
        while excess(slope + direction * width) > 0:
            width *= 2
        ends.append(brentq(excess, slope, slope + direction * width))
    return ends[0], ends[1]


def _require_maximum(design: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Raises NoMaximumError unless the likelihood ends by falling in every direction of (coefficients, 1) / spread.

    It rises for ever if a move brings no standardised residual nearer to a limit, and takes one further within. Such a
    move is towards means that lie within all limits, or of means that have a limit on one side only.
    """
    below = np.isfinite(low)
    mean = design @ np.linalg.lstsq(design, high)[0]
    unit = (high - low).min()  # since the search tells no less than 1e-7 from 0
    lower = np.column_stack([design, mean - low])[below]
    upper = np.column_stack([-design, high - mean])
    room = np.vstack([lower, upper]) / np.append(np.ones(design.shape[1]), unit)
    bounds = [*[(-1, 1)] * design.shape[1], (0, 1)]
    move = linprog(-room.sum(axis=0), A_ub=-room, b_ub=np.zeros(len(room)), bounds=bounds)
    if -move.fun > 1e-5:
        raise NoMaximumError("the responses leave the likelihood without a maximum")


def _climb(design: np.ndarray, low: np.ndarray, high: np.ndarray) -> Fit:
    """The maximum, where there is one."""
    below, above = np.isfinite(low), np.isfinite(high)
    between = below & above
    start = np.linalg.lstsq(design[above], high[above])[0]
    spread = np.sqrt(np.mean((high - design @ start)[above] ** 2))
    # In units of the start: the limits become (limit − fit) / spread, and the regressors have unit length.
    length = np.sqrt((design**2).mean(axis=0))
    lower, upper = (np.column_stack([-design / length, (limit - design @ start) / spread]) for limit in (low, high))
    beyond = np.vstack([lower[below & ~above], -upper[above & ~below]])
    pieces = lower[between], (high - low)[between] / spread, beyond
    *scaled, inverse = _newton(np.append(np.zeros(design.shape[1]), 1.0), *pieces)
    coefficients = start + np.array(scaled) / length / inverse * spread
    return Fit(coefficients, spread / inverse, -len(design) * _loss(np.array([*scaled, inverse]), *pieces))


def _newton(parameters: np.ndarray, *pieces: np.ndarray) -> np.ndarray:
    """Where the loss is least, by Newton's steps, each halved until it brings a tenth of what it promises."""
    loss = _loss(parameters, *pieces)
    for _ in range(_MAX_ITERATIONS):
        gradient = _gradient(parameters, *pieces)
        step = -np.linalg.solve(_hessian(parameters, *pieces), gradient)
        promised = -gradient @ step
        if promised < _TOLERANCE:
            return parameters + step
        while (reached := _loss(parameters + step, *pieces)) > loss - promised / 10:
            step, promised = step / 2, promised / 2
        parameters, loss = parameters + step, reached
    raise RuntimeError(f"the censored regression did not converge in {_MAX_ITERATIONS} iterations")


# The functions of the parameters (coefficients / spread, 1 / spread). A row holds the signed regressors and a limit, so
# that its product with the parameters is the standardised residual there: the lower limit's of the responses between
# two limits, whose widths are given, and of those beyond a single one the residual that the error exceeds.


def _loss(parameters: np.ndarray, between: np.ndarray, widths: np.ndarray, beyond: np.ndarray) -> float:
    """The mean negative log-likelihood; infinite outside the model."""
    if parameters[-1] <= 0:
        return np.inf
    within = _log_probability(between @ parameters, widths * parameters[-1])
    return -(within.sum() + norm.logsf(beyond @ parameters).sum()) / (len(between) + len(beyond))


def _gradient(parameters: np.ndarray, between: np.ndarray, widths: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    rise, _, upper, _ = _densities(between @ parameters, widths * parameters[-1])
    gradient = beyond.T @ _hazard(beyond @ parameters) - between.T @ rise
    gradient[-1] -= widths @ upper
    return gradient / (len(between) + len(beyond))


def _hessian(parameters: np.ndarray, between: np.ndarray, widths: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    width, residual = widths * parameters[-1], beyond @ parameters
    rise, lower, upper, end = _densities(between @ parameters, width)
    hazard = _hazard(residual)
    hessian = (beyond.T * (hazard * (hazard - residual))) @ beyond
    hessian += (between.T * (rise * (rise + end) + width * lower)) @ between
    mixed = between.T @ (widths * upper * (rise + end))
    hessian[-1] += mixed
    hessian[:, -1] += mixed
    hessian[-1, -1] += (widths**2 * upper * (upper + end)).sum()
    return hessian / (len(between) + len(beyond))


def _log_probability(start: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The log-probability that a standard normal error lies between ``start`` and ``start + width``.

    Over a narrow interval it is the density at its middle times the width times the mean of what the density is beside
    that, by Gauss and Legendre's quadrature; over a wider one the difference of two tails, the lower ones by symmetry.
    """
    half = width / 2
    middle = np.abs(start + half)
    narrow = width * np.maximum(middle, 1) < 1
    at = np.multiply.outer(np.where(narrow, half, 0), _NODES)
    mean = np.exp(-at * (middle[:, None] + at / 2)) @ _WEIGHTS / 2
    reach = np.where(narrow, 1, half)
    farther, nearer = log_ndtr(-middle - reach), log_ndtr(reach - middle)
    difference = nearer + np.log(-np.expm1(farther - nearer))
    return np.where(narrow, norm.logpdf(middle) + np.log(width * mean), difference)


def _densities(start: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The normal density over that probability: its rise from end to end, at the lower and the upper; and the upper.

    Of a narrow interval both densities are large, and the rise is not their difference, which would lose its digits.
    """
    probability, end = _log_probability(start, width), start + width
    lower, upper = (np.exp(norm.logpdf(at) - probability) for at in (start, end))
    middle = (start + end) / 2
    rise = np.sign(middle) * np.maximum(lower, upper) * np.expm1(-width * np.abs(middle))
    return rise, lower, upper, end


def _hazard(residual: np.ndarray) -> np.ndarray:
    """The normal distribution's density over its upper tail."""
    return np.sqrt(2 / np.pi) / erfcx(residual / np.sqrt(2))
