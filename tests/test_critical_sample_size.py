import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from pipeline.statistics.critical_sample_size import CURVE, bootstrap_critical_sizes, critical_sample_sizes
from pipeline.statistics.logistic import firth_fit

COLUMNS = [*CURVE, "n_critical", "ci_low", "ci_high", "n_grid", "censored", "censored_side", "slope"]
GRID = np.round(np.geomspace(20, 400, 19)).astype(int)


def rates_of(curves: dict[int, list[int]], n=GRID, trials=50) -> pd.DataFrame:
    """The table of success rates with the given {T: successes at every n}."""
    rows = [
        ("e", "and", "transformer", 3, T, *cell) for T, counts in curves.items() for cell in zip(n, counts, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*CURVE, "n", "successes"]).assign(trials=trials)


def simulated(repetitions: int, slope: float, share: float, trials=50, seed=0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rates of logistic curves, one per T, and their true critical sizes, spread over one step of the grid.

    The spread keeps the result from depending on where the true size lies relative to the grid.
    """
    generator = np.random.default_rng(seed)
    truth = 90 * (GRID[10] / GRID[9]) ** generator.uniform(size=repetitions)
    rate = expit(logit(share) + slope * np.log(GRID / truth[:, None]))
    counts = generator.binomial(trials, rate)
    return rates_of(dict(enumerate(counts.tolist())), trials=trials), truth


def estimate(counts: list[int], share=0.5, bootstrap=200, **shape) -> pd.Series:
    return critical_sample_sizes(rates_of({100: counts}, **shape), share, 0.95, bootstrap).iloc[0]


def negative_penalised_likelihood(coefficients, x, successes, trials):
    linear = coefficients[0] + coefficients[1] * x
    design = np.stack([np.ones_like(x), x], axis=1)
    information = design.T * (trials * expit(linear) * expit(-linear)) @ design
    likelihood = np.sum(successes * linear - trials * np.logaddexp(0, linear))
    return -likelihood - np.linalg.slogdet(information)[1] / 2


cells = st.integers(1, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@settings(deadline=None)
@given(st.lists(cells, min_size=2, max_size=8))
@example([(0, 50), (0, 50), (50, 50), (50, 50)])
@example([(0, 50), (0, 50), (0, 50)])
def test_firth_fit_maximises_the_penalised_likelihood(table):
    successes, trials = np.array(table).T
    x = np.linspace(-1, 1, len(table))
    intercept, slope = firth_fit(x, successes[None], trials)
    arguments = (x, successes, trials)
    reference = minimize(negative_penalised_likelihood, [0, 0], arguments, method="BFGS", options={"gtol": 1e-7})
    assert negative_penalised_likelihood([intercept[0], slope[0]], *arguments) <= reference.fun + 1e-8
    np.testing.assert_allclose([intercept[0], slope[0]], reference.x, rtol=1e-3, atol=1e-3)


def test_firth_fit_of_two_points_adds_half_a_success_and_half_a_failure():
    """A saturated model: every point has leverage 1, whose halves are the penalty."""
    intercept, slope = firth_fit(np.array([2.0, 5.0]), np.array([[0, 10]]), np.array([10, 10]))
    np.testing.assert_allclose(
        intercept + slope * np.array([2, 5]), [np.log(0.5 / 10.5), np.log(10.5 / 0.5)], rtol=1e-6
    )


def test_firth_fit_treats_the_tables_of_a_batch_independently():
    successes = np.random.default_rng(0).binomial(5, expit(4 * np.log(GRID / 90)), (20, len(GRID)))
    trials = np.full(len(GRID), 5)
    together = np.stack(firth_fit(np.log(GRID), successes, trials), axis=1)
    alone = [np.ravel(firth_fit(np.log(GRID), row[None], trials)) for row in successes]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_firth_fit_has_no_slope_if_all_points_coincide():
    assert np.isnan(firth_fit(np.array([3.0]), np.array([[2]]), np.array([5]))).all()


def test_firth_fit_is_unbiased():
    """Maximum likelihood's mean slope is 10 % too large here, 27 standard errors of this simulation."""
    generator = np.random.default_rng(2)
    ln_n, slope = np.log(GRID), 4
    counts = generator.binomial(5, expit(slope * (ln_n - np.log(90))), (4000, len(GRID)))
    intercepts, slopes = firth_fit(ln_n, counts, np.full(len(GRID), 5))
    ln_critical = -intercepts / slopes
    assert abs(slopes.mean() - slope) < 4 * slopes.std() / np.sqrt(4000)
    assert abs(ln_critical.mean() - np.log(90)) < 4 * ln_critical.std() / np.sqrt(4000)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_critical_size_is_where_the_curve_crosses_the_share(share):
    """With a million trials per cell the counts are the curve itself."""
    trials = 10**6
    counts = np.round(trials * expit(logit(share) + 6 * np.log(GRID / 90))).astype(int).tolist()
    row = estimate(counts, share, bootstrap=1, trials=trials)
    assert row["n_critical"] == pytest.approx(90, rel=1e-4)
    assert row["slope"] == pytest.approx(6, rel=1e-4)
    assert row["n_grid"] == GRID[GRID >= 90].min()


@pytest.mark.parametrize(("slope", "share", "trials"), [(10, 0.5, 50), (4, 0.9, 50), (10, 0.5, 10)])
def test_interval_covers_at_the_nominal_level(slope, share, trials):
    rates, truth = simulated(400, slope, share, trials)
    table = critical_sample_sizes(rates, share, confidence=0.95, bootstrap=200)
    assert not table["censored"].any()
    coverage = ((table["ci_low"] <= truth) & (truth <= table["ci_high"])).mean()
    assert coverage == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 400))


