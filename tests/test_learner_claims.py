"""The rules that compare learners and functions, on made tables whose outcome is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from made_evidence import AND, MLP, decided, joint_sizes, number, runs_of, sizes_of, together
from pipeline.claims.evidence import Evidence, Series
from pipeline.claims.sizes import critical_sizes, sizes_of_learner
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Estimate,
    Part,
)


def learners(ours: dict[int, float], theirs: dict[int, float]) -> Evidence:
    runs = {"runs": pd.concat([runs_of(AND, tuple(ours)), runs_of(MLP, tuple(theirs))])}
    return together(runs, sizes_of(AND, ours), sizes_of(MLP, theirs), joint_sizes(AND, {}))


BESIDE = {"series": [AND], "than": [MLP], "runs": 50}


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        ({100: 80, 400: 300}, SUPPORTED),
        ({100: 80, 400: 52}, UNDECIDED),
        ({100: 80, 400: 30}, NOT_SUPPORTED),
        ({100: 20, 400: 30}, NOT_SUPPORTED),
    ],
)
def test_a_learner_that_needs_fewer_does_so_at_every_common_length(theirs, verdict):
    evidence = learners({100: 40, 200: 45, 400: 50}, theirs)
    found = decided("needs_fewer", evidence, contexts=2, **BESIDE)
    assert found.verdict == verdict
    assert [one.value for one in found.numbers[:2]] == pytest.approx([theirs[100] / 40, theirs[400] / 50])


def test_sizes_are_those_of_the_joint_model_where_it_has_them():
    """Of the Transformer at 100 and 400; at 400 its rates lie on one side, and the MLP has no joint model."""
    jointly = joint_sizes(AND, {100: 20, 400: 25}, spread=1.2)
    jointly["law_sizes"]["bracketed"] = [True, False]
    evidence = together(dict(learners({100: 40, 400: 50}, {100: 80, 400: 200}).tables), jointly)
    found = decided("needs_fewer", evidence, contexts=2, **BESIDE)
    assert [one.value for one in found.numbers] == pytest.approx([80 / 20, 200 / 50])
    assert math.log(found.numbers[0].high / 4) == pytest.approx(math.hypot(math.log(1.1), math.log(1.2)))
    assert decided("grows_slower", evidence, span=4, **BESIDE).numbers[1].value == pytest.approx(50 / 20)
    wide = sizes_of_learner(evidence, Series(**AND), tests=4)[100]
    assert wide.high == pytest.approx(20 * 1.2 ** (norm.ppf(1 - 0.0125 / 2) / norm.ppf(0.975)))


@pytest.mark.parametrize(("theirs", "of_two"), [(0.86, UNDECIDED), (0.84, NOT_SUPPORTED)])
def test_one_length_of_several_refutes_only_at_the_level_of_all_of_them(theirs, of_two):
    """Each size has an interval of a factor 1.1, so each ratio one of 1.1^√2 = 1.144, and of 1.167 for two T."""
    alone = decided("needs_fewer", learners({100: 40}, {100: 40 * theirs}), contexts=1, **BESIDE)
    both = decided("needs_fewer", learners({100: 40, 400: 50}, {100: 40 * theirs, 400: 200}), contexts=2, **BESIDE)
    assert (alone.verdict, both.verdict) == (NOT_SUPPORTED, of_two)
    wide = number(both, "ratio of the critical sizes at T = 100, corrected for 2 T")
    factor = 1.1 ** (2**0.5 * norm.ppf(0.9875) / norm.ppf(0.975))
    assert [wide.value, wide.low, wide.high] == pytest.approx([theirs, theirs / factor, theirs * factor])
    assert [one.name for one in alone.numbers] == ["ratio of the critical sizes at T = 100"]
    assert number(both, "ratio of the critical sizes at T = 100").high == pytest.approx(theirs * 1.1**2**0.5)


def test_support_needs_every_length_and_no_correction():
    found = decided("needs_fewer", learners({100: 40, 400: 50}, {100: 46.4, 400: 58}), contexts=2, **BESIDE)
    assert found.verdict == SUPPORTED
    assert [one.name for one in found.numbers] == [f"ratio of the critical sizes at T = {T}" for T in (100, 400)]
    assert found.numbers[0].low == pytest.approx(1.16 / 1.1**2**0.5)


def test_a_comparison_needs_common_lengths():
    found = decided("needs_fewer", learners({100: 40}, {200: 80}), contexts=1, **BESIDE)
    assert (found.verdict, found.reason) == (UNDECIDED, "0 common context lengths; 1 are needed")


def censored(evidence: Evidence, T: int, successes: int) -> Evidence:
    """The evidence with the MLP's size at a T above its grid, at whose largest n, 5000, so many of 20 runs succeed."""
    critical, rates = (evidence.tables[name].copy() for name in ("critical_sample_size", "success_rates"))
    at = (critical["model"] == "mlp") & (critical["T"] == T)
    critical.loc[at, ["n_critical", "ci_low", "ci_high"]] = np.nan
    at = (rates["model"] == "mlp") & (rates["T"] == T)
    rates.loc[at & (rates["n"] == 10), "successes"] = 1
    rates.loc[at & (rates["n"] == 5000), "successes"] = successes
    tables = evidence.tables | {"critical_sample_size": critical, "success_rates": rates}
    return Evidence(tables, evidence.share, evidence.confidence)


