"""The information floor, against counts."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.statistics.information import information_floor


@given(st.integers(0, 12).flatmap(lambda T: st.tuples(st.just(T), st.integers(0, T))))
def test_counts_the_subsets(size):
    T, k = size
    assert 2 ** information_floor(T, k) == pytest.approx(len(list(combinations(range(T), k))))


def test_known_values():
    assert information_floor(100, 3) == pytest.approx(17.3030, abs=1e-4)  # 161700 subsets
    assert information_floor(10**5, 16) == pytest.approx(16 * np.log2(10**5) - 44.25, abs=0.01)  # log2 16! = 44.25


@pytest.mark.parametrize("k", [-1, 6])
def test_a_subset_larger_than_the_whole_is_refused(k):
    with pytest.raises(ValueError, match=f"no {k}-subset of 5"):
        information_floor(5, k)