def test_cells_of_unequal_trials_count_by_their_runs():
    """The fit is that of the penalised likelihood; nine times the runs give an interval a third as wide."""
    n, successes, trials = [20, 60, 40, 90], [3, 170, 30, 47], [50, 300, 100, 50]
    rates = rates_of({100: successes}, n=n, trials=trials)
    row = critical_sample_sizes(rates, 0.5, 0.95, 200).iloc[0]
    reference = minimize(
        negative_penalised_likelihood,
        [-16, 4],
        (np.log(n), np.array(successes), np.array(trials)),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 5000},
    ).x
    assert row["n_critical"] == pytest.approx(np.exp(-reference[0] / reference[1]), rel=1e-4)
    assert row["slope"] == pytest.approx(reference[1], rel=1e-3)
    more = critical_sample_sizes(
        rates.assign(trials=9 * rates["trials"], successes=9 * rates["successes"]), 0.5, 0.95, 200
    )
    ratio = np.log(row["ci_high"] / row["ci_low"]) / np.log(more["ci_high"] / more["ci_low"]).iloc[0]
    assert ratio == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize(("slope", "share"), [(100, 0.5), (100, 0.9)])
def test_interval_does_not_undercover_where_the_grid_misses_the_rise(slope, share):
    rates, truth = simulated(200, slope, share)
    table = critical_sample_sizes(rates, share, confidence=0.95, bootstrap=200)
    assert not table["censored"].any()
    assert ((table["ci_low"] <= truth) & (truth <= table["ci_high"])).mean() >= 0.95


def test_higher_confidence_widens_the_interval():
    rates, _ = simulated(20, 10, 0.5)
    narrow, wide = (critical_sample_sizes(rates, 0.5, confidence, 200) for confidence in (0.6, 0.95))
    assert (wide["ci_low"] < narrow["ci_low"]).all()
    assert (wide["ci_high"] > narrow["ci_high"]).all()


def test_complete_separation_gives_the_middle_of_the_gap_and_the_gap_as_interval():
    counts = [0] * 9 + [50] * 10
    row = estimate(counts)
    assert row["n_critical"] == pytest.approx(np.sqrt(GRID[8] * GRID[9]), rel=0.01)
    assert (row["ci_low"], row["ci_high"], row["n_grid"]) == (GRID[8], GRID[9], GRID[9])
    assert not row["censored"]
    assert 10 < row["slope"] < 200


@pytest.mark.parametrize(("middle", "wider"), [([20, 50], True), ([20, 45], False)])
def test_the_interval_reaches_to_the_neighbours_only_if_at_most_one_cell_is_mixed(middle, wider):
    row = estimate([0] * 9 + middle + [50] * 8)
    below, above = GRID[9:11]
    assert below < row["n_critical"] < above
    assert (below < row["ci_low"], row["ci_high"] < above) == (not wider, not wider)


def test_separation_in_the_first_gap_is_bounded_by_the_grid():
    row = estimate([0, 50, 50, 50], n=[20, 30, 45, 68])
    assert (row["ci_low"], row["ci_high"]) == (20, 30)


def test_an_end_that_the_grid_does_not_bound_is_null():
    row = estimate([0, 0, 1, 2, 3, 3], n=[20, 30, 45, 68, 100, 150], trials=5)
    assert not row["censored"]
    assert np.isnan(row["ci_high"])
    assert 20 < row["ci_low"] < row["n_critical"] < 150
    mirrored = estimate([2, 2, 3, 4, 5, 5], n=[20, 30, 45, 68, 100, 150], trials=5)
    assert np.isnan(mirrored["ci_low"])
    assert 20 < mirrored["n_critical"] < mirrored["ci_high"] < 150


