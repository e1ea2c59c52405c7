"""How a baseline chooses among its hyperparameters: by cross-validation on the training samples."""

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import StratifiedKFold, cross_val_predict


def choose(candidates: Sequence[BaseEstimator], inputs: np.ndarray, labels: np.ndarray, folds: int) -> BaseEstimator:
    """The candidate that labels the most samples correctly when they are left out; of equals, the first.

    The folds are stratified and not shuffled, since the samples are independent as they come. A class with fewer
    samples than ``folds`` makes them as many as it has samples; with a single one there is nothing to compare, and
    the first candidate is taken.

    Args:
        candidates: classifiers, from the most to the least regularised.
        inputs: [n, T], of a type that the candidates take.
        labels: bool [n] with both classes.
        folds: the number of folds, at least 2.
    """
    folds = min(folds, np.bincount(labels, minlength=2).min())
    if folds < 2:
        return candidates[0]

    def correct(candidate: BaseEstimator) -> int:
        predicted = cross_val_predict(candidate, inputs, labels, cv=StratifiedKFold(folds))
        return np.count_nonzero(predicted == labels)

    return max(candidates, key=correct)
