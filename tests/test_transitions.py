import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, linregress, norm, t

from pipeline.statistics.censored_regression import NoSpreadError, fit, slope_interval
from pipeline.statistics.transitions import CELL, COUNTS, FAMILY, LAW, transition_fits, transitions

KEY = {"experiment": "online", "function": "parity", "model": "transformer", "k": 3, "n": 2048}
LENGTHS = np.array([10, 20, 40, 80])


def runs_of(steps_of: dict[int, list[float]], limit=10_000, **changes) -> pd.DataFrame:
    """Runs that reach the success rule at these steps, by T; those that would after the limit are censored there."""
    rows = [
        {"T": T, "seed": seed, "success_step": step if step <= limit else pd.NA, "steps": min(step, limit)}
        for T, steps in steps_of.items()
        for seed, step in enumerate(steps)
    ]
    runs = pd.DataFrame(rows).assign(**(KEY | changes)).astype({"success_step": "Int64", "steps": int})
    status = np.where(runs["success_step"].notna(), "succeeded", "failed")
    return runs.assign(success=runs["success_step"].notna(), status=status)


def power_law_runs(repetitions: int, exponent=2.0, spread=0.4, limit=5000, runs=10) -> pd.DataFrame:
    """Runs of the law ``step = 2000 · (T / 28.3)^exponent`` with log-normal spread; k numbers the repetitions."""
    k, T, seed = (axis.ravel() for axis in np.meshgrid(range(repetitions), LENGTHS, range(runs), indexing="ij"))
    noise = spread * np.random.default_rng(0).standard_normal(len(T))
    step = np.ceil(2000 * (T / 800**0.5) ** exponent * np.exp(noise))
    table = pd.DataFrame({"k": k, "T": T, "seed": seed, "steps": np.minimum(step, limit)})
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

    def test_without_censoring_it_is_least_squares_with_student_s_interval(self):
        everything = np.ones(len(self.x), bool)
        least_squares = linregress(self.x, self.y)
        model = fit(self.line, self.y, everything)
        assert model.coefficients == pytest.approx([least_squares.intercept, least_squares.slope])
        residuals = self.y - self.line @ model.coefficients
        assert model.spread == pytest.approx(residuals.std())
        assert model.likelihood == pytest.approx(norm.logpdf(residuals, scale=model.spread).sum())
        margin = t.ppf(0.95, len(self.x) - 2) * least_squares.stderr
        expected = least_squares.slope - margin, least_squares.slope + margin
        assert slope_interval(self.x, self.y, everything, 0.9) == pytest.approx(expected, abs=1e-6)

    @given(st.floats(7.5, 12), st.integers(0, 2), st.sampled_from([-1e-3, 1e-3]))
    def test_no_neighbour_is_likelier(self, limit, parameter, shift):
        observed = self.y <= limit
        y = np.minimum(self.y, limit)

        def likelihood(parameters):
            mean, spread = self.line @ parameters[:2], parameters[2]
            density = norm.logpdf(y, mean, spread)
            return np.where(observed, density, norm.logsf(y, mean, spread)).sum()

        model = fit(self.line, y, observed)
        best = np.array([*model.coefficients, model.spread])
        assert model.likelihood == pytest.approx(likelihood(best))
        moved = best.copy()
        moved[parameter] += shift
        assert likelihood(moved) < likelihood(best)

    def test_responses_on_a_line_have_no_spread(self):
        with pytest.raises(NoSpreadError):
            fit(self.line, 3 + 2 * self.x, self.x < 4)


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
            runs_of({T: [5 * T**2 * 4, 5 * T**2 * 4 * 16 // 25] for T in (10, 20, 40)}, 1e9), 0.95
        ).iloc[0]
        assert law[["exponent", "constant", "spread"]].tolist() == pytest.approx([2, 16, np.log(1.25)], rel=1e-6)

    @pytest.mark.parametrize("factor", [3, 50])
    def test_the_unit_of_the_steps_moves_the_constant_alone(self, factor):
        runs = power_law_runs(1)
        scaled = runs.assign(success_step=runs["success_step"] * factor, steps=runs["steps"] * factor)
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
