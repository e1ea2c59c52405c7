"""The choice of sample sizes: near the threshold if it is known, towards it if not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from pipeline.statistics.adaptive_design import REACH, SPREAD, choose_sizes
from pipeline.statistics.critical_sample_size import Curve
from pipeline.statistics.ladder import sizes_between


def counted(n: list[int], successes: list[int], trials: int | list[int] = 5, share: float = 0.5) -> Curve:
    return Curve({}, np.array(n), np.array(successes), np.broadcast_to(trials, len(n)), share)


def exact(size: float, slope: float) -> Curve:
    """Counts that are the curve itself, to a millionth."""
    n = np.array([20, 40, 80, 160, 320])
    return counted(n, np.round(1e6 * expit(slope * np.log(n / size))).astype(int), 10**6)


def test_sizes_are_fine_and_round():
    assert sizes_between(1, 40) == list(range(1, 41))
    assert sizes_between(96, 106) == [96, 97, 98, 99, 100, 102, 104, 106]
    assert sizes_between(496, 530) == [500, 510, 520, 530]
    assert sizes_between(9700, 10_500) == [9700, 9800, 9900, 10_000, 10_200, 10_400]
    sizes = sizes_between(100, 10**5)
    assert all(0.008 < after / before - 1 < 0.0201 for before, after in pairwise(sizes))


@pytest.mark.parametrize("slope", [2.0, 4.0])
def test_a_known_threshold_is_surrounded_within_the_spread(slope):
    low, middle, high = choose_sizes(exact(90, slope), 3, 1, 10**6)
    assert middle == 90
    assert slope * np.log([low / 90, high / 90]) == pytest.approx([-SPREAD, SPREAD], abs=slope * 0.02)


def test_a_single_size_is_the_threshold_itself():
    assert choose_sizes(exact(90, 4.0), 1, 1, 10**6) == [90]


def test_the_share_moves_the_sizes():
    curve = exact(90, 4.0)
    assert choose_sizes(counted(curve.n, curve.successes, curve.trials, 0.8), 1, 1, 10**6) == [
        pytest.approx(90 * 4**0.25, rel=0.01)
    ]


def test_a_flat_curve_does_not_carry_the_sizes_away():
    chosen = choose_sizes(counted([20, 40, 80, 160], [2, 3, 2, 3], 5), 5, 1, 10**6)
    assert chosen[-1] / chosen[0] <= 1.03 * REACH**2


def test_separated_counts_are_split():
    """No run at 40 and all runs at 80 succeed: the next sizes are between."""
    chosen = choose_sizes(counted([20, 40, 80, 160], [0, 0, 5, 5]), 3, 20, 160)
    assert chosen[1] == pytest.approx(np.sqrt(40 * 80), rel=0.02)
    assert 40 < chosen[0] < chosen[2] < 80


def test_an_unreached_share_is_sought_above_and_one_reached_at_once_below():
    assert choose_sizes(counted([20, 40], [0, 1]), 2, 1, 10**6) == [57, 80]
    assert choose_sizes(counted([20, 40], [5, 5]), 2, 1, 10**6) == [10, 14]
    assert choose_sizes(counted([40], [0]), 2, 1, 10**6) == [57, 80]


def test_the_search_stops_at_the_bounds():
    assert choose_sizes(counted([20, 40], [0, 1]), 3, 20, 40) == [38, 39, 40]
    assert choose_sizes(counted([20, 40], [5, 5]), 3, 20, 40) == [20, 21, 22]
    assert choose_sizes(counted([2, 4], [5, 5]), 3, 1, 40) == [1, 2, 3]


def test_a_rise_steeper_than_the_sizes_takes_neighbours_on_both_sides():
    assert choose_sizes(counted([60, 61, 63, 64], [0, 0, 500, 500], 500), 3, 20, 160) == [61, 62, 63]


cells = st.tuples(st.integers(1, 3000), st.integers(0, 20), st.integers(1, 20))


@given(st.lists(cells, min_size=1, max_size=8, unique_by=lambda cell: cell[0]), st.integers(1, 6), st.data())
def test_whatever_the_counts_the_sizes_are_different_ascending_and_allowed(cells, count, data):
    n, successes, trials = map(list, zip(*sorted(cells), strict=True))
    low = data.draw(st.integers(1, 300))
    high = data.draw(st.integers(10 * low, 10**6))
    chosen = choose_sizes(counted(n, np.minimum(successes, trials), trials), count, low, high)
    assert len(chosen) == count
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(sizes_between(low, high))


def test_bounds_that_are_too_close_are_named():
    with pytest.raises(ValueError, match="there are 2 sizes from 40 to 41, fewer than 3"):
        choose_sizes(counted([40, 41], [0, 5]), 3, 40, 41)
