"""The joint model of all runs: laws, likelihood and fits, against known truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import binom, chi2

from law_truths import FORMULAS, TRUTHS, T, cells, drawn, ends
from pipeline.randomness import Stream
from pipeline.statistics import maximum_likelihood
from pipeline.statistics.joint_model import SHAPES, Counts, Model, Shape
from pipeline.statistics.law_evidence import (
    percentiles,
)
from pipeline.statistics.laws import FREE, LAWS, Law
from pipeline.statistics.maximum_likelihood import RIDGE, draw, fit, log_likelihood, penalised, refit
from pipeline.statistics.profile_likelihood import Candidate, interval
from pipeline.storage import read_frame
from running import ROOT


class TestLaws:
    @pytest.mark.parametrize("name", LAWS)
    def test_values_and_coefficients_are_those_of_the_formula(self, name):
        law, parameters, lengths = Law(name, T), ends(name)[None], np.array([70.0, 800, 40_000])
        np.testing.assert_allclose(np.exp(law.ln_n(parameters, lengths)[0][0]), FORMULAS[name](*TRUTHS[name], lengths))
        np.testing.assert_allclose(np.ravel(law.coefficients(parameters)), TRUTHS[name])

    @pytest.mark.parametrize("name", [*LAWS, FREE])
    def test_derivatives(self, name):
        law = Law(name, T)
        point = np.linspace(3, 5, law.size)
        lengths = T if name == FREE else np.array([60, 400, 9000])
        numeric = approx_fprime(point, lambda x: law.ln_n(x[None], lengths)[0][0], 1e-7)
        np.testing.assert_allclose(law.ln_n(point[None], lengths)[1][0], numeric, atol=1e-5)

    def test_a_falling_line_stays_positive_beyond_its_zero(self):
        ln_n, slope = Law("linear", np.array([10, 20])).ln_n(np.log([[50.0, 20.0]]), np.array([15, 1000]))
        assert ln_n[0, 0] == pytest.approx(np.log(35))
        assert np.isfinite(ln_n).all()
        assert np.isfinite(slope).all()


@st.composite
def models(draw_from):
    """A model, parameters near plausible ones, and a table with any n at each T and any trials."""
    lengths = np.array(sorted(draw_from(st.sets(st.integers(5, 5000), min_size=2, max_size=5))))
    name = draw_from(st.sampled_from([*LAWS, FREE]))
    model = Model(Law(name, lengths), draw_from(st.sampled_from(SHAPES)), draw_from(st.sampled_from([0.3, 0.5, 0.9])))
    size = draw_from(st.integers(len(lengths), 12))
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32)))
    own = np.concatenate([lengths, rng.choice(lengths, size - len(lengths))])
    trials = rng.integers(1, 60, size)
    table = Counts(own, rng.integers(10, 200, size), trials, rng.integers(0, trials + 1))
    return model, model.start(table.n) + rng.normal(0, 0.5, model.size), table


class TestLikelihood:
    @settings(deadline=None, max_examples=60)
    @given(models())
    def test_gradient_is_the_numerical_one(self, case):
        model, point, table = case
        centre, successes = model.start(table.n), table.successes[None]

        def value(x: np.ndarray) -> float:
            return penalised(model, table, successes, centre, x[None])[0][0]

        gradient = penalised(model, table, successes, centre, point[None])[1][0]
        steps = 1e-5 * np.eye(model.size)
        numeric = [(value(point + step) - value(point - step)) / 2e-5 for step in steps]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-3)

    def test_information_is_the_expected_outer_product_of_the_score(self):
        model, parameters, table = cells(runs=20)
        tables = draw(table.successes / 20, table, 0.0, Stream("test", what="information"), 20_000)
        repeated = np.repeat(parameters, len(tables), axis=0)
        _, scores, information = penalised(model, table, tables, parameters[0], repeated)
        expected = scores.T @ scores / len(tables) + RIDGE * np.eye(model.size)
        scale = np.sqrt(np.outer(*[np.diag(expected)] * 2))
        np.testing.assert_allclose(information[0] / scale, expected / scale, atol=0.05)

    def test_it_is_the_binomial_one(self):
        model, parameters, table = cells()
        counts = table.successes.round()
        success, failure, _ = model.rates(parameters, table.T, table.n)
        np.testing.assert_allclose(success + failure, 1)
        expected = binom.logpmf(counts, table.trials, success[0]).sum()
        assert log_likelihood(model, table, counts[None], parameters)[0] == pytest.approx(expected)

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
    def test_the_rate_at_the_critical_size_is_the_share(self, shape, share):
        model, parameters, _ = cells("power", shape=shape, share=share)
        sizes = np.exp(model.law.ln_n(model.split(parameters)[0], T)[0][0])
        np.testing.assert_allclose(model.rates(parameters, T, sizes)[0][0], share)
        asymptote = model.rates(parameters, T, 1e9 * sizes)[0][0]
        np.testing.assert_allclose(asymptote, model.asymptote(parameters, T)[0])
        assert (asymptote > share).all()


def _highest(model: Model, counts: Counts) -> float:
    """The likelihood with the ridge at what is found, up to a constant."""
    found = fit(model, counts).parameters
    return penalised(model, counts, counts.successes[None].astype(float), model.start(counts.n), found)[0][0]


class TestFits:
    @pytest.mark.parametrize("name", LAWS)
    def test_a_large_table_gives_back_the_truth(self, name):
        model, parameters, table = cells(name, runs=10**6)
        np.testing.assert_allclose(fit(model, table).parameters, parameters, atol=2e-3)

    def test_many_tables_at_once_are_fitted_as_one_by_one(self):
        model, parameters, table = cells("log", runs=20)
        tables = draw(table.successes / 20, table, 0.0, Stream("test", what="many"), 30)
        together = refit(model, table, tables, parameters[0])
        for own, value, counts in zip(together.parameters, together.log_likelihood, tables, strict=True):
            alone = fit(model, replace(table, successes=counts))
            assert value == pytest.approx(alone.log_likelihood[0], abs=1e-4)
            np.testing.assert_allclose(own, alone.parameters[0], atol=0.02)

    def test_tables_on_which_scoring_does_not_end_are_finished_alone(self, monkeypatch):
        monkeypatch.setattr(maximum_likelihood, "_MAX_ITERATIONS", 1)
        model, parameters, table = cells("power", runs=20)
        tables = draw(table.successes / 20, table, 0.0, Stream("test", what="unfinished"), 3)
        for own, counts in zip(refit(model, table, tables, parameters[0]).parameters, tables, strict=True):
            alone = fit(model, replace(table, successes=counts))
            np.testing.assert_allclose(own, alone.parameters[0], atol=0.02)

    def test_a_table_on_which_the_fisher_information_misleads_is_fitted(self):
        """Drawn in a simulation, which it ended: 500 steps of a trust region with that information did not arrive."""
        lengths = np.array([100, 398, 1585, 6310, 25119, 100000])
        tens = """0 0 0 6 8 8 10 10   0 0 1 4 7 10 9 10   0 0 0 5 10 8 8 10
                  0 0 1 9 8 10 8 10   0 0 3 9 7 7 8 8     0 0 8 4 6 7 9 5"""
        n = [
            np.geomspace(first, last, 8).round()
            for first, last in zip((15, 20, 27, 37, 50, 68), (149, 202, 274, 371, 502, 680), strict=True)
        ]
        successes = np.array(tens.split(), float)
        table = Counts(np.repeat(lengths, 8), np.concatenate(n), np.full(48, 10), successes)
        model = Model(Law("linear", lengths), Shape(2, 2), 0.5)
        alone = fit(model, table)
        together = refit(model, table, successes[None], np.array([4.26, 4.86, 3.18, 0.67, 1.37, -0.69]))
        assert together.log_likelihood[0] == pytest.approx(alone.log_likelihood[0], abs=1e-4)
        _, score, _ = penalised(model, table, successes[None], model.start(table.n), alone.parameters)
        np.testing.assert_allclose(score, 0, atol=1e-3)

    @pytest.mark.parametrize("experiment", ["paper", "extended"])
    def test_a_richer_shape_never_fits_worse(self, experiment):
        """It contains the poorer one, so if it does, one of them is at a local maximum. On the published tables."""
        rates = read_frame(ROOT / f"docs/results/{experiment}/success_rates.parquet")
        for _, family in rates.groupby(["experiment", "function", "k"]):
            counts = Counts(*(family[column].to_numpy() for column in ("T", "n", "trials", "successes")))
            if len(counts.lengths) < 4:
                continue
            for name in (*LAWS, FREE):
                height = {shape: _highest(Model(Law(name, counts.lengths), shape, 0.5), counts) for shape in SHAPES}
                for poor, rich in [((1, 1), (1, 2)), ((2, 1), (2, 2)), ((1, 1), (2, 1)), ((1, 2), (2, 2))]:
                    assert height[rich] >= height[poor] - 1e-3, (name, poor, rich)

    def test_separated_tables_have_finite_estimates(self):
        model, _, table = cells("log", runs=10)
        separated = replace(table, successes=np.where(table.successes >= 5, 10, 0))
        found = fit(model, separated)
        assert np.isfinite(found.parameters).all()
        again = refit(model, separated, separated.successes[None], model.start(table.n))
        assert again.log_likelihood[0] == pytest.approx(found.log_likelihood[0], abs=1e-3)

    def test_rows_may_come_in_any_order_and_cells_in_parts(self):
        model, _, _ = cells("power")
        table = drawn("power", seed=1)
        whole = fit(model, table)
        order = np.random.default_rng(0).permutation(len(table.n))
        shuffled = Counts(*(column[order] for column in (table.T, table.n, table.trials, table.successes)))
        np.testing.assert_allclose(fit(model, shuffled).parameters, whole.parameters, atol=1e-4)
        some = np.minimum(table.successes, 20)
        parts = [(np.full(len(some), 20), some), (table.trials - 20, table.successes - some)]
        split = Counts(*(np.tile(x, 2) for x in (table.T, table.n)), *map(np.concatenate, zip(*parts, strict=True)))
        np.testing.assert_allclose(fit(model, split).parameters, whole.parameters, atol=1e-4)

    @pytest.mark.parametrize("kind", ["profile likelihood", "parametric bootstrap"])
    @pytest.mark.parametrize("name", ["log", "power"])
    def test_intervals_cover(self, name, kind):
        """The full check, with 1000 repetitions, is in docs/results/statistics."""
        model, parameters, _ = cells(name)
        sums = model.law.coefficient_weights()
        truth = sums @ model.law.values(model.split(parameters)[0])[0]
        covered = []
        for seed in range(50):
            table = drawn(name, seed)
            best = fit(model, table)
            if kind == "profile likelihood":
                low, high = interval([Candidate(model, best.parameters, chi2.ppf(0.95, 1) / 2)], table, sums)
            else:
                success = model.rates(best.parameters, table.T, table.n)[0][0]
                tables = draw(success, table, 0, Stream("b", seed=seed), 100)
                replicates = refit(model, table, tables, best.parameters[0]).parameters
                low, high = percentiles(model.law.values(model.split(replicates)[0]) @ sums.T, 0.95)
            covered += [(low <= truth) & (truth <= high)]
        assert np.mean(covered) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 50))
