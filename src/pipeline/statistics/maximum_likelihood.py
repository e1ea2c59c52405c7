"""Maximum likelihood for the joint model: one table by SciPy, and thousands of bootstrap tables by Fisher scoring.

The likelihood carries a ridge, a normal prior of standard deviation 3 on every parameter, about the start of the
search: the geometric mean of the n, a steepness of 4 logits per unit of ln n, an asymptote of 0.98 at share 0.5. It
keeps estimates finite where the maximum lies at infinity (no mixed cells, no lapses); against the standard errors of a
table that shows the threshold it is nothing. Log-likelihoods are stated without it.
"""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Counts, Model

RIDGE = 3.0**-2
_TOLERANCE = 1e-6  # what the next step would gain in log-likelihood
_TOLERANCE_ALONE = 1e-4  # where SciPy may stop for rounding
_MAX_ITERATIONS = 300
_RIGID = 1e10  # a damping
_BLOCK = 500_000  # numbers of a Jacobian in work at once
_TINY = 1e-300  # a probability of 0 with successes is worth -690 a run, and no error


class Fits(NamedTuple):
    """Parameters [B, size] and log-likelihoods [B] without the ridge, binomial coefficients included."""

    parameters: np.ndarray
    log_likelihood: np.ndarray


def fit(model: Model, counts: Counts, start: np.ndarray | None = None) -> Fits:
    """Fits one table by SciPy's trust-region Newton method, with the Fisher information for the Hessian.

    Args:
        model: the model.
        counts: the table.
        start: parameters [size] to start from; the model's own if None.

    Returns:
        Fits with B = 1.

    Raises:
        RuntimeError: the search did not converge.
    """
    centre = model.start(counts.n)
    successes = counts.successes[None].astype(float)

    @lru_cache(maxsize=1)  # SciPy asks for value, gradient and information one by one
    def evaluated(point: bytes) -> tuple[np.ndarray, ...]:
        return penalised(model, counts, successes, centre, np.frombuffer(point)[None])

    first, runs = centre if start is None else start, counts.trials.sum()
    found = minimize(
        lambda x: -evaluated(x.tobytes())[0][0] / runs,
        first,
        jac=lambda x: -evaluated(x.tobytes())[1][0] / runs,
        hess=lambda x: evaluated(x.tobytes())[2][0] / runs,
        method="trust-exact",
        options={"gtol": 1e-7, "maxiter": 500},
    )
    _, score, information = evaluated(found.x.tobytes())
    if not score[0] @ np.linalg.solve(information[0], score[0]) / 2 < _TOLERANCE_ALONE:
        raise RuntimeError(f"the joint model did not converge: {found.message}")
    return Fits(found.x[None], log_likelihood(model, counts, successes, found.x[None]))


def refit(model: Model, counts: Counts, successes: np.ndarray, start: np.ndarray) -> Fits:
    """Fits many tables of the same cells at once, by Fisher scoring with Levenberg's and Marquardt's damping.

    Args:
        model: the model.
        counts: the cells; their successes are not used.
        successes: [B, G].
        start: parameters [size], near which the estimates are expected.

    Raises:
        RuntimeError: a table did not converge within 300 iterations, nor then by ``fit``.
    """
    centre = model.start(counts.n)
    parameters = np.concatenate(
        [_scoring(model, counts, successes[rows], centre, start) for rows in blocks(len(successes), model, counts)]
    )
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


def _scoring(model: Model, counts: Counts, successes: np.ndarray, centre: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The parameters [B, size] of one block of tables."""
    parameters = np.tile(start, (len(successes), 1))
    damping = np.full(len(successes), 1e-4)
    active = np.arange(len(successes))
    value, score, information = penalised(model, counts, successes, centre, parameters)
    for _ in range(_MAX_ITERATIONS):
        step = _step(score, information, damping[active])
        promised = (score * step).sum(axis=1) / 2
        # A step that is short for its damping proves nothing, until rounding is all that can refuse it.
        moving = ((promised > _TOLERANCE) | (damping[active] >= 1)) & (damping[active] < _RIGID)
        if not moving.any():
            return parameters
        active, step, promised = active[moving], step[moving], promised[moving]
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
    for table in active:  # few: on a long flat ridge scoring creeps, and the trust region does not
        alone = replace(counts, successes=successes[table])
        parameters[table] = fit(model, alone, parameters[table]).parameters[0]
    return parameters


def _step(score: np.ndarray, information: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """The damped scoring steps [B, size]."""
    damped = information.copy()
    diagonal = np.arange(score.shape[1])
    damped[:, diagonal, diagonal] *= 1 + damping[:, None]
    return np.linalg.solve(damped, score[:, :, None])[:, :, 0]


def _binomial(success: np.ndarray, failure: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(success, _TINY)), np.log(np.maximum(failure, _TINY))
    return (successes * logs[0] + (trials - successes) * logs[1]).sum(axis=-1)