@pytest.mark.parametrize(
    ("counts", "share", "side", "n_grid"),
    [
        pytest.param([0, 0, 0, 0], 0.5, "above", None, id="no success"),
        pytest.param([0, 5, 10, 24], 0.5, "above", None, id="share never reached"),
        pytest.param([0, 5, 10, 30], 0.9, "above", None, id="higher share never reached"),
        pytest.param([50, 50, 50, 50], 0.5, "below", 20, id="no failure"),
        pytest.param([25, 30, 40, 50], 0.5, "below", 20, id="share reached at once"),
        pytest.param([10, 15, 20, 25], 0.5, "above", 80, id="fitted crossing over the grid"),
        pytest.param([34, 24, 40, 50], 0.5, "below", 20, id="fitted crossing under the grid"),
        pytest.param([50, 40, 10, 0], 0.5, "above", 20, id="falling through the share"),
        pytest.param([40, 30, 30, 24], 0.5, "above", 20, id="falling to the share"),
    ],
)
def test_a_size_outside_the_grid_is_censored(counts, share, side, n_grid):
    row = estimate(counts, share, n=[20, 40, 60, 80])
    assert row["censored"]
    assert row["censored_side"] == side
    assert row[["n_critical", "ci_low", "ci_high"]].isna().all()
    assert row["n_grid"] == n_grid if n_grid else pd.isna(row["n_grid"])


@pytest.mark.parametrize(("count", "side"), [(24, "above"), (25, "below")])
def test_a_single_size_is_censored(count, side):
    row = estimate([count], n=[60])
    assert (row["censored"], row["censored_side"]) == (True, side)
    assert np.isnan(row["slope"])


def test_table_has_the_documented_columns_and_types():
    table = critical_sample_sizes(rates_of({200: [0] * 19, 50: [0] * 9 + [50] * 10}), 0.5, 0.95, 10)
    assert list(table.columns) == COLUMNS
    assert table["T"].tolist() == [50, 200]
    assert table["censored_side"].tolist() == ["", "above"]
    assert table.dtypes[["n_critical", "n_grid", "censored", "slope"]].tolist() == [
        "float64",
        "Int64",
        "bool",
        "float64",
    ]


def test_order_of_the_rows_is_irrelevant():
    rates, _ = simulated(5, 10, 0.5)
    shuffled = critical_sample_sizes(rates.sample(frac=1, random_state=1), 0.5, 0.95, 50)
    pd.testing.assert_frame_equal(shuffled, critical_sample_sizes(rates, 0.5, 0.95, 50))


def test_a_curve_does_not_depend_on_the_others():
    rates, _ = simulated(5, 10, 0.5)
    alone = pd.concat([critical_sample_sizes(curve, 0.5, 0.95, 50) for _, curve in rates.groupby("T")])
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), critical_sample_sizes(rates, 0.5, 0.95, 50))


def test_curves_with_equal_counts_have_replicates_of_their_own():
    counts = [0, 5, 20, 45, 50]
    replicates = bootstrap_critical_sizes(rates_of({50: counts, 100: counts}, n=[20, 40, 60, 80, 100]), 0.5, 100)
    assert np.corrcoef(replicates)[0, 1] == pytest.approx(0, abs=0.3)


def test_critical_size_scales_with_the_grid():
    rates, _ = simulated(5, 10, 0.5)
    scaled = critical_sample_sizes(rates.assign(n=3 * rates["n"]), 0.5, 0.95, 1)["n_critical"]
    np.testing.assert_allclose(scaled, 3 * critical_sample_sizes(rates, 0.5, 0.95, 1)["n_critical"], rtol=1e-6)


def test_replicates_are_those_of_the_intervals_and_only_of_uncensored_curves():
    rates = pd.concat([simulated(3, 10, 0.5)[0], rates_of({9: [0] * 19})])
    table = critical_sample_sizes(rates, 0.5, 0.9, 100).set_index(CURVE)
    replicates = bootstrap_critical_sizes(rates, 0.5, 100)
    assert replicates.index.equals(table.index[:3])
    assert replicates.shape == (3, 100)
    np.testing.assert_allclose(replicates.quantile([0.05, 0.95], axis=1).T, table[["ci_low", "ci_high"]][:3])


def test_censored_replicates_count_as_the_grid_end():
    replicates = bootstrap_critical_sizes(rates_of({50: [0, 1, 2, 3]}, n=[20, 40, 60, 80], trials=5), 0.5, 200)
    sizes = replicates.to_numpy().ravel()
    assert sizes.min() >= 20
    assert sizes.max() == 80
    assert 0.05 < (sizes == 80).mean() < 0.5


def test_no_rates_give_empty_tables():
    empty = rates_of({50: [0] * 19}).iloc[:0]
    assert list(critical_sample_sizes(empty, 0.5, 0.95, 10).columns) == COLUMNS
    assert bootstrap_critical_sizes(empty, 0.5, 10).shape == (0, 10)


@pytest.mark.parametrize("share", [0, 1, 50])
def test_rejects_a_share_outside_the_unit_interval(share):
    with pytest.raises(ValueError, match="share"):
        estimate([0] * 19, share)
