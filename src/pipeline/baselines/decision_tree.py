"""A binary decision tree on the bits, pruned by cost and complexity (scikit-learn's CART)."""

from collections.abc import Mapping

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from pipeline.baselines.learning import Hypothesis, Sample, constant
from pipeline.baselines.selection import choose


def fit(settings: Mapping, sample: Sample) -> Hypothesis:
    """Grows a tree greedily, one bit a split, until its leaves are pure, and prunes it.

    How far is chosen by :func:`pipeline.baselines.selection.choose`, of equals the most, and the tree grown of all
    samples again. Of splits that are equally good the tree takes one at random, by the run's stream ``decision-tree``.
    Labels of a single class give that class for every input.

    Args:
        settings: ``criterion``, ``prunings`` (the least gain in impurity that a split must have left, scikit-learn's
            ``ccp_alpha``) and ``folds``.
        sample: the training samples.
    """
    if sample.labels.all() or not sample.labels.any():
        return constant(sample.labels[0])
    bits = sample.inputs.astype(np.float32)
    seed = sample.random_state("decision-tree")
    candidates = [
        DecisionTreeClassifier(criterion=settings["criterion"], ccp_alpha=pruning, random_state=seed)
        for pruning in sorted(settings["prunings"], reverse=True)
    ]
    return Hypothesis(choose(candidates, bits, sample.labels, settings["folds"]).fit(bits, sample.labels).predict)
