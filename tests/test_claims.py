"""How claims are decided: verdicts and intervals."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_evidence import AND
from pipeline.claims.evidence import Series
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Estimate,
    Part,
    conclude,
    difference,
    geometric_mean,
    ratio,
)
from pipeline.families import FAMILY


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.1, 1.9, SUPPORTED),
        (1.0, 2.0, SUPPORTED),
        (0.5, 0.9, NOT_SUPPORTED),
        (2.1, 3.0, NOT_SUPPORTED),
        (0.9, 1.5, UNDECIDED),
        (1.5, 2.1, UNDECIDED),
        (0.5, 3.0, UNDECIDED),
        (1.5, math.inf, UNDECIDED),
        (math.nan, math.nan, UNDECIDED),
    ],
)
def test_a_part_is_decided_by_its_whole_interval(low, high, verdict):
    assert Part(Estimate("x", 1.5, low, high), 1.0, 2.0).verdict == verdict


def test_one_contradicted_part_refutes_and_all_are_needed_to_support():
    yes, no, open_ = (
        Part(Estimate(name, 1, *ends), low=1) for name, *ends in (("a", 1, 2), ("b", 0, 0.5), ("c", 0, 2))
    )
    assert conclude([yes, yes]).verdict == SUPPORTED
    assert conclude([yes, open_]).verdict == UNDECIDED
    assert conclude([yes, open_]).reason == "left open: c"
    assert conclude([yes, open_, no]).verdict == NOT_SUPPORTED
    more = Estimate("d", 3)
    assert conclude([yes, open_, no], more).numbers == [yes.number, open_.number, no.number, more]


def test_the_difference_of_symmetric_intervals_adds_their_squares():
    found = difference("d", Estimate("a", 5, 2, 8), Estimate("b", 1, -3, 5))
    assert found == Estimate("d", 4, -1, 9)


def test_ratios_are_differences_of_logarithms():
    found = ratio("r", Estimate("a", 8, 4, 16), Estimate("b", 2, 2, 2))
    assert [found.value, found.low, found.high] == pytest.approx([4, 2, 8])
    mean = geometric_mean("m", [Estimate("a", 8, 8 / math.e**3, 8 * math.e**3), Estimate("b", 2, 2 / math.e**4, 2)])
    assert [mean.value, mean.low, mean.high] == pytest.approx([4, 4 / math.exp(2.5), 4 * math.exp(1.5)])


def test_of_an_unknown_value_the_intervals_bound_the_ratio():
    found = ratio("r", Estimate("a", math.nan, 100, math.inf), Estimate("b", 10, 5, 20))
    assert math.isnan(found.value)
    assert found.low == pytest.approx(5)
    assert found.high == math.inf


@given(st.floats(1.1, 1e3), st.floats(1.1, 1e3), st.floats(1.01, 5), st.floats(1.01, 5))
def test_a_ratio_lies_in_its_interval_and_turns_over(one, other, spread, width):
    a, b = Estimate("a", one, one / spread, one * spread), Estimate("b", other, other / width, other * width)
    found, turned = ratio("r", a, b), ratio("r", b, a)
    assert found.low < found.value < found.high
    assert [1 / turned.value, 1 / turned.high, 1 / turned.low] == pytest.approx([found.value, found.low, found.high])
    assert max(spread, width) <= found.high / found.value <= spread * width * (1 + 1e-9)


def test_the_difference_of_normal_estimates_covers_as_often_as_it_says():
    draws = np.random.Generator(np.random.Philox(0)).normal([[3.0], [1.0]], [[0.5], [1.5]], (2, 2000))
    found = [
        difference("d", Estimate("a", one, one - 0.98, one + 0.98), Estimate("b", other, other - 2.94, other + 2.94))
        for one, other in draws.T
    ]
    covered = np.mean([one.low <= 2 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_series_are_told_apart_by_all_of_their_columns():
    others = [{"experiment": "other"}, {"function": "or"}, {"model": "mlp"}, {"k": 2}]
    table = pd.DataFrame([AND | {"x": 1}, *(AND | other | {"x": 0} for other in others)])
    assert Series.model_validate(AND).of(table)["x"].tolist() == [1]
    assert list(AND) == FAMILY
