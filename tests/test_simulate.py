"""The simulation of the statistics: many tables at once have the intervals that each has alone."""

import numpy as np
import pytest

import simulate
from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Model
from pipeline.statistics.law_evidence import fit_free, open_shapes, overdispersion
from pipeline.statistics.maximum_likelihood import fit
from pipeline.statistics.profile_likelihood import Candidate, interval

REPETITIONS = range(2, 4)


@pytest.fixture
def condition():
    return simulate.Condition("coverage", "linear", correlation=0.03, bootstrap=39)


def test_its_intervals_are_those_of_single_tables(condition):
    law = simulate.truth(condition)[0].law
    rows = list(simulate.coverage(condition, REPETITIONS))
    for repetition in REPETITIONS:
        counts = simulate.table(condition, repetition)
        free = fit_free(counts, simulate.SHARE)
        stream = Stream("bootstrap", use="dispersion", repetition=repetition)
        dispersion = overdispersion(free, simulate.SHARE, counts, 0.05, 39, stream)
        candidates = []
        for shape, drop in open_shapes(free, dispersion, 0.95).items():
            model = Model(law, shape, simulate.SHARE)
            candidates.append(Candidate(model, fit(model, counts).parameters, drop))
        expected = np.transpose(interval(candidates, counts, law.coefficient_weights()))
        own = [[row["low"], row["high"]] for row in rows if row["repetition"] == repetition]
        np.testing.assert_allclose(own, expected, rtol=0.01)


def test_more_repetitions_continue_those_that_are_kept(condition):
    more = condition._replace(repetitions=1100)
    assert condition.pieces() == more.pieces()[:4]
    assert more.pieces()[4] == range(1000, 1100)
    assert [condition.path(piece) for piece in condition.pieces()] == [more.path(piece) for piece in more.pieces()[:4]]
    np.testing.assert_array_equal(simulate.table(condition, 7).successes, simulate.table(more, 7).successes)
    assert (simulate.table(condition, 7).successes != simulate.table(condition, 8).successes).any()
