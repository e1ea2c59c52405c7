"""Maximum likelihood for the joint model: one table from many starts, and thousands of bootstrap tables at once.

The likelihood carries a ridge, a normal prior of standard deviation 3 on every parameter, about the start of the
search: the geometric mean of the n, a steepness of 4 logits per unit of ln n, an asymptote of 0.98 at share 0.5. It
keeps estimates finite where the maximum lies at infinity (no mixed cells, no lapses); against the standard errors of a
table that shows the threshold it is nothing. Log-likelihoods are stated without it.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats.qmc import MultivariateNormalQMC

from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Counts, Model

RIDGE = 3.0**-2
_TOLERANCE = 1e-6  # what the next step would gain in log-likelihood
_TOLERANCE_ALONE = 1e-4  # where SciPy may stop for rounding
_GRADIENT = 1e-6  # where SciPy stops, in log-likelihood per unit of a parameter
_MAX_ITERATIONS = 300
_STARTS = 64  # of 1836 fits to made and real tables one start missed the maximum in 3 %, 16 in 1 %, 64 in hardly any
_SPREAD_OF_SIZES, _SPREAD = 0.5, 2.0  # of the starts: of ln n, and of the other parameters
_RIGID = 1e10  # a damping
_BLOCK = 500_000  # numbers of a Jacobian in work at once
_far_out = np.errstate(over="ignore", invalid="ignore")  # a step there ends in NaN, which is never an improvement
_TINY = 1e-300  # a probability of 0 with successes is worth -690 a run, and no error


class Fits(NamedTuple):
    """Parameters [B, size] and log-likelihoods [B] without the ridge, binomial coefficients included."""

    parameters: np.ndarray
    log_likelihood: np.ndarray


@_far_out
def fit(model: Model, counts: Counts) -> Fits:
    """Fits one table: the best of 64 starts that Fisher scoring takes uphill, finished by SciPy.

    One start would not do. With an asymptote and a steepness that change with T the likelihood has local maxima,
    the more so under a law that does not hold, which would then look worse than it is.

    Args:
        model: the model.
        counts: the table.

    Returns:
        Fits with B = 1.

    Raises:
        RuntimeError: the search did not converge.
    """
    centre, successes = model.start(counts.n), counts.successes[None].astype(float)
    climbed, _ = _scoring(model, counts, np.repeat(successes, _STARTS, axis=0), centre, _starts(model, centre))
    heights = penalised(model, counts, successes, centre, climbed)[0]
    best = _finish(model, counts, climbed[np.nanargmax(heights)])[None]
    return Fits(best, log_likelihood(model, counts, successes, best))


def refit(model: Model, counts: Counts, successes: np.ndarray, start: np.ndarray) -> Fits:
    """Fits many tables of the same cells at once, by Fisher scoring with Levenberg's and Marquardt's damping.

    Args:
        model: the model.
        counts: the cells; their successes are not used.
        successes: [B, G].
        start: parameters [size], near which the estimates are expected.

    Raises:
        RuntimeError: a table did not converge within 300 iterations, nor then by SciPy.
    """
    centre, parameters = model.start(counts.n), np.tile(start, (len(successes), 1))
    for rows in blocks(len(successes), model, counts):
        parameters[rows], unfinished = _scoring(model, counts, successes[rows], centre, parameters[rows])
        for row in rows.start + unfinished:  # few: on a long flat ridge scoring creeps
            parameters[row] = _finish(model, replace(counts, successes=successes[row]), parameters[row])
    return Fits(parameters, log_likelihood(model, counts, successes, parameters))


def log_likelihood(model: Model, counts: Counts, successes: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Log-likelihoods [B] of tables [B, G] at parameters [B, size], or at [1, size] for all of them."""
    success, failure, _ = model.rates(parameters, counts.T, counts.n)
    return _binomial(success, failure, successes, counts.trials) + counts.log_coefficients(successes)


def draw(success: np.ndarray, counts: Counts, correlation: float, stream: Stream, tables: int) -> np.ndarray:
    """Draws tables of successes [tables, G] from beta-binomial cells, by Pólya's urn; binomial if uncorrelated.

    Args:
        success: probability of each cell, [G].
        counts: the cells; their successes are not used.
        correlation: between two runs of a cell, in [0, 1).
        stream: the randomness.
        tables: how many.
    """
    successes = np.zeros((tables, len(success)))
    for drawn in range(int(counts.trials.max(initial=0))):
        chance = (success * (1 - correlation) + correlation * successes) / (1 - correlation + correlation * drawn)
        successes += (stream.uniform(successes.shape) <= chance) & (drawn < counts.trials)
    return successes


