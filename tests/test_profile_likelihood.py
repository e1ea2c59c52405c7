"""Profile-likelihood intervals against what defines them: standard errors of large tables, and constrained maxima."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2, norm
from scipy.stats import f as fisher_f

from law_truths import LAPSING, T, cells, drawn
from pipeline.statistics import profile_likelihood
from pipeline.statistics.joint_model import Counts, Model, Shape
from pipeline.statistics.law_evidence import Dispersion, open_shapes
from pipeline.statistics.laws import FREE, LAWS, Law
from pipeline.statistics.maximum_likelihood import Fits, fit, penalised
from pipeline.statistics.profile_likelihood import Candidate, interval

DROP = chi2.ppf(0.95, 1) / 2


def fitted(name: str, table: Counts, shape=LAPSING, drop=DROP) -> Candidate:
    model = Model(Law(name, table.lengths), shape, 0.5)
    return Candidate(model, fit(model, table).parameters, drop)


def asked(law: Law) -> np.ndarray:
    """The weights of a law's coefficients and of its sizes within and beyond the data, of the free ones' mean too."""
    sizes = law.weights(T if law.name == FREE else np.array([50, 400, 20_000]))
    if law.name == FREE:
        return np.concatenate([sizes, sizes.mean(axis=0, keepdims=True)])
    coefficients = law.coefficient_weights()
    return np.concatenate([coefficients[~np.isnan(coefficients).any(axis=1)], sizes])


@pytest.mark.parametrize("name", [FREE, *LAWS])
def test_of_a_large_table_they_are_the_normal_ones(name):
    _, _, table = cells("log" if name == FREE else name, runs=10**6)
    candidate = fitted(name, table)
    law, point = candidate.model.law, candidate.parameters
    weights = asked(law)
    slope = np.zeros((len(weights), candidate.model.size))
    slope[:, : law.size] = weights * (1 if law.in_logarithms else np.exp(point[:, : law.size]))
    information = penalised(candidate.model, table, table.successes[None], candidate.model.start(table.n), point)[2][0]
    error = np.sqrt((slope * np.linalg.solve(information, slope.T).T).sum(axis=1))
    estimate = weights @ law.values(point[:, : law.size])[0]
    low, high = interval([candidate], table, weights)
    np.testing.assert_allclose((estimate - low) / error, norm.ppf(0.975), rtol=0.01)
    np.testing.assert_allclose((high - estimate) / error, norm.ppf(0.975), rtol=0.01)


@pytest.mark.parametrize("name", ["constant", "log", "power", "linear"])
def test_at_an_end_the_largest_likelihood_is_at_the_drop(name):
    table = drawn(name, seed=3, runs=20)
    candidate = fitted(name, table)
    model, law = candidate.model, candidate.model.law
    centre, successes = model.start(table.n), table.successes[None].astype(float)

    def value(point: np.ndarray) -> float:
        return penalised(model, table, successes, centre, point[None])[0][0]

    def constrained(weights: np.ndarray, target: float) -> float:
        off = {"type": "eq", "fun": lambda point: (weights @ law.values(point[None, : law.size])[0] - target) / target}
        start = candidate.parameters[0]
        found = minimize(lambda point: -value(point), start, constraints=off, method="SLSQP", options={"ftol": 1e-10})
        assert found.success
        return -found.fun

    weights = asked(law)
    for row, *ends in zip(weights, *interval([candidate], table, weights), strict=True):
        for end in ends:
            assert value(candidate.parameters[0]) - constrained(row, end) == pytest.approx(DROP, abs=0.01)


def test_a_search_that_does_not_end_is_finished_by_scipy(monkeypatch):
    table = drawn("log", seed=1, runs=20)
    candidate = fitted("log", table)
    weights = asked(candidate.model.law)
    expected = interval([candidate], table, weights)
    monkeypatch.setattr(profile_likelihood, "_MAX_ITERATIONS", 2)
    np.testing.assert_allclose(interval([candidate], table, weights), expected, rtol=0.01)


def flat() -> Counts:
    """Runs of 50 a cell that rise to a plateau from one n to the next: much of the model is hardly bounded by them."""
    lengths, sizes = [20, 490, 1702, 1897, 2459, 2655, 2691, 2798], [7, 11, 17, 29, 48, 81]
    seen = [
        [28, 34, 30],
        [29, 31, 26],
        [28, 31, 32],
        [32, 33, 27],
        [26, 31, 32],
        [35, 32, 28],
        [26, 32, 32],
        [31, 32, 31],
    ]
    successes = [[0, 0, 0, *row] for row in seen]
    T, n = (part.ravel() for part in np.meshgrid(lengths, sizes, indexing="ij"))
    return Counts(T, n, np.full(T.size, 50), np.ravel(successes))


@pytest.mark.parametrize(("name", "share"), [("log", 0.4), ("power", 0.4), (FREE, 0.4), ("log", 0.5)])
def test_where_the_runs_hardly_bound_the_model_the_ends_are_found_all_the_same(name, share, caplog):
    table = flat()
    model = Model(Law(name, table.lengths), Shape(2, 1), share)
    candidate = Candidate(model, fit(model, table).parameters, DROP)
    weights = model.law.weights(table.lengths if name == FREE else np.array([20, 2798, 27_980]))
    low, high = interval([candidate], table, weights)
    assert (low < high).all()
    assert not caplog.records


def test_an_end_that_no_search_finds_is_open_and_told(monkeypatch, caplog):
    table = drawn("log", seed=1, runs=20)
    candidate = fitted("log", table)
    monkeypatch.setattr(profile_likelihood, "_MAX_ITERATIONS", 1)
    failed = SimpleNamespace(success=False, x=np.zeros(candidate.model.size), message="no luck")
    monkeypatch.setattr(profile_likelihood, "minimize", lambda *given, **more: failed)
    low, high = interval([candidate], table, asked(candidate.model.law))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    assert caplog.messages[0] == "the end of a profile-likelihood interval was not found and stays open: no luck"


def test_a_length_that_shows_no_rise_has_an_interval_that_is_finite_and_open_upwards():
    table = drawn("log", seed=0, runs=20)
    last = np.equal(table.T, T[-1])
    table = replace(table, successes=np.where(last, 0, table.successes))
    low, high = np.exp(interval([fitted(FREE, table)], table, np.eye(len(T))))
    assert low[-1] > 0.9 * table.n[last].max()
    assert high[-1] > 3 * low[-1]
    assert np.isfinite(high).all()


def test_several_shapes_have_the_hull_of_their_intervals_and_without_a_drop_only_the_estimate():
    table = drawn("power", seed=2)
    weights = Law("power", T).weights(T)
    shapes = fitted("power", table), fitted("power", table, Shape(2, 2), drop=0.5)
    each = np.stack([interval([one], table, weights) for one in shapes])
    low, high = interval(shapes, table, weights)
    np.testing.assert_array_equal(low, each[:, 0].min(axis=0))
    np.testing.assert_array_equal(high, each[:, 1].max(axis=0))
    estimate = weights @ shapes[0].parameters[0, :2]
    for ends in interval([replace(shapes[0], drop=0.0)], table, weights):
        np.testing.assert_allclose(ends, estimate, atol=1e-3)


@pytest.mark.parametrize(("scale", "allowed"), [(1.0, chi2.ppf(0.95, 1)), (2.0, fisher_f.ppf(0.95, 1, 10))])
def test_a_shape_is_allowed_what_its_aic_leaves(scale, allowed):
    ahead = {Shape(1, 1): 0.0, Shape(1, 2): -1.5, Shape(2, 2): -2.5 - allowed, Shape(1, 0): 0.5}  # less AIC, negated
    free = {shape: Fits(None, np.array([scale * (sum(shape) + gain / 2)])) for shape, gain in ahead.items()}
    drops = open_shapes(free, Dispersion(scale, 0.01, scale, 0.1, 10), 0.95)
    assert list(drops) == [Shape(1, 0), Shape(1, 1), Shape(1, 2)]
    expected = [scale * allowed / 2, scale * (allowed - 0.5) / 2, scale * (allowed - 2) / 2]
    np.testing.assert_allclose(list(drops.values()), expected)