@pytest.mark.parametrize(
    ("successes", "tests", "low", "high"),
    [
        ({10: 0, 20: 10, 40: 20, 80: 32, 160: 40}, 1, 20, 80),
        ({10: 10, 20: 20}, 1, 10, math.inf),
        ({10: 0, 20: 38, 40: 30, 80: 2}, 1, 0, math.inf),  # it rises and falls
        ({10: 2, 20: 13}, 1, 20, math.inf),  # 13 of 40: up to 0.48 at 95 %
        ({10: 2, 20: 13}, 4, 10, math.inf),  # and to 0.52 at 98.75 %
    ],
)
def test_an_unknown_size_is_bounded_by_the_rates_unless_they_contradict_each_other(successes, tests, low, high):
    critical = pd.DataFrame([AND | {"T": 100, "n_critical": np.nan, "ci_low": np.nan, "ci_high": np.nan}])
    cells = [AND | {"T": 100, "n": n, "trials": 40, "successes": count} for n, count in successes.items()]
    tables = {"runs": runs_of(AND, [100]), "critical_sample_size": critical, "success_rates": pd.DataFrame(cells)}
    evidence = together(tables)
    size = critical_sizes(evidence, Series(**AND), tests)[100]
    assert (size.low, size.high) == (low, high)


def test_an_interval_that_is_upside_down_decides_nothing():
    with pytest.raises(ValueError, match="from 160 to 20"):
        Part(Estimate("size", math.nan, 160, 20), high=100).verdict  # noqa: B018


def test_a_size_above_the_grid_is_bounded_by_the_rates_that_lie_below_the_share():
    evidence = learners({100: 40, 400: 50}, {100: 400, 400: 400})
    sure = decided("needs_fewer", censored(evidence, 400, 4), contexts=2, **BESIDE)
    assert sure.verdict == SUPPORTED
    bounded = number(sure, "ratio of the critical sizes at T = 400")
    assert (bounded.low, bounded.high) == (pytest.approx(5000 / 55), math.inf)
    unsure = decided("needs_fewer", censored(evidence, 400, 9), contexts=2, **BESIDE)
    assert unsure.verdict == UNDECIDED
    wide = 1.1 ** (norm.ppf(0.9875) / norm.ppf(0.975))
    open_ = number(unsure, "ratio of the critical sizes at T = 400, corrected for 2 T")
    assert open_.low == pytest.approx(10 / (50 * wide))


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [({100: 80, 400: 400}, SUPPORTED), ({100: 80, 400: 105}, UNDECIDED), ({100: 80, 400: 60}, NOT_SUPPORTED)],
)
def test_growth_is_compared_between_the_ends_of_the_common_range(theirs, verdict):
    evidence = learners({50: 5, 100: 40, 400: 50}, theirs)
    found = decided("grows_slower", evidence, span=4, **BESIDE)
    assert found.verdict == verdict
    assert [one.value for one in found.numbers] == pytest.approx(
        [theirs[400] / 80 / (50 / 40), 50 / 40, theirs[400] / 80]
    )
    assert decided("grows_slower", evidence, span=5, **BESIDE).reason == "T from 100 to 400; a factor of 5 is needed"
