"""The learner whose hypothesis agrees with every sample.

For AND it is the elimination algorithm (Valiant 1984, *A Theory of the Learnable*), for OR its dual; they know neither
k nor that the function is sparse. For every other function it is an exact search among the k-subsets, which knows k and
the truth table, like the class of :mod:`pipeline.data.uniqueness`.

An exact search cannot fail on a sample that fits a single support, so under ``reject_ambiguous`` it succeeds wherever
such a sample was found: the redraws have done its work. Its critical sample size has a meaning only under a data
protocol without rejection. The streams do not carry the protocol's name, so a run there has the first draw of the
sample, support and truth table that the run of the same address has under rejection.
"""

from collections.abc import Mapping

import numpy as np

from pipeline.baselines.learning import Hypothesis, Sample, constant
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.uniqueness import consistent_supports


def fit(settings: Mapping, sample: Sample) -> Hypothesis:
    """Fits the hypothesis; of several consistent supports, the first in lexicographic order.

    If no support is consistent, as with noise, every input gets the majority label of the sample, 0 if they tie. The
    elimination algorithms need no such rule.

    Args:
        settings: unused, there is nothing to set.
        sample: the training samples.
    """
    return ELIMINATION.get(sample.address.function, _first_consistent)(sample)


def _conjunction(sample: Sample) -> Hypothesis:
    """The AND of all bits that are 1 in every positive sample: all T of them if there is none."""
    remaining = np.flatnonzero(sample.inputs[sample.labels].all(axis=0))
    return Hypothesis(lambda inputs: inputs[:, remaining].all(axis=1))


def _disjunction(sample: Sample) -> Hypothesis:
    """The OR of all bits that are 0 in every negative sample."""
    remaining = np.flatnonzero(~sample.inputs[~sample.labels].any(axis=0))
    return Hypothesis(lambda inputs: inputs[:, remaining].any(axis=1))


def _first_consistent(sample: Sample) -> Hypothesis:
    """The known function of the first consistent support."""
    table, linear = sample.truth_table, FUNCTIONS[sample.address.function].linear
    supports = consistent_supports(table, sample.inputs, sample.labels, linear=linear, limit=1)
    if not len(supports):
        return constant(sample.labels.mean() > 0.5)
    return Hypothesis(lambda inputs: evaluate(table, inputs, supports[0]))


ELIMINATION = {"and": _conjunction, "or": _disjunction}
