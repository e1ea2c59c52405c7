"""Logistic regression with an L1 penalty on the bits as ±1 (scikit-learn, liblinear)."""

from collections.abc import Mapping

import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.baselines.learning import Hypothesis, Sample, constant
from pipeline.baselines.selection import choose

INTERCEPT_SCALING = 1000  # liblinear penalises the intercept too; scaled so, its share of the penalty is negligible
MAX_ITERATIONS = 10_000  # far more than it has needed


def fit(settings: Mapping, sample: Sample) -> Hypothesis:
    """Minimises the L1 norm of the weights plus C times the summed cross-entropy.

    C is chosen by :func:`pipeline.baselines.selection.choose`, of equals the smallest, and the regression fitted to all
    samples again. Labels of a single class give that class for every input, with a training loss of 0.

    A fit that has not converged after ``MAX_ITERATIONS`` is used as it is, and scikit-learn warns of it.

    Args:
        settings: ``inverse_penalties``, the values of C, and ``folds``.
        sample: the training samples.
    """
    if sample.labels.all() or not sample.labels.any():
        return constant(sample.labels[0], train_loss=0.0)
    signs = _signs(sample.inputs)
    seed = sample.random_state("logistic-regression")
    candidates = [_regression(C, seed) for C in sorted(settings["inverse_penalties"])]
    chosen = choose(candidates, signs, sample.labels, settings["folds"]).fit(signs, sample.labels)
    used = np.flatnonzero(chosen.coef_[0])
    weights, intercept = chosen.coef_[0, used], chosen.intercept_[0]

    def logits(inputs: np.ndarray) -> np.ndarray:
        return _signs(inputs[:, used]) @ weights + intercept

    margins = logits(sample.inputs) * _signs(sample.labels)
    return Hypothesis(lambda inputs: logits(inputs) > 0, train_loss=float(np.logaddexp(0, -margins).mean()))


def _regression(C: float, seed: int) -> LogisticRegression:
    """The regression for one C; liblinear's coordinate descent visits the weights in a random order."""
    return LogisticRegression(
        C=C,
        l1_ratio=1.0,
        solver="liblinear",
        intercept_scaling=INTERCEPT_SCALING,
        max_iter=MAX_ITERATIONS,
        random_state=seed,
    )


def _signs(bits: np.ndarray) -> np.ndarray:
    """Bits as ±1, float64 of the same shape."""
    return 2.0 * bits - 1.0
