from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import binom, linregress, norm, t

from pipeline.families import CELL, FAMILY
from pipeline.statistics import censored_regression
from pipeline.statistics.censored_regression import NoMaximumError, fit, slope_interval
from pipeline.statistics.transitions import COUNTS, LAW, transition_fits, transitions

KEY = {"experiment": "online", "function": "parity", "model": "transformer", "k": 3, "n": 2048}
LENGTHS = np.array([10, 20, 40, 80])


def runs_of(steps_of: dict[int, list[float]], limit=10_000, **changes) -> pd.DataFrame:
    """Runs that reach the success rule at these steps, by T; those that would after the limit are censored there.

    They are evaluated at every step.
    """
    rows = [
        {"T": T, "seed": seed, "success_step": step if step <= limit else pd.NA, "steps": min(step, limit)}
        for T, steps in steps_of.items()
        for seed, step in enumerate(steps)
    ]
    runs = (
        pd.DataFrame(rows).assign(**(KEY | {"eval_every": 1} | changes)).astype({"success_step": "Int64", "steps": int})
    )
    status = np.where(runs["success_step"].notna(), "succeeded", "failed")
    return runs.assign(success=runs["success_step"].notna(), status=status)


def power_law_runs(
    repetitions: int, exponent=2.0, spread=0.4, limit=5000, runs=10, level=2000, eval_every=1
) -> pd.DataFrame:
    """Runs of the law ``step = level · (T / 28.3)^exponent`` with log-normal spread; k numbers the repetitions."""
    k, T, seed = (axis.ravel() for axis in np.meshgrid(range(repetitions), LENGTHS, range(runs), indexing="ij"))
    noise = spread * np.random.default_rng(0).standard_normal(len(T))
    step = eval_every * np.ceil(level * (T / 800**0.5) ** exponent * np.exp(noise) / eval_every)
    table = pd.DataFrame({"k": k, "T": T, "seed": seed, "steps": np.minimum(step, limit), "eval_every": eval_every})
    table["success_step"] = table["steps"].where(step <= limit).astype("Int64")
    return table.assign(**{name: value for name, value in KEY.items() if name != "k"})


class TestMedians:
    def median(self, steps: list[float], confidence=0.95, **changes) -> pd.Series:
        return transitions(runs_of({10: steps}, **changes), confidence).iloc[0]

    def test_columns_and_order(self):
        table = transitions(pd.concat([runs_of({40: [300], 20: [200]}), runs_of({80: [100]}, k=2)]), 0.95)
        assert list(table.columns) == [*CELL, "runs", "reached", "median", "ci_low", "ci_high", "censored"]
        assert table[["k", "T", "median"]].to_numpy().tolist() == [[2, 80, 100], [3, 20, 200], [3, 40, 300]]

    def test_interval_ends_at_the_order_statistics_of_the_tables(self):
        """For 10 and 25 observations: the second and ninth, the eighth and eighteenth (sign test, 95 %)."""
        row = self.median([10 * rank for rank in range(10, 0, -1)])
        assert row[["runs", "reached", "median", "ci_low", "ci_high"]].tolist() == [10, 10, 55, 20, 90]
        row = self.median(list(range(1, 26)))
        assert row[["median", "ci_low", "ci_high"]].tolist() == [13, 8, 18]

    def test_censored_runs_are_later_than_all_others(self):
        row = self.median([100, 200, 300, 400, 500, 600, 20_000, 20_000, 20_000, 20_000])
        assert row[["runs", "reached", "median", "ci_low", "censored"]].tolist() == [10, 6, 550, 200, False]
        assert np.isnan(row["ci_high"])

    @pytest.mark.parametrize("steps", [[100, 20_000], [20_000], [100, 200, 20_000, 20_000, 20_000]])
    def test_half_of_the_runs_censored_leave_no_median(self, steps):
        row = self.median(steps)
        assert row["censored"]
        assert np.isnan(row["median"])

    def test_a_run_that_diverged_early_is_censored_and_not_early(self):
        runs = runs_of({10: [300, 400, 500]})
        runs.loc[0, ["success_step", "steps", "status"]] = [pd.NA, 20, "diverged"]
        row = transitions(runs, 0.95).iloc[0]
        assert row[["runs", "reached", "median"]].tolist() == [3, 2, 500]

    def test_few_runs_leave_the_interval_open(self):
        assert self.median([1, 2, 3, 4, 5])[["ci_low", "ci_high"]].isna().all()
        assert self.median([1, 2, 3, 4, 5, 6])[["ci_low", "ci_high"]].tolist() == [1, 6]

    def test_coverage_with_censored_runs(self):
        """Log-normal steps whose median is 1000, a third of them censored; an open end covers whatever lies there."""
        step = np.ceil(np.random.default_rng(1).lognormal(np.log(1000), 0.5, 2000 * 15))
        runs = pd.DataFrame({"success_step": step, "steps": step}).assign(**KEY, T=10)
        runs["k"] = np.repeat(range(2000), 15)
        rows = transitions(runs.assign(success_step=runs["success_step"].mask(step > 1250)), 0.9)
        covered = (rows["ci_low"].fillna(0) <= 1000) & (rows["ci_high"].fillna(np.inf) >= 1000)
        expected = binom.cdf(11, 15, 0.5) - binom.cdf(3, 15, 0.5)
        assert covered.mean() == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 2000))

    def test_refuses_a_confidence_beyond_one(self):
        with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), not 95"):
            transitions(runs_of({10: [100]}), 95)


