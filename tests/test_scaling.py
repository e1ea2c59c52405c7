import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from pipeline.families import FAMILY
from pipeline.statistics.critical_sample_size import CURVE, bootstrap_critical_sizes, critical_sample_sizes
from pipeline.statistics.scaling import scaling_fits

COLUMNS = [*FAMILY, "law", "a", "a_low", "a_high", "b", "b_low", "b_high", "r_squared", "points"]
T = np.array([50, 100, 200, 400, 800])


def critical_of(sizes: np.ndarray, function="and", lengths=T) -> pd.DataFrame:
    """The columns of the critical sizes' table that the fits use; NaN means censored."""
    table = pd.DataFrame(
        {"experiment": "e", "function": function, "model": "m", "k": 3, "T": lengths, "n_critical": sizes}
    )
    return table.assign(censored=table["n_critical"].isna())


def replicates_of(critical: pd.DataFrame, *shifts: float) -> pd.DataFrame:
    """Replicates of the uncensored curves, each shifted as a whole."""
    sizes = critical[~critical["censored"]].set_index(CURVE)["n_critical"]
    return pd.concat([sizes + shift for shift in shifts], axis=1)


def fit(critical: pd.DataFrame, *shifts: float, confidence=0.95) -> pd.Series:
    return scaling_fits(critical, replicates_of(critical, *shifts), confidence).iloc[0]


def test_recovers_the_paper_s_law_from_exact_points():
    row = fit(critical_of(29.6 * np.log(T) - 98.6), 0)
    assert (row["a"], row["b"], row["r_squared"]) == pytest.approx((29.6, -98.6, 1))
    assert (row["a_low"], row["a_high"], row["b_low"], row["b_high"]) == pytest.approx((29.6, 29.6, -98.6, -98.6))
    assert (row["law"], row["points"]) == ("log", 5)


def test_intervals_are_percentiles_of_the_replicates_fits():
    """Shifting all sizes shifts b alike and leaves a."""
    row = fit(critical_of(29.6 * np.log(T) - 98.6), *np.linspace(-10, 10, 101), confidence=0.8)
    assert (row["a_low"], row["a_high"]) == pytest.approx((29.6, 29.6))
    assert (row["b_low"], row["b_high"]) == pytest.approx((-106.6, -90.6))


def test_r_squared_is_the_squared_correlation():
    sizes = np.array([40.0, 55, 52, 80, 95])
    assert fit(critical_of(sizes), 0)["r_squared"] == pytest.approx(np.corrcoef(np.log(T), sizes)[0, 1] ** 2)


@settings(deadline=None)
@given(st.lists(st.floats(1, 1000), min_size=5, max_size=5), st.floats(0.1, 10), st.floats(0, 100))
def test_fit_follows_a_change_of_scale_and_origin(sizes, scale, origin):
    row, moved = (fit(critical_of(np.array(x)), 0) for x in (sizes, scale * np.array(sizes) + origin))
    assert (moved["a"], moved["b"]) == pytest.approx((scale * row["a"], scale * row["b"] + origin), rel=1e-6, abs=1e-6)


def test_equal_sizes_have_no_r_squared():
    row = fit(critical_of(np.full(5, 90.0)), 0)
    assert (row["a"], row["b"]) == pytest.approx((0, 90), abs=1e-9)
    assert np.isnan(row["r_squared"])


def test_censored_lengths_are_left_out():
    sizes = 29.6 * np.log(T) - 98.6
    sizes[[0, 3]] = np.nan
    row = fit(critical_of(sizes), 0)
    assert (row["a"], row["b"], row["points"]) == pytest.approx((29.6, -98.6, 3))


@pytest.mark.parametrize("points", [0, 1, 2])
def test_fewer_than_three_points_give_a_null_fit(points):
    sizes = np.where(np.arange(5) < points, 50.0, np.nan)
    table = scaling_fits(critical_of(sizes), replicates_of(critical_of(sizes), 0, 1), 0.95)
    assert list(table.columns) == COLUMNS
    assert table.loc[0, COLUMNS[5:-1]].isna().all()
    assert table.loc[0, ["law", "points"]].tolist() == ["log", points]


def test_every_family_has_its_own_row_whatever_the_order():
    critical = pd.concat([critical_of(20 * np.log(T), "or"), critical_of(10 * np.log(T) + 7, "and")])
    replicates = replicates_of(critical, 0, 5)
    table = scaling_fits(critical, replicates, 0.95)
    assert table["function"].tolist() == ["and", "or"]
    np.testing.assert_allclose(table[["a", "b"]], [[10, 7], [20, 0]], atol=1e-9)
    shuffled = scaling_fits(critical.sample(frac=1, random_state=1), replicates.sample(frac=1, random_state=2), 0.95)
    pd.testing.assert_frame_equal(shuffled, table)


def test_rejects_replicates_that_lack_a_curve():
    critical = critical_of(29.6 * np.log(T) - 98.6)
    with pytest.raises(KeyError):
        scaling_fits(critical, replicates_of(critical, 0, 1).iloc[1:], 0.95)


def simulated_rates(repetitions: int) -> pd.DataFrame:
    """Rates over 10 sizes with 30 runs each, whose critical sizes are exactly 29.6·ln T − 78.6; k tells repetitions."""
    n = np.round(np.geomspace(20, 250, 10)).astype(int)
    k, length, size = (axis.ravel() for axis in np.meshgrid(np.arange(repetitions), T, n, indexing="ij"))
    rate = expit(8 * np.log(size / (29.6 * np.log(length) - 78.6)))
    successes = np.random.default_rng(0).binomial(30, rate)
    keys = {"experiment": "e", "function": "and", "model": "m", "k": k, "T": length, "n": size}
    return pd.DataFrame({**keys, "trials": 30, "successes": successes})


def test_the_law_is_recovered_from_simulated_runs():
    repetitions = 120
    rates = simulated_rates(repetitions)
    critical = critical_sample_sizes(rates, 0.5, 0.95, bootstrap=1)
    fits = scaling_fits(critical, bootstrap_critical_sizes(rates, 0.5, bootstrap=200), 0.95)
    assert (fits["points"] == 5).all()
    for name, truth in {"a": 29.6, "b": -78.6}.items():
        standard_error = fits[name].std() / np.sqrt(repetitions)
        assert fits[name].mean() == pytest.approx(truth, abs=4 * standard_error)
        coverage = ((fits[f"{name}_low"] <= truth) & (truth <= fits[f"{name}_high"])).mean()
        assert coverage == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / repetitions))