def blocks(rows: int, model: Model, counts: Counts) -> list[slice]:
    """Rows of parameters in parts whose Jacobians fit into the processor's cache."""
    size = max(1, _BLOCK // (len(counts.n) * model.size))
    return [slice(first, first + size) for first in range(0, rows, size)]


def penalised(
    model: Model, counts: Counts, successes: np.ndarray, centre: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The log-likelihood [B] with the ridge, up to a constant, its gradient [B, size] and its information.

    Args:
        model: the model.
        counts: the cells; their successes are not used.
        successes: [B, G], or [1, G] for all of the parameters.
        centre: to where the ridge pulls, [size].
        parameters: [B, size].

    Returns:
        Of the last, [B, size, size].
    """
    success, failure, jacobian = model.rates(parameters, counts.T, counts.n)
    pull = centre - parameters
    value = _binomial(success, failure, successes, counts.trials) - RIDGE / 2 * (pull**2).sum(axis=1)
    variance = np.maximum(success * failure, _TINY)
    residual = (successes - counts.trials * success) / variance
    score = np.matmul(residual[:, None, :], jacobian)[:, 0] + RIDGE * pull
    weighted = jacobian * (counts.trials / variance)[:, :, None]
    information = np.matmul(weighted.transpose(0, 2, 1), jacobian) + RIDGE * np.eye(model.size)
    return value, score, information


def _starts(model: Model, centre: np.ndarray) -> np.ndarray:
    """Where to look for the maximum, [64, size]: a low-discrepancy sample of a normal distribution about the centre."""
    spread = np.repeat([_SPREAD_OF_SIZES, _SPREAD], [model.law.size, model.size - model.law.size])
    return MultivariateNormalQMC(centre, np.diag(spread**2), seed=0).random(_STARTS)


@_far_out
def _scoring(
    model: Model, counts: Counts, successes: np.ndarray, centre: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Climbs from a start [B, size] for each of the tables [B, G] of one block.

    Returns:
        The parameters [B, size], and the rows that had not arrived when it ended.
    """
    parameters = starts.copy()
    damping = np.full(len(successes), 1e-4)
    active = np.arange(len(successes))
    value, score, information = penalised(model, counts, successes, centre, parameters)
    for _ in range(_MAX_ITERATIONS):
        step = _step(score, information, damping[active])
        promised = (score * step).sum(axis=1) / 2
        # A step that is short for its damping proves nothing, until rounding is all that can refuse it.
        moving = ((promised > _TOLERANCE) | (damping[active] >= 1)) & (damping[active] < _RIGID)
        active, step, promised = active[moving], step[moving], promised[moving]
        if not len(active):
            break
        value, score, information = value[moving], score[moving], information[moving]
        candidate = parameters[active] + step
        new = penalised(model, counts, successes[active], centre, candidate)
        gain = new[0] - value
        better = gain >= 0
        parameters[active[better]] = candidate[better]
        for old, fresh in zip((value, score, information), new, strict=True):
            old[better] = fresh[better]
        # The Fisher information may be far from the Hessian, so a step is also judged by what it promised.
        damping[active] = np.where(gain >= promised / 4, damping[active] / 10, np.maximum(damping[active], 1e-3) * 10)
    return parameters, active


@_far_out
def _finish(model: Model, counts: Counts, start: np.ndarray) -> np.ndarray:
    """The maximum [size] near a start, by SciPy's BFGS, which starts with the Fisher information for the Hessian.

    Raises:
        RuntimeError: the search did not converge.
    """
    centre, successes = model.start(counts.n), counts.successes[None].astype(float)

    def downhill(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, score, _ = penalised(model, counts, successes, centre, point[None])
        return -value[0], -score[0]

    covariance = np.linalg.inv(penalised(model, counts, successes, centre, start[None])[2][0])
    symmetric = (covariance + covariance.T) / 2
    found = minimize(downhill, start, jac=True, method="BFGS", options={"hess_inv0": symmetric, "gtol": _GRADIENT})
    _, score, information = penalised(model, counts, successes, centre, found.x[None])
    if not score[0] @ np.linalg.solve(information[0], score[0]) / 2 < _TOLERANCE_ALONE:
        raise RuntimeError(f"the joint model did not converge: {found.message}")
    return found.x


def _step(score: np.ndarray, information: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """The damped scoring steps [B, size]."""
    damped = information.copy()
    diagonal = np.arange(score.shape[1])
    damped[:, diagonal, diagonal] *= 1 + damping[:, None]
    return np.linalg.solve(damped, score[:, :, None])[:, :, 0]


def _binomial(success: np.ndarray, failure: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(success, _TINY)), np.log(np.maximum(failure, _TINY))
    return (successes * logs[0] + (trials - successes) * logs[1]).sum(axis=-1)