class TestCensoredRegression:
    x = np.log(np.repeat(LENGTHS, 6))
    y = 3 + 2 * x + 0.4 * np.random.default_rng(2).standard_normal(len(x))
    line = np.column_stack([np.ones_like(x), x])

    def limits(self, width: float, first=-np.inf, last=np.inf) -> tuple[np.ndarray, np.ndarray]:
        """The multiples of ``width`` about each response; of those up to ``first`` or beyond ``last``, just that."""
        low = np.floor(self.y / width) * width
        high = low + width
        low, high = np.where(high <= first, -np.inf, low), np.where(high <= first, first, high)
        return np.where(low >= last, last, low), np.where(low >= last, np.inf, high)

    @pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9])
    def test_as_the_limits_close_in_it_is_least_squares_with_student_s_interval(self, width):
        limits = self.y - width / 2, self.y + width / 2
        least_squares = linregress(self.x, self.y)
        model = fit(self.line, *limits)
        assert model.coefficients == pytest.approx([least_squares.intercept, least_squares.slope], abs=1e-5)
        residuals = self.y - self.line @ model.coefficients
        assert model.spread == pytest.approx(residuals.std(), abs=1e-5)
        density = norm.logpdf(residuals, scale=model.spread).sum()
        assert model.likelihood - len(self.y) * np.log(width) == pytest.approx(density, abs=1e-4)
        margin = t.ppf(0.95, len(self.x) - 2) * least_squares.stderr
        expected = least_squares.slope - margin, least_squares.slope + margin
        assert slope_interval(self.x, *limits, 0.9) == pytest.approx(expected, abs=1e-5)

    @given(
        st.sampled_from([1e-4, 0.1, 0.3]),
        st.floats(7, 8),
        st.floats(10, 12),
        st.integers(0, 2),
        st.sampled_from([-1e-2, 1e-2]),
    )
    def test_no_neighbour_is_likelier(self, width, first, last, parameter, shift):
        low, high = self.limits(width, first, last)

        def likelihood(parameters):
            mean, spread = self.line @ parameters[:2], parameters[2]
            return np.log(norm.cdf(high, mean, spread) - norm.cdf(low, mean, spread)).sum()

        model = fit(self.line, low, high)
        best = np.array([*model.coefficients, model.spread])
        assert model.likelihood == pytest.approx(likelihood(best))
        moved = best.copy()
        moved[parameter] += shift
        assert likelihood(moved) < likelihood(best)

    def test_a_response_far_out_in_a_tail_has_a_probability(self):
        low, high = self.limits(0.01)
        low[0], high[0] = low[0] + 1000, high[0] + 1000
        model = fit(self.line, low, high)
        assert np.isfinite([*model.coefficients, model.spread, model.likelihood]).all()

    @given(st.floats(-40, 40), st.floats(-12, 2))
    def test_the_probability_of_an_interval_is_that_of_its_halves(self, start, exponent):
        width = 10**exponent
        whole = censored_regression._log_probability(np.array([start]), np.array([width]))
        halves = censored_regression._log_probability(np.array([start, start + width / 2]), np.full(2, width / 2))
        assert whole == pytest.approx(np.logaddexp(*halves), rel=1e-12)

    def test_the_probability_of_the_narrowest_interval_is_its_density_times_its_width(self):
        """So the halves of the test before are right, halved again and again, and with them the whole."""
        found = censored_regression._log_probability(np.array([-30, 0.7]), np.array([1e-12, 1e-9]))
        assert found == pytest.approx(norm.logpdf([-30, 0.7]) + np.log([1e-12, 1e-9]), rel=1e-10)

    @given(st.integers(0, 10**6), st.floats(-10, 0.5), st.booleans(), st.floats(7, 12), st.floats(0, 1000))
    def test_the_search_arrives_whatever_the_widths(self, seed, exponent, alike, last, beyond):
        """A censored response may be known to lie far beyond all others."""
        rng = np.random.default_rng(seed)
        width = 10.0 ** (exponent if alike else rng.uniform(exponent, 0.5, len(self.y)))
        low = self.y - width * rng.random(len(self.y))
        low, high = np.where(self.y > last, last + beyond, low), np.where(self.y > last, np.inf, low + width)
        try:
            model = fit(self.line, low, high)
        except NoMaximumError:
            return
        best = np.array([*model.coefficients, model.spread])

        def likelihood(parameters):
            start, end = ((limit - self.line @ parameters[:2]) / parameters[2] for limit in (low, high))
            between = np.isfinite(end)
            within = censored_regression._log_probability(start[between], (high - low)[between] / parameters[2])
            return within.sum() + norm.logsf(start[~between]).sum()

        assert model.likelihood == pytest.approx(likelihood(best), rel=1e-9)
        for parameter, shift in product(range(3), (-0.1, 0.1)):
            moved = best.copy()
            moved[parameter] += shift * model.spread
            assert likelihood(moved) < model.likelihood + 1e-9

    def test_derivatives(self):
        rng = np.random.default_rng(3)
        pieces = rng.normal(size=(5, 3)), rng.uniform(1e-3, 3, 5), rng.normal(size=(4, 3))
        point = np.array([0.3, -0.2, 1.3])
        slopes = approx_fprime(point, censored_regression._loss, 1e-6, *pieces)
        assert censored_regression._gradient(point, *pieces) == pytest.approx(slopes, abs=1e-5)
        curvature = approx_fprime(point, censored_regression._gradient, 1e-6, *pieces)
        assert censored_regression._hessian(point, *pieces) == pytest.approx(curvature, abs=1e-4)

    @pytest.mark.parametrize("width", [1e-6, 0.05, 1.0])
    def test_means_within_all_limits_leave_no_maximum(self, width):
        mean = 3 + 2 * self.x
        with pytest.raises(NoMaximumError):
            fit(self.line, mean - width / 2, mean + width / 2)

    def test_means_that_nothing_holds_on_one_side_leave_no_maximum(self):
        """All of the shortest length lie below its limit, and all others are of one length."""
        own = self.x < 3.5
        x, (low, high) = self.x[own], self.limits(0.1)
        shortest = x < 3 - 0.5
        low, high = np.where(shortest, -np.inf, low[own]), np.where(shortest, 9.0, high[own])
        with pytest.raises(NoMaximumError):
            fit(self.line[own], low, high)
        with pytest.raises(NoMaximumError):
            fit(self.line, np.full(len(self.x), -np.inf), self.y)


