"""Linear regression with normal errors where some responses are only known to exceed a limit (the Tobit model).

On the logarithm of a duration it is the log-normal accelerated-failure-time model of survival analysis.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.stats import norm, t


class NoSpreadError(ValueError):
    """The observed responses lie exactly on the model's mean, so the likelihood may have no maximum."""


@dataclass(frozen=True)
class Fit:
    """A fitted model ``y ~ N(design @ coefficients, spread²)`` and its log-likelihood."""

    coefficients: np.ndarray
    spread: float
    likelihood: float


def fit(design: np.ndarray, y: np.ndarray, observed: np.ndarray) -> Fit:
    """Fits the model by maximum likelihood.

    The likelihood is concave in coefficients / spread and 1 / spread (Olsen 1978), so it has one maximum. The climb
    starts at the least-squares fit of the observed responses, which is the maximum if all are observed.

    Args:
        design: the regressors, float [N, P].
        y: the responses or, where not observed, the limits that they exceed, [N].
        observed: bool [N].

    Raises:
        NoSpreadError: the observed responses lie on their least-squares fit.
        RuntimeError: the climb did not converge.
    """
    start = np.linalg.lstsq(design[observed], y[observed])[0]
    spread = np.sqrt(np.mean((y - design @ start)[observed] ** 2))
    if spread <= 1e-9 * np.abs(y).max():
        raise NoSpreadError("the observed responses have no spread")
    # In units of the start: y becomes (y − fit) / spread, and the regressors have unit length.
    length = np.sqrt((design**2).mean(axis=0))
    columns = np.column_stack([design / length, (y - design @ start) / spread])
    signs = np.append(-np.ones(design.shape[1]), 1.0)
    pieces = tuple((columns * signs)[chosen] for chosen in (observed, ~observed))
    first = np.append(np.zeros(design.shape[1]), 1.0)
    result = minimize(_loss, first, pieces, "trust-exact", _gradient, _hessian, options={"gtol": 1e-6})
    if not result.success:
        raise RuntimeError(f"the censored regression did not converge: {result.message}")
    *scaled, inverse = result.x
    coefficients = start + np.array(scaled) / length / inverse * spread
    return Fit(coefficients, spread / inverse, -result.fun * len(y) - observed.sum() * np.log(spread))


def slope_interval(x: np.ndarray, y: np.ndarray, observed: np.ndarray, confidence: float) -> tuple[float, float]:
    """The profile likelihood's interval of the slope in ``y ~ N(intercept + slope·x, spread²)``.

    The likelihood ratio is compared with the value that makes the interval Student's, and so exact, if all N
    responses are observed: ``N ln(1 + t² / (N − 2))``. The observed responses are counted as N.

    Args:
        x: the regressor, float [N].
        y: as for ``fit``.
        observed: as for ``fit``; at least three responses at two or more x.
        confidence: coverage of the interval, in (0, 1).

    Raises:
        NoSpreadError: the observed responses lie on a line.
        RuntimeError: a fit did not converge.
    """
    line = np.column_stack([np.ones_like(x), x])
    best, count = fit(line, y, observed), observed.sum()
    quantile = t.ppf((1 + confidence) / 2, count - 2)
    drop = count / 2 * np.log1p(quantile**2 / (count - 2))

    def excess(slope: float) -> float:
        return fit(line[:, :1], y - slope * x, observed).likelihood - best.likelihood + drop

    slope, ends = best.coefficients[1], []
    for direction in (-1, 1):
        width = best.spread / x[observed].std() / np.sqrt(count)
        while excess(slope + direction * width) > 0:
            width *= 2
        ends.append(brentq(excess, slope, slope + direction * width))
    return ends[0], ends[1]


# The functions of the parameters (coefficients / spread, 1 / spread). A piece holds the signed regressors and the
# responses as columns, so that its product with the parameters is the standardised residual.


def _loss(parameters: np.ndarray, observed: np.ndarray, censored: np.ndarray) -> float:
    """The mean negative log-likelihood; infinite outside the model."""
    if parameters[-1] <= 0:
        return np.inf
    density = norm.logpdf(observed @ parameters).sum() + len(observed) * np.log(parameters[-1])
    return -(density + norm.logsf(censored @ parameters).sum()) / (len(observed) + len(censored))


def _gradient(parameters: np.ndarray, observed: np.ndarray, censored: np.ndarray) -> np.ndarray:
    gradient = observed.T @ (observed @ parameters) + censored.T @ _hazard(censored @ parameters)
    gradient[-1] -= len(observed) / parameters[-1]
    return gradient / (len(observed) + len(censored))


def _hessian(parameters: np.ndarray, observed: np.ndarray, censored: np.ndarray) -> np.ndarray:
    residual = censored @ parameters
    hazard = _hazard(residual)
    hessian = observed.T @ observed + (censored.T * (hazard * (hazard - residual))) @ censored
    hessian[-1, -1] += len(observed) / parameters[-1] ** 2
    return hessian / (len(observed) + len(censored))


def _hazard(residual: np.ndarray) -> np.ndarray:
    """The normal distribution's density over its upper tail."""
    return np.exp(norm.logpdf(residual) - norm.logsf(residual))
