"""What is drawn, compared and judged around the fits of the joint model, against known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import betabinom, binom, chi2
from scipy.stats import f as fisher_f

from law_truths import T, cells, drawn
from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Counts, Model, Shape
from pipeline.statistics.law_evidence import (
    Dispersion,
    Evidence,
    bracketed,
    fit_free,
    gather,
    held_out,
    never_above,
    open_shapes,
    overdispersion,
    percentiles,
)
from pipeline.statistics.laws import OFFSET_POWER, Law
from pipeline.statistics.maximum_likelihood import draw, fit, penalised


class TestDraws:
    def test_uncorrelated_cells_are_binomial_and_correlated_ones_beta_binomial(self):
        table = Counts(*(np.array(x) for x in ([10, 10, 20], [5, 9, 7], [12, 3, 12], [0, 0, 0])))
        success = np.array([0.2, 0.5, 0.9])
        for correlation in (0.0, 0.1):
            tables = draw(success, table, correlation, Stream("test", correlation=correlation), 20_000)
            for counts, p, trials in zip(tables.T, success, table.trials, strict=True):
                spread = (1 - correlation) / max(correlation, 1e-12)
                law = betabinom(trials, p * spread, (1 - p) * spread) if correlation else binom(trials, p)
                observed = np.bincount(counts.astype(int), minlength=trials + 1) / len(tables)
                np.testing.assert_allclose(observed, law.pmf(np.arange(trials + 1)), atol=0.015)

    def test_overdispersion_is_found_where_it_is_and_not_elsewhere(self):
        found = {}
        for correlation in (0.0, 0.1):
            table = drawn("log", seed=3, correlation=correlation)
            found[correlation] = overdispersion(fit_free(table, 0.5), 0.5, table, 0.05, 99, Stream("o"))
        assert (found[0.0].scale, found[0.0].correlation) == (1, 0)
        assert found[0.0].ratio == pytest.approx(1, abs=0.5)
        assert found[0.1].p == 0.01
        assert found[0.1].scale == pytest.approx(1 + 49 * 0.1, rel=0.5)
        assert found[0.1].correlation == pytest.approx(0.1, abs=0.05)

    def test_a_deviance_is_judged_by_f_where_the_spread_is_estimated(self):
        """By chi squared 4 terms that are not needed would be called needed in 6.9 % of tables, at 5 %."""
        gain, bound = chi2.ppf(0.95, 4) / 2, fisher_f.ppf(0.95, 4, 39) * 2
        assert Dispersion(1.1, 0.3, 1.0, 0.0, 39).p_value(gain, 4) == pytest.approx(0.05)
        overdispersed = Dispersion(2.5, 0.01, 2.5, 0.03, 39)
        assert overdispersed.p_value(2.5 * gain, 4) == pytest.approx(0.069, abs=5e-4)
        assert overdispersed.p_value(2.5 * bound, 4) == pytest.approx(0.05)


class TestEvidence:
    def test_the_asymptote_is_chosen_where_the_rates_level_off(self):
        _, _, levelling = cells("log", shape=Shape(1, 2))
        _, _, rising = cells("log", shape=Shape(1, 0))
        known = Dispersion(1.0, 0.5, 1.0, 0.0, 30)
        for table, expected in ((levelling, Shape(1, 2)), (rising, Shape(1, 0))):
            counts = replace(table, successes=table.successes.round())
            assert next(iter(open_shapes(fit_free(counts, 0.5), known, 0.95))) == expected

    def test_the_held_out_lengths_are_the_largest_quarter(self):
        model, _, table = cells("log", runs=10**5)
        last = np.equal(table.T, T[-1])
        table = replace(table, successes=table.successes.round())
        expected = binom.logpmf(table.successes[last], 10**5, table.successes[last] / 10**5).sum()
        assert held_out(model, table) == pytest.approx(expected, abs=1)
        assert held_out(Model(Law("linear", T), model.shape, 0.5), table) < expected - 1000

    def test_percentiles_are_ranks_of_one_more_than_there_are(self):
        low, high = percentiles(np.random.default_rng(0).permutation(np.arange(1.0, 200)), 0.95)
        assert (low, high) == pytest.approx((5, 195))

    def test_bracketed_lengths_have_rates_on_both_sides(self):
        table = Counts(*(np.array(x) for x in ([1, 1, 2, 2, 3], [5, 9, 5, 9, 5], [10] * 5, [0, 5, 6, 9, 0])))
        assert bracketed(table, 0.5).tolist() == [True, False, False]

    @pytest.mark.parametrize(("share", "correlation"), [(0.5, 0.0), (0.8, 0.0), (0.5, 0.1)])
    def test_a_size_where_the_rates_only_come_up_to_the_share_is_seldom_sure(self, share, correlation):
        """At the share everywhere it is one in twenty, and where the rates rise to it still fewer."""
        n = np.tile(np.geomspace(10, 100, 8).round(), 400)
        table = Counts(np.repeat(np.arange(1, 401), 8), n, np.full(len(n), 20), np.zeros(len(n)))
        error = np.sqrt(0.05 * 0.95 / 400)
        for rates in (np.full(8, share), share * np.linspace(0.2, 1, 8)):
            successes = draw(np.tile(rates, 400), table, correlation, Stream("test", share=share), 1)[0]
            p = never_above(replace(table, successes=successes), share, correlation, 199, Stream("p"))
            assert (p < 0.05).mean() <= 0.05 + 2 * error
            assert rates[0] < share or (p < 0.05).mean() >= 0.05 - 2 * error

    def test_runs_together_make_sure_of_a_size_that_no_cell_proves_alone(self):
        """Two T of equal cells: 65 % from n = 40 on, and 65 % at one n only. The rows come in any order."""
        successes = [0, 13, 13, 13, 13, 13, 13, 0, 13, 9, 8, 9, 8, 9]
        n = [20, 40, 50, 60, 80, 100, 120] * 2
        order = np.random.default_rng(0).permutation(14)
        columns = (np.repeat([7, 9], 7), np.array(n), np.full(14, 20), np.array(successes))
        table = Counts(*(column[order] for column in columns))
        first, second = never_above(table, 0.5, 0.0, 999, Stream("p"))
        assert first < 0.005
        assert second > 0.3

    def test_a_surplus_at_small_samples_is_no_size(self):
        """Where the rate falls with n, it is the runs of the large n that count."""
        table = Counts(*(np.array(x) for x in ([1] * 4, [10, 20, 40, 80], [20] * 4, [20, 8, 2, 0])))
        assert never_above(table, 0.5, 0.0, 199, Stream("p"))[0] > 0.5


@pytest.fixture(scope="module")
def overdispersed() -> Evidence:
    """Of a table whose runs are correlated, and whose asymptote is near the share at the largest T."""
    table = drawn("log", seed=3, correlation=0.15, runs=30, asymptote=(-0.5, -0.7))
    return gather(table, 0.5, 0.95, 199, {"experiment": "test"})


class TestOverdispersed:
    """That overdispersion, once found, enters everything that is gathered."""

    def test_criteria_are_those_of_the_quasi_likelihood(self, overdispersed):
        scale, runs = overdispersed.dispersion.scale, overdispersed.counts.trials.sum()
        assert scale > 2
        for law in overdispersed.laws.values():
            assert law.aic == pytest.approx(2 * law.model.size - 2 * law.log_likelihood / scale)
            assert law.bic == pytest.approx(np.log(runs) * law.model.size - 2 * law.log_likelihood / scale)

    @pytest.mark.parametrize("kind", ["parametric", "case"])
    def test_bootstrap_tables_spread_as_much_as_the_table(self, overdispersed, kind):
        law, counts = overdispersed.laws["log"], overdispersed.counts
        centre, successes = law.model.start(counts.n), counts.successes[None]
        information = penalised(law.model, counts, successes, centre, law.parameters)[2][0]
        binomial = np.sqrt(np.linalg.inv(information)[0, 0])
        ratio = getattr(law, kind)[:, 0].std() / binomial
        assert ratio == pytest.approx(np.sqrt(overdispersed.dispersion.scale), rel=0.3)

    def test_intervals_take_in_every_shape_that_is_left_open(self, overdispersed):
        drops = open_shapes(fit_free(overdispersed.counts, 0.5), overdispersed.dispersion, 0.95)
        assert len(drops) > 1
        for one in (overdispersed.free, *overdispersed.laws.values()):
            assert {candidate.model.shape: candidate.drop for candidate in one.candidates} == drops

    def test_the_law_with_an_offset_is_judged_with_it(self, overdispersed):
        free, counts = overdispersed.free, overdispersed.counts
        general = replace(free.model, law=Law(OFFSET_POWER, counts.lengths, overdispersed.exponent.c))
        gain = free.log_likelihood - fit(general, counts).log_likelihood[0]
        expected = overdispersed.dispersion.p_value(gain, len(T) - 3)
        assert overdispersed.exponent_fits_free == pytest.approx(expected, abs=1e-3)

    def test_deviances_and_sizes_are_judged_with_it(self, overdispersed):
        free, dispersion, counts = overdispersed.free, overdispersed.dispersion, overdispersed.counts
        for name, law in overdispersed.laws.items():
            gain, terms = free.log_likelihood - law.log_likelihood, len(T) - law.model.law.size
            assert overdispersed.fits_free[name] == dispersion.p_value(gain, terms)
        stream = {"law": "no_size", "experiment": "test"}
        expected, binomial = (
            never_above(counts, 0.5, correlation, 199, Stream("law-bootstrap", **stream))
            for correlation in (dispersion.correlation, 0.0)
        )
        np.testing.assert_array_equal(overdispersed.no_size, expected)
        assert (expected > binomial).any()
