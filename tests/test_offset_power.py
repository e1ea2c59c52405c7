"""The exponent of growth beside an offset, against known truth and against fits from many starts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from law_truths import LAPSING, TRUTHS, T, cells, drawn
from pipeline.statistics import maximum_likelihood, offset_power
from pipeline.statistics.joint_model import Counts, Model, Shape
from pipeline.statistics.laws import OFFSET_POWER, Law
from pipeline.statistics.maximum_likelihood import fit, penalised
from pipeline.statistics.offset_power import LIMIT, exponent
from pipeline.statistics.profile_likelihood import Candidate

DROP = chi2.ppf(0.95, 1) / 2
TRUE = {"log": 0.0, "power": TRUTHS["power"][1], "linear": 1.0}


def candidate(table: Counts, shape: Shape = LAPSING) -> Candidate:
    model = Model(Law("log", table.lengths), shape, 0.5)
    return Candidate(model, fit(model, table).parameters, DROP)


def found(table: Counts) -> tuple[float, float, float]:
    return exponent([candidate(table)], table)[:3]


def height(table: Counts, c: float) -> float:
    """The largest log-likelihood at an exponent, from many starts."""
    model = Model(Law(OFFSET_POWER, table.lengths, c), LAPSING, 0.5)
    best = fit(model, table).parameters
    return penalised(model, table, table.successes[None], model.start(table.n), best)[0][0]


@pytest.mark.parametrize(("name", "c"), TRUE.items())
def test_it_contains_the_laws(name, c):
    ends = c * np.log(T[[0, -1]])[None] + 2 if name == "power" else np.log([[40.0, 90.0]])  # a power without an offset
    one, other = (law.ln_n(ends, T * 1.5)[0] for law in (Law(OFFSET_POWER, T, c), Law(name, T)))
    np.testing.assert_allclose(one, other)


@pytest.mark.parametrize(("name", "c"), TRUE.items())
def test_without_noise_it_is_the_laws_own(name, c):
    _, _, table = cells(name)
    value, low, high = found(table)
    assert value == pytest.approx(c, abs=0.02)  # the ridge pulls a little
    assert low < c < high


@pytest.mark.parametrize("c", [0.06, 0.12, 0.19])
def test_an_interval_may_lie_between_two_steps_of_the_search(c):
    lengths, n = np.array([20, 100, 1000, 20_000]), np.geomspace(12, 1200, 30).round()
    model = Model(Law(OFFSET_POWER, lengths, c), LAPSING, 0.5)
    empty = Counts(np.repeat(lengths, 30), np.tile(n, 4), np.full(120, 3000), np.zeros(120))
    success = model.rates(np.array([[np.log(30), np.log(300), np.log(5), 2, -0.3]]), empty.T, empty.n)[0][0]
    value, low, high = found(replace(empty, successes=3000 * success))
    assert value == pytest.approx(c, abs=1e-3)
    assert low < c < high
    assert high - low < 0.06


@pytest.mark.parametrize(("name", "seed"), [("log", 1), ("power", 2), ("linear", 3)])
def test_at_the_ends_the_likelihood_has_fallen_by_the_drop(name, seed):
    table = drawn(name, seed)
    value, low, high = found(table)
    top = height(table, value)
    assert [top - height(table, end) for end in (low, high)] == pytest.approx([DROP, DROP], abs=0.01)
    assert top >= max(height(table, c) for c in (value - 0.05, value + 0.05))


def test_a_constant_has_any_exponent():
    assert np.isnan(found(cells("constant")[2])[1:]).all()


def test_one_beyond_the_limit_is_open_on_that_side():
    lengths, n = np.array([100, 110, 120, 130, 140]), np.geomspace(12, 1200, 8).round()
    steep = Model(Law(OFFSET_POWER, lengths, 8.0), LAPSING, 0.5)
    empty = Counts(np.repeat(lengths, 8), np.tile(n, 5), np.full(40, 2000), np.zeros(40))
    success = steep.rates(np.array([[np.log(30), np.log(300), np.log(5), 2, -0.3]]), empty.T, empty.n)[0][0]
    value, low, high = found(replace(empty, successes=2000 * success))
    assert np.isnan([value, high]).all()
    assert 0 < low < LIMIT


def test_the_interval_takes_in_all_open_shapes():
    table = drawn("log", 4)
    both = [candidate(table, shape) for shape in (LAPSING, LAPSING._replace(steepness=2))]
    first, second = (exponent([one], table) for one in both)
    assert first.low != second.low
    assert exponent(both, table) == first._replace(low=min(first.low, second.low), high=max(first.high, second.high))


def test_a_fit_that_fails_ends_nothing(monkeypatch):
    def refit(model, *rest):
        if model.law.exponent in (-0.75, 0.25):
            raise RuntimeError("the joint model did not converge")
        return maximum_likelihood.refit(model, *rest)

    table = drawn("log", 4)
    expected = found(table)
    monkeypatch.setattr(offset_power, "refit", refit)
    assert found(table) == pytest.approx(expected, abs=0.01)


def test_large_context_lengths_keep_their_digits():
    law = Law(OFFSET_POWER, np.array([100_000, 300_000, 1_000_000]), -3.0)
    assert law.weights(law.lengths)[:, 1] == pytest.approx([0, (1 - 3.0**-3) / (1 - 10.0**-3), 1])


@pytest.mark.parametrize("name", TRUE)
def test_intervals_cover(name):
    """More tables of more kinds: python benchmarks/exponent.py."""
    ends = np.array([found(drawn(name, seed))[1:] for seed in range(40)])
    low, high = np.nan_to_num(ends, nan=np.inf).T
    covered = (np.where(np.isinf(low), -np.inf, low) <= TRUE[name]) & (TRUE[name] <= high)
    assert covered.mean() == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 40))