class TestPowerLaw:
    def test_columns_and_counts(self):
        steps = {10: [90, 110], 20: [410, 390], 40: [1500, 1700], 80: [20_000, 20_000]}
        table = transition_fits(pd.concat([runs_of(steps), runs_of(steps, k=2)]), 0.95)
        assert list(table.columns) == [*FAMILY, *LAW, *COUNTS]
        assert table[["k", "runs", "censored_runs", "points"]].to_numpy().tolist() == [[2, 8, 2, 4], [3, 8, 2, 4]]
        assert (table["exponent_low"] < table["exponent"]).all()
        assert (table["exponent"] < table["exponent_high"]).all()

    def test_constant_and_spread_of_a_law_without_censoring(self):
        """Each T has a run at the law times 1.25 and one at the law over 1.25."""
        law = transition_fits(
            runs_of({T: [20_000 * T**2, 20_000 * T**2 * 16 // 25] for T in (10, 20, 40)}, 1e9), 0.95
        ).iloc[0]
        assert law[["exponent", "constant", "spread"]].tolist() == pytest.approx([2, 16_000, np.log(1.25)], rel=1e-6)

    @pytest.mark.parametrize("factor", [3, 50])
    def test_the_unit_of_the_steps_moves_the_constant_alone(self, factor):
        runs = power_law_runs(1)
        scaled = runs.assign(**{name: factor * runs[name] for name in ("success_step", "steps", "eval_every")})
        law, other = transition_fits(runs, 0.95).iloc[0], transition_fits(scaled, 0.95).iloc[0]
        assert other["constant"] == pytest.approx(factor * law["constant"], rel=1e-4)
        same = ["exponent", "exponent_low", "exponent_high", "spread"]
        assert other[same].tolist() == pytest.approx(law[same].tolist(), rel=1e-4)

    @pytest.mark.parametrize(
        "steps",
        [
            {10: [20_000], 20: [20_000]},
            {10: [90, 110], 20: [20_000]},
            {10: [90, 110, 120]},
            {10: [100, 100], 20: [400, 400], 40: [1600, 20_000]},
            {10: [1, 1, 1], 20: [1, 1, 1]},
            {10: [1, 1, 1], 20: [1, 2, 3]},
        ],
    )
    def test_no_fit_without_two_lengths_or_without_spread(self, steps):
        row = transition_fits(runs_of(steps), 0.95).iloc[0]
        assert row[LAW].isna().all()
        assert row[["runs", "points"]].tolist() == [sum(map(len, steps.values())), len(steps)]

    def test_a_diverged_run_counts_as_censored_where_it_ended(self):
        runs = power_law_runs(1, limit=1e9)
        late = runs["T"] == 80
        stopped = runs.assign(success_step=runs["success_step"].mask(late), steps=runs["steps"].mask(late, 100))
        unseen = transition_fits(runs[~late], 0.95).iloc[0]
        law = transition_fits(stopped, 0.95).iloc[0]
        assert law["censored_runs"] == 10
        # That these runs take more than 100 steps says next to nothing.
        assert law["exponent"] == pytest.approx(unseen["exponent"], abs=1e-3)

    def test_each_experiment_has_its_own_evaluations(self):
        often, seldom = power_law_runs(1, level=200, eval_every=1), power_law_runs(1, level=200, eval_every=50)
        both = transition_fits(pd.concat([often, seldom.assign(experiment="seldom")]), 0.95)
        alone = [transition_fits(runs, 0.95).iloc[0][LAW].tolist() for runs in (often, seldom)]
        assert both[LAW].to_numpy().tolist() == alone
        assert alone[0] != alone[1]

    def test_no_online_experiment_leaves_an_empty_table(self):
        nothing = runs_of({10: [100]}).head(0)
        assert list(transition_fits(nothing, 0.95).columns) == [*FAMILY, *LAW, *COUNTS]
        assert len(transition_fits(nothing, 0.95)) == len(transitions(nothing, 0.95)) == 0

    @pytest.mark.slow
    @pytest.mark.parametrize(("exponent", "spread", "limit"), [(2.0, 0.4, 5000), (1.5, 0.8, 3000)])
    def test_censoring_biases_a_naive_fit_and_not_this_one(self, exponent, spread, limit):
        """A third or more of the runs are censored. Tolerances: four standard errors, three for the coverage."""
        repetitions = 200
        runs = power_law_runs(repetitions, exponent, spread, limit)
        assert runs["success_step"].isna().mean() > 0.3
        laws = transition_fits(runs, 0.95)
        error = 4 * laws["exponent"].std() / np.sqrt(repetitions)
        reached = runs.dropna(subset="success_step")
        naive = [
            linregress(np.log(own["T"]), np.log(own["success_step"].astype(float))).slope
            for _, own in reached.groupby("k")
        ]
        assert np.mean(naive) < exponent - 2 * error
        assert laws["exponent"].mean() == pytest.approx(exponent, abs=error)
        covered = (laws["exponent_low"] <= exponent) & (exponent <= laws["exponent_high"])
        assert covered.mean() == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / repetitions))

    def test_seldom_evaluations_do_not_bias_the_exponent(self):
        """Many runs end at the first evaluation or the second. Taken for exact, their steps give too small an exponent.

        Tolerances as above.
        """
        repetitions = 80
        runs = power_law_runs(repetitions, 0.9, 0.3, level=60, eval_every=50)
        laws = transition_fits(runs, 0.95)
        naive = [linregress(np.log(own["T"]), np.log(own["steps"])).slope for _, own in runs.groupby("k")]
        error = 4 * laws["exponent"].std() / np.sqrt(repetitions)
        assert np.mean(naive) < 0.9 - 2 * error
        assert laws["exponent"].mean() == pytest.approx(0.9, abs=error)
        covered = (laws["exponent_low"] <= 0.9) & (laws["exponent_high"] >= 0.9)
        assert covered.mean() == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / repetitions))
