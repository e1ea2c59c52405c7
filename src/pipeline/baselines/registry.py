"""The baselines by their kind in the config: ``fit(settings, sample)`` of each."""

from pipeline.baselines import consistent, decision_tree, logistic_regression

BASELINES = {
    "logistic_regression": logistic_regression.fit,
    "decision_tree": decision_tree.fit,
    "consistent": consistent.fit,
}
