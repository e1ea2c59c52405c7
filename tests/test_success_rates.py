from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom

from pipeline.families import CELL
from pipeline.statistics.success_rates import jeffreys_interval, success_rates

COLUMNS = ["experiment", "function", "model", "k", "T", "n", "trials", "successes", "rate", "ci_low", "ci_high"]


def runs_of(counts: dict[tuple[int, int], tuple[int, int]]) -> pd.DataFrame:
    """Runs with the given {(T, n): (successes, trials)}; odd seeds of the failures have crashed."""
    rows = [
        ("e", "and", "transformer", 3, T, n, seed, seed < successes, "finished" if seed % 2 == 0 else "crashed")
        for (T, n), (successes, trials) in counts.items()
        for seed in range(trials)
    ]
    return pd.DataFrame(rows, columns=[*CELL, "seed", "success", "status"])


def test_counts_every_run_and_sorts_by_cell():
    rates = success_rates(runs_of({(100, 50): (2, 5), (50, 80): (7, 7), (50, 9): (0, 3)}), 0.95)
    assert list(rates.columns) == COLUMNS
    assert rates[["T", "n", "trials", "successes"]].values.tolist() == [[50, 9, 3, 0], [50, 80, 7, 7], [100, 50, 5, 2]]
    assert rates["rate"].tolist() == [0.0, 1.0, 0.4]
    assert rates[["trials", "successes"]].dtypes.eq("int64").all()


@pytest.mark.parametrize("column", CELL)
def test_every_key_separates_cells(column):
    runs = runs_of({(50, 9): (2, 4)})
    other = runs.assign(**{column: "zzz" if isinstance(runs[column].iloc[0], str) else 999, "success": True})
    assert success_rates(pd.concat([runs, other]), 0.95)["successes"].tolist() == [2, 4]


def test_the_order_of_the_runs_is_irrelevant():
    runs = runs_of({(T, n): (T % 4, 4) for T in (50, 75, 101) for n in (9, 80)})
    pd.testing.assert_frame_equal(success_rates(runs.sample(frac=1, random_state=1), 0.9), success_rates(runs, 0.9))


def test_no_runs_give_no_cells():
    rates = success_rates(runs_of({(50, 9): (1, 1)}).iloc[:0], 0.95)
    assert list(rates.columns) == COLUMNS
    assert rates.empty


@pytest.mark.parametrize(
    ("successes", "low", "high"),
    # The output that the R package RSurveillance documents for binom.jeffreys(seq(10, 100, 10), 200).
    [(10, 0.02599340, 0.08687509), (20, 0.06416642, 0.14729862), (50, 0.19387268, 0.31330266)],
)
def test_jeffreys_interval_has_the_values_of_another_implementation(successes, low, high):
    computed = jeffreys_interval(np.array([successes]), np.array([200]), 0.95)
    np.testing.assert_allclose(np.ravel(computed), [low, high], rtol=1e-6)


def test_jeffreys_interval_is_one_sided_where_all_trials_agree():
    """With p = sin²θ Jeffreys' prior is uniform in θ, so the other end's tail is an integral over powers of cos θ."""
    low, high = jeffreys_interval(np.array([0, 25]), np.array([25, 25]), 0.95)
    assert (low[0], high[1]) == (0.0, 1.0)
    posterior = partial(quad, lambda theta: np.cos(theta) ** 50)
    tail = posterior(np.arcsin(np.sqrt(high[0])), np.pi / 2)[0] / posterior(0, np.pi / 2)[0]
    assert tail == pytest.approx(0.025, rel=1e-6)
    assert low[1] == pytest.approx(1 - high[0], rel=1e-12)


@settings(deadline=None)
@given(st.integers(1, 200).flatmap(lambda m: st.tuples(st.integers(0, m), st.just(m))), st.floats(0.1, 0.999))
def test_interval_is_mirrored_by_exchanging_successes_and_failures(counts, confidence):
    successes, trials = (np.array([count]) for count in counts)
    low, high = jeffreys_interval(successes, trials, confidence)
    mirrored_low, mirrored_high = jeffreys_interval(trials - successes, trials, confidence)
    assert 0 <= low < high <= 1
    np.testing.assert_allclose([low, high], [1 - mirrored_high, 1 - mirrored_low], rtol=1e-7, atol=1e-12)


def test_mean_coverage_over_all_rates_is_nominal():
    """Exact, not simulated: the probability of every count times whether its interval holds the rate."""
    trials, rate = 50, np.linspace(0.0005, 0.9995, 1000)[:, None]
    counts = np.arange(trials + 1)
    low, high = jeffreys_interval(counts, np.full_like(counts, trials), 0.95)
    coverage = (binom.pmf(counts, trials, rate) * ((low <= rate) & (rate <= high))).sum(axis=1)
    assert coverage.mean() == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_rejects_a_confidence_outside_the_unit_interval(confidence):
    with pytest.raises(ValueError, match="confidence"):
        success_rates(runs_of({(50, 9): (1, 2)}), confidence)
