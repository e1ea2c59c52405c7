"""Logistic regression with an L1 penalty on the bits as ±1: scikit-learn's liblinear on working sets of positions.

The penalty leaves most weights at zero, and the gradient at a solution of few positions tells whether the others may
stay there. So liblinear, which wants 40 bytes for each bit, sees only positions that may not, as in Massias et al.
(2018, *Celer: a Fast Solver for the Lasso with Dual Extrapolation*).
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from pipeline.baselines.learning import Hypothesis, Sample, constant
from pipeline.baselines.selection import choose

INTERCEPT_SCALING = 1000  # liblinear penalises the intercept too; scaled so, its share of the penalty is negligible
MAX_ITERATIONS = 10_000  # twice the most that the paper's set has needed
TOLERANCE = 1e-6  # of the gradient, as a share of that at zero; scikit-learn's 1e-4 stops runs short of a success
SLACK = 1e-3  # by which the gradient of a position left out may exceed the penalty's 1
SUMMED_BITS = 2**20  # taken as float64 at a time


def fit(settings: Mapping, sample: Sample) -> Hypothesis:
    """Minimises the L1 norm of the weights plus C times the summed cross-entropy.

    C is chosen by :func:`pipeline.baselines.selection.choose`, of equals the smallest, and the regression fitted to all
    samples again. Labels of a single class give that class for every input, with a training loss of 0.

    Args:
        settings: ``inverse_penalties``, the values of C, and ``folds``.
        sample: the training samples.
    """
    if sample.labels.all() or not sample.labels.any():
        return constant(sample.labels[0], train_loss=0.0)
    seed = sample.random_state("logistic-regression")
    candidates = [SparseRegression(C, seed) for C in sorted(settings["inverse_penalties"])]
    chosen = choose(candidates, sample.inputs, sample.labels, settings["folds"]).fit(sample.inputs, sample.labels)
    margins = chosen.logits(sample.inputs) * _signs(sample.labels)
    return Hypothesis(chosen.predict, train_loss=float(np.logaddexp(0, -margins).mean()))


class SparseRegression(BaseEstimator):
    """The regression for one C, as a classifier of scikit-learn's kind.

    A fit of a working set that has not converged after ``MAX_ITERATIONS`` is used as it is, and scikit-learn warns of
    it.

    Attributes:
        C: weight of the summed cross-entropy against the L1 norm.
        seed: of the random order in which liblinear's coordinate descent visits the weights.
        positions_: those with a weight, int [s].
        weights_: of their bits as ±1, float64 [s], none of them 0.
        intercept_: the logit where all of these add to nothing.
    """

    def __init__(self, C: float, seed: int) -> None:
        self.C = C
        self.seed = seed

    def fit(self, bits: np.ndarray, labels: np.ndarray) -> Self:
        """Fits bits, bool [n, T], to labels, bool [n] with both classes; starts from no position."""
        self.positions_, self.weights_, self.intercept_ = np.array([], dtype=int), np.array([]), logit(labels.mean())
        working = self.positions_
        while len(added := self._violators(bits, labels, working)):
            working = np.concatenate([working, added])
            self._solve(bits, labels, working)
        return self

    def predict(self, bits: np.ndarray) -> np.ndarray:
        """The labels of bits, bool [N, T] -> bool [N]."""
        return self.logits(bits) > 0

    def logits(self, bits: np.ndarray) -> np.ndarray:
        """The log odds of label 1, bool [N, T] -> float64 [N]."""
        return _signs(bits[:, self.positions_]) @ self.weights_ + self.intercept_

    def _violators(self, bits: np.ndarray, labels: np.ndarray, working: np.ndarray) -> np.ndarray:
        """The n steepest of the positions left out at which a weight would lower the loss by more than its penalty.

        A minimum needs no more than n weights; fewer positions can make a fit hard that is easy with n.
        """
        slopes = np.abs(self.C * _signed_sums(bits, labels - expit(self.logits(bits))))
        slopes[working] = 0
        steepest = np.argsort(slopes)[::-1][: len(bits)]
        return steepest[slopes[steepest] > 1 + SLACK]

    def _solve(self, bits: np.ndarray, labels: np.ndarray, working: np.ndarray) -> None:
        """Minimises over the weights of the working set alone."""
        solver = LogisticRegression(
            C=self.C,
            l1_ratio=1.0,
            solver="liblinear",
            intercept_scaling=INTERCEPT_SCALING,
            tol=TOLERANCE,
            max_iter=MAX_ITERATIONS,
            random_state=self.seed,
        ).fit(_signs(bits[:, working]), labels)
        weights, used = solver.coef_[0], np.flatnonzero(solver.coef_[0])
        self.positions_, self.weights_, self.intercept_ = working[used], weights[used], solver.intercept_[0]


def _signed_sums(bits: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values, float64 [n], summed over the samples with the sign of each position's bit, float64 [T]."""
    rows = max(1, SUMMED_BITS // bits.shape[1])
    blocks = (slice(start, start + rows) for start in range(0, len(bits), rows))
    return 2 * sum(values[block] @ bits[block] for block in blocks) - values.sum()


def _signs(bits: np.ndarray) -> np.ndarray:
    """Bits as ±1, float64 of the same shape."""
    return 2.0 * bits - 1.0
