"""Profile-likelihood intervals of a law's coefficients and sizes.

The interval of a quantity holds its values at which the log-likelihood, maximised over everything else, lies at most
``drop`` below its maximum. So its ends are the smallest and the largest value that any parameters within that drop
give. They are found by taking the log-likelihood for the parabola that it is near a point, by the Fisher information;
of a parabola those two are known, and the search goes there (Venzon and Moolgavkar 1988). No runs are drawn, and the
ends do not depend on the scale on which the quantity is stated.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import NonlinearConstraint, minimize

from pipeline.statistics.joint_model import Counts, Model
from pipeline.statistics.maximum_likelihood import blocks, penalised

log = logging.getLogger(__name__)

_TOLERANCE = 1e-6  # the last step squared, in standard errors
_MAX_ITERATIONS = 300
_FASTEST = 8.0  # times the parabola's step, on a ridge that bends


@dataclass(frozen=True)
class Candidate:
    """A law fitted under one shape, and by how much the log-likelihood may fall within an interval."""

    model: Model
    parameters: np.ndarray  # [1, size]
    drop: float


def interval(candidates: Sequence[Candidate], counts: Counts, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The intervals of weighted sums of a law's values, over all shapes that are left open.

    Args:
        candidates: the same law under one or more shapes.
        counts: the table that they were fitted to.
        weights: of ``law.values``, [Q, law.size]; a row with NaN has no interval.

    Returns:
        The lower and the upper ends, each [Q]; NaN where the search for one did not end, which is logged.
    """
    known = ~np.isnan(weights).any(axis=1)
    asked = weights[known]
    table = np.broadcast_to(counts.successes.astype(float), (len(asked), len(counts.n)))
    ends = np.full((2, len(weights)), np.nan)
    found = []
    for one in candidates:
        fitted = np.repeat(one.parameters, len(asked), axis=0)
        found.append(profile_ends(one.model, counts, table, fitted, np.full(len(asked), one.drop), asked))
    ends[:, known] = np.min(found, axis=0)[0], np.max(found, axis=0)[1]
    return ends[0], ends[1]


def profile_ends(
    model: Model, counts: Counts, successes: np.ndarray, fitted: np.ndarray, drops: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The ends [2, Q] of the intervals of weighted sums under one shape, each of a table of its own.

    Args:
        model: the model.
        counts: the cells; their successes are not used.
        successes: the tables, [Q, G].
        fitted: the parameters at their maximum, [Q, size].
        drops: in log-likelihood, [Q].
        weights: of ``law.values``, [Q, law.size].
    """
    ends = []
    for sign in (-1, 1):
        points = [
            _furthest(model, counts, successes[rows], fitted[rows], drops[rows], sign * weights[rows])
            for rows in blocks(len(weights), model, counts)
        ]
        ends.append((weights * model.law.values(np.concatenate(points)[:, : model.law.size])).sum(axis=1))
    return np.stack(ends)


def _furthest(
    model: Model, counts: Counts, successes: np.ndarray, fitted: np.ndarray, drops: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The parameters [Q, size] within the drops that give the largest weighted sums."""
    centre, points, pace = model.start(counts.n), fitted.copy(), np.ones(len(fitted))
    lowest = penalised(model, counts, successes, centre, fitted)[0] - drops
    steps, origins = np.zeros_like(fitted), fitted.copy()
    moving = np.arange(len(fitted))
    for _ in range(_MAX_ITERATIONS):
        value, score, information = penalised(model, counts, successes[moving], centre, points[moving])
        slope = _slope(model, points[moving], weights[moving])
        step = _step(value, score, information, slope, lowest[moving])
        metric = np.matmul(information, step[:, :, None])[:, :, 0]
        # The parabola changes on the way. A step too far is taken back, to and fro is slowed, straight on is sped up.
        too_far = value < lowest[moving] - drops[moving]
        turned = (steps[moving] * metric).sum(axis=1) < 0
        pace[moving] = np.where(too_far | turned, pace[moving] / 2, np.minimum(1.2 * pace[moving], _FASTEST))
        steps[moving] = np.where(too_far[:, None], steps[moving], step)
        origins[moving] = np.where(too_far[:, None], origins[moving], points[moving])
        points[moving] = origins[moving] + pace[moving, None] * steps[moving]
        moving = moving[too_far | ((step * metric).sum(axis=1) > _TOLERANCE)]
        if not len(moving):
            return points
    for row in moving:  # few: where the likelihood hardly depends on the quantity
        points[row] = _furthest_alone(model, counts, successes[row], origins[row], lowest[row], weights[row])
    return points


def _furthest_alone(
    model: Model, counts: Counts, successes: np.ndarray, start: np.ndarray, lowest: float, weights: np.ndarray
) -> np.ndarray:
    """The same for one sum, by SciPy; parameters [size], NaN if they are not found.

    It moves in standard errors of the start, and has a second method: either fails on a few tables in a hundred, where
    the likelihood hardly depends on some of the parameters.
    """
    centre, size = model.start(counts.n), model.law.size

    def likelihood(point: np.ndarray) -> tuple[np.ndarray, ...]:
        return penalised(model, counts, successes[None], centre, point[None])

    scale = np.linalg.inv(np.linalg.cholesky(likelihood(start)[2][0])).T
    within = NonlinearConstraint(
        lambda move: likelihood(start + scale @ move)[0][0] - lowest,
        0,
        np.inf,
        jac=lambda move: likelihood(start + scale @ move)[1][0] @ scale,
    )
    for method, iterations in (("SLSQP", 1000), ("trust-constr", 3000)):
        found = minimize(
            lambda move: -weights @ model.law.values((start + scale @ move)[None, :size])[0],
            np.zeros_like(start),
            jac=lambda move: -_slope(model, (start + scale @ move)[None], weights[None])[0] @ scale,
            constraints=within,
            method=method,
            options={"maxiter": iterations},
        )
        point = start + scale @ found.x
        if found.success and likelihood(point)[0][0] > lowest - 1e-3:
            return point
    log.warning("the end of a profile-likelihood interval was not found and stays open: %s", found.message)
    return np.full_like(start, np.nan)


def _slope(model: Model, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The derivatives [Q, size] of the weighted sums by the parameters."""
    slope, size = np.zeros_like(points), model.law.size
    slope[:, :size] = weights if model.law.in_logarithms else weights * np.exp(points[:, :size])
    return slope


def _step(
    value: np.ndarray, score: np.ndarray, information: np.ndarray, slope: np.ndarray, lowest: np.ndarray
) -> np.ndarray:
    """The steps [Q, size] to where the parabola is at its ``lowest`` in the direction in which the sum grows most."""
    right = np.stack([score, slope], axis=2)
    by_score, by_slope = np.moveaxis(np.linalg.solve(information, right), 2, 0)
    above = value + (score * by_score).sum(axis=1) / 2 - lowest
    reach = np.sqrt(2 * np.maximum(above, 0) / (slope * by_slope).sum(axis=1))
    return by_score + reach[:, None] * by_slope
