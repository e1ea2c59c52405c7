"""The rules that decide claims, on made tables whose outcome is known."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import norm

from pipeline.claims.evidence import SERIES, Evidence, Series
from pipeline.claims.rules import RULES
from pipeline.claims.sizes import critical_sizes
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Estimate,
    Finding,
    Part,
    conclude,
    difference,
    geometric_mean,
    ratio,
)
from pipeline.statistics.critical_sample_size import bootstrap_critical_sizes, critical_sample_sizes
from pipeline.statistics.law_tables import law_tables
from pipeline.statistics.scaling import scaling_fits

AND = {"experiment": "and3", "function": "and", "model": "transformer", "k": 3}
MLP = AND | {"experiment": "and3_mlp", "model": "mlp"}
PAPER = pd.DataFrame(
    {
        "context_length": [100, 200, 400, 800],
        "critical_sample_size": [20 * np.log(T) - 40 for T in (100, 200, 400, 800)],
    }
).assign(
    bar_low=lambda table: table["critical_sample_size"] - 3, bar_high=lambda table: table["critical_sample_size"] + 3
)
LENGTHS = tuple(PAPER["context_length"])


def runs_of(series: dict, lengths=LENGTHS, count: int = 100, success=True) -> pd.DataFrame:
    """The table of runs: at each T so many, all with the same outcome unless ``success`` says which fail."""
    outcomes = [success] * count if isinstance(success, bool) else success
    rows = [
        series | {"T": T, "n": 50, "seed": seed, "success": one, "success_step": 800 if one else None, "steps": 800}
        for T in lengths
        for seed, one in enumerate(outcomes)
    ]
    address = {"data": "standard", "training": "paper"}
    return pd.DataFrame(rows).astype({"success_step": "Int32"}).assign(**address)


def sizes_of(series: dict, sizes: dict[int, float], spread: float = 1.1) -> dict[str, pd.DataFrame]:
    """Critical sizes with intervals of a factor, and rates of a grid from 10 to 5000, 20 runs a cell, around them."""
    critical = [
        series | {"T": T, "n_critical": size, "ci_low": size / spread, "ci_high": size * spread, "censored_side": ""}
        for T, size in sizes.items()
    ]
    rates = [
        series | {"T": T, "n": n, "trials": 20, "successes": 20 if n > size else 0}
        for T, size in sizes.items()
        for n in (10, 5000)
    ]
    return {"critical_sample_size": pd.DataFrame(critical), "success_rates": pd.DataFrame(rates)}


def together(*parts: dict[str, pd.DataFrame]) -> Evidence:
    """Evidence with the rows of several parts."""
    names = {name for part in parts for name in part}
    tables = {name: pd.concat([part[name] for part in parts if name in part], ignore_index=True) for name in names}
    return Evidence(tables, share=0.5, confidence=0.95)


def decided(rule: str, evidence: Evidence, **parameters) -> Finding:
    """What a rule finds with parameters as YAML gives them."""
    return RULES[rule].apply(evidence, RULES[rule].parameters.model_validate(parameters))


def number(finding: Finding, name: str) -> Estimate:
    return next(one for one in finding.numbers if one.name == name)


# Verdicts and intervals


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


# Growth


def laws(series: dict, verdict: str, exponent: tuple[float, float, float] = (0.3, 0.2, 0.4), **changes) -> dict:
    """The tables of the fitted laws and of their comparison, of one series."""
    compared = {"verdict": verdict, "p_log": 0.4, "p_power": 0.01, "contexts": 10, "T_min": 100, "T_max": 1100}
    fits = [
        series | {"law": "log", "a": 15.0, "a_low": 14.0, "a_high": 16.0, "b": -30.0, "b_low": -40.0, "b_high": -20.0},
        series | {"law": "power"} | dict(zip(("b", "b_low", "b_high"), exponent, strict=True)),
    ]
    return {
        "law_verdicts": pd.DataFrame([series | compared | {"reason": "two laws fit as well"} | changes]),
        "law_fits": pd.DataFrame(fits).assign(aic_weight=[0.9, 0.1], p_free=[0.7, 0.2]),
        "success_rates": pd.DataFrame([series | {"T": T} for T in LENGTHS]),
    }


GROWTH = {"series": AND, "contexts": 4, "span": 8, "runs": 100}


@pytest.mark.parametrize(
    ("law", "verdict"), [("log", SUPPORTED), ("proportional_log", SUPPORTED), ("power", NOT_SUPPORTED)]
)
def test_the_law_that_the_comparison_decides_for(law, verdict):
    evidence = together({"runs": runs_of(AND)}, laws(AND, law))
    found = decided("growth_law", evidence, laws=["log", "proportional_log"], **GROWTH)
    assert (found.verdict, found.reason) == (verdict, f"the comparison decides for the law {law}")
    assert number(found, "exponent of the power law") == Estimate("exponent of the power law", 0.3, 0.2, 0.4)
    assert number(found, "AIC weight of the log law").value == 0.9
    assert number(found, "goodness of fit of the log law, p").value == 0.7
    assert number(found, "goodness of fit of the power law, p").value == 0.2
    assert number(found, "the log law against the power law, p").value == 0.4
    assert number(found, "the power law against the log law, p").value == 0.01


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (laws(AND, "undecided"), "two laws fit as well"),
        (laws(AND, "log", contexts=3), "3 context lengths; 4 are needed"),
        (laws(AND, "log", T_max=700), "T from 100 to 700; a factor of 8 is needed"),
        ({}, "no rows of experiment and3 in the table law_verdicts"),
    ],
)
def test_a_comparison_that_does_not_decide_or_is_too_small(made, reason):
    found = decided("growth_law", together({"runs": runs_of(AND)}, made), laws=["log"], **GROWTH)
    assert (found.verdict, found.reason) == (UNDECIDED, reason)


@pytest.mark.parametrize(
    ("exponent", "verdict"),
    [((0.3, 0.2, 0.4), SUPPORTED), ((1.3, 1.1, 1.5), NOT_SUPPORTED), ((0.9, 0.7, 1.1), UNDECIDED)],
)
def test_the_exponent_is_compared_with_one(exponent, verdict):
    evidence = together({"runs": runs_of(AND)}, laws(AND, "log", exponent))
    assert decided("growth_exponent", evidence, below=1, **GROWTH).verdict == verdict


# What every rule needs of the runs


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (runs_of(MLP), "no runs of experiment and3"),
        (runs_of(AND | {"k": 2}), "no runs of experiment and3 with function and, model transformer and k = 3"),
        (runs_of(AND, count=99), "experiment and3 has 99 runs at T = 100; 100 are needed"),
        (
            pd.concat([runs_of(AND, (100, 200)), runs_of(AND, (400,), 7)]),
            "experiment and3 has 7 runs at T = 400; 100 are needed",
        ),
    ],
)
def test_without_runs_enough_a_claim_is_undecided(runs, reason):
    evidence = together({"runs": runs}, laws(AND, "log"))
    for rule, more in {"growth_law": {"laws": ["log"]}, "growth_exponent": {"below": 1}}.items():
        found = decided(rule, evidence, **GROWTH, **more)
        assert (found.verdict, found.reason) == (UNDECIDED, reason)


# Beside the paper


def papers(factor: float = 1.0, offset: float = 0.0) -> dict[int, float]:
    """The paper's points times a factor, and more."""
    return {T: factor * (20 * np.log(T) - 40) + offset for T in LENGTHS}


POINTS = {"series": AND, "tolerance": 0.1, "contexts": 4, "runs": 100}
LAW = POINTS | {"tolerance": 0.2}
SINGLY, JOINTLY = "each T alone", "joint model"


def beside_paper(*parts: dict[str, pd.DataFrame]) -> Evidence:
    """Evidence with the paper's points and enough runs; without a joint model, unless a part has it."""
    no_sizes = pd.DataFrame(columns=[*SERIES, "T", "n", "n_low", "n_high", "bracketed"])
    basis = {"runs": runs_of(AND), "paper_critical_sample_size": PAPER, "law_sizes": no_sizes}
    return together(basis, *parts)


def joint_of(series: dict, sizes: dict[int, float], spread: float, of_mean: float) -> dict[str, pd.DataFrame]:
    """The tables of the joint model, with intervals of a factor for each size and of another for their mean."""
    rows = [
        series | {"T": T, "n": size, "n_low": size / spread, "n_high": size * spread, "bracketed": True}
        for T, size in sizes.items()
    ]
    mean = np.exp(np.log(list(sizes.values())).mean())
    of_family = {"n_mean": mean, "n_mean_low": mean / of_mean, "n_mean_high": mean * of_mean}
    return {"law_sizes": pd.DataFrame(rows), "law_verdicts": pd.DataFrame([series | of_family])}


@pytest.mark.parametrize(
    ("factor", "spread", "verdict"),
    [(1.0, 1.1, SUPPORTED), (0.7, 1.1, NOT_SUPPORTED), (1.3, 1.1, NOT_SUPPORTED), (1.08, 1.1, UNDECIDED)],
)
def test_agreement_is_within_a_tolerance(factor, spread, verdict):
    found = decided("agrees_with_points", beside_paper(sizes_of(AND, papers(factor), spread)), **POINTS)
    assert found.verdict == verdict
    mean = number(found, f"ours over the paper's, mean ({SINGLY})")
    assert mean.value == pytest.approx(factor)
    assert mean.high == pytest.approx(factor * spread**0.5)  # four of them, each of the same spread
    met = number(found, "T, of 4, at which our interval meets the paper's bar")
    assert met.value == {1.0: 4, 0.7: 0, 1.3: 0, 1.08: 4}[factor]


@pytest.mark.parametrize(
    ("factor", "of_mean", "verdict"),
    [(1.0, 1.05, SUPPORTED), (0.7, 1.05, NOT_SUPPORTED), (1.0, 1.2, UNDECIDED), (0.7, 1.4, UNDECIDED)],
)
def test_of_the_joint_model_the_mean_has_its_own_interval(factor, of_mean, verdict):
    single = sizes_of(AND, papers(factor * 1.2))
    found = decided("agrees_with_points", beside_paper(single, joint_of(AND, papers(factor), 1.08, of_mean)), **POINTS)
    assert found.verdict == verdict
    assert found.reason.endswith(f"ours over the paper's, mean ({JOINTLY})")
    mean = number(found, f"ours over the paper's, mean ({JOINTLY})")
    assert [mean.value, mean.low, mean.high] == pytest.approx([factor, factor / of_mean, factor * of_mean])
    one = number(found, "ours over the paper's at T = 400")
    assert [one.value, one.high] == pytest.approx([factor, factor * 1.08])
    met = number(found, "T, of 4, at which our interval meets the paper's bar")
    assert met.value == {1.0: 4, 0.7: 0}[factor]


def test_a_joint_model_whose_mean_is_over_other_lengths_or_that_the_runs_do_not_bound_is_not_used():
    single, sizes = sizes_of(AND, papers() | {50: 20.0}), papers()
    elsewhere = joint_of(AND, sizes | {50: 20.0}, 1.1, 1.05)
    unbounded = joint_of(AND, sizes, 1.1, 1.05)
    unbounded["law_sizes"].loc[3, "bracketed"] = False
    others = joint_of(AND | {"experiment": "and3_wide"}, sizes, 1.1, 1.05)
    for made in (elsewhere, unbounded, others):
        found = decided("agrees_with_points", beside_paper(single, made), **POINTS)
        assert found.reason == f"borne out: ours over the paper's, mean ({SINGLY})"


def levelling(sizes: dict[int, float], trials: int = 400) -> pd.DataFrame:
    """Success rates as expected of runs whose rate rises to a share that falls with T, from 99 % to 64 %."""
    rows = []
    for (T, size), asymptote in zip(sizes.items(), (0.99, 0.9, 0.77, 0.64), strict=True):
        n = (size * np.geomspace(0.4, 4, 12)).round().astype(int)
        rate = asymptote * expit(5 * np.log(n / size) + logit(0.5 / asymptote))
        rows.append(pd.DataFrame({"T": T, "n": n, "successes": (trials * rate).round().astype(int)}))
    return pd.concat(rows, ignore_index=True).assign(trials=trials, **AND)


def test_rates_that_level_off_below_1_do_not_speak_against_agreement():
    """The critical size of a T alone takes the rate to rise to 1, and lies far above such a curve's."""
    rates = levelling(papers())
    joint = law_tables(rates, 0.5, 0.95, 20)
    critical = critical_sample_sizes(rates, 0.5, 0.95, 200)
    single = {"critical_sample_size": critical, "success_rates": rates}
    alone = decided("agrees_with_points", beside_paper(single), **POINTS)
    assert number(alone, f"ours over the paper's, mean ({SINGLY})").low > 1
    jointly = {"law_sizes": joint.sizes, "law_verdicts": joint.verdicts}
    found = decided("agrees_with_points", beside_paper(single, jointly), **POINTS)
    assert found.verdict == SUPPORTED
    mean = number(found, f"ours over the paper's, mean ({JOINTLY})")
    assert mean.low < 1 < mean.high
    assert mean.value == pytest.approx(1, abs=0.01)
    least = scaling_fits(critical, bootstrap_critical_sizes(rates, 0.5, 200), 0.95)
    law = decided("agrees_with_law", beside_paper({"law_fits": joint.fits, "scaling_fits": least}), **LAW)
    a = number(law, f"a, relative difference ({JOINTLY})")
    assert a.low < 0 < a.high
    assert a.value == pytest.approx(0, abs=0.05)


def test_wide_intervals_around_the_papers_points_do_not_support_agreement():
    evidence = beside_paper(sizes_of(AND, papers(), 2.0))
    assert decided("agrees_with_points", evidence, **POINTS).verdict == UNDECIDED


def test_agreement_needs_enough_of_the_papers_context_lengths():
    evidence = beside_paper(sizes_of(AND, papers() | {50: 20.0}))
    found = decided("agrees_with_points", evidence, **POINTS | {"contexts": 5})
    assert (found.verdict, found.reason) == (UNDECIDED, "4 common context lengths; 5 are needed")
    made = joint_of(AND, papers(), 1.1, 1.05)
    found = decided("agrees_with_points", beside_paper(made), **POINTS | {"contexts": 5})
    assert (found.verdict, found.reason) == (UNDECIDED, "4 common context lengths; 5 are needed")


@pytest.mark.parametrize(
    ("a", "b", "width", "verdict"),
    [
        (20, -40, 0.1, SUPPORTED),
        (20, -40, 0.5, UNDECIDED),
        (10, -40, 0.1, NOT_SUPPORTED),
        (20, -20, 0.1, NOT_SUPPORTED),
    ],
)
@pytest.mark.parametrize("how", [JOINTLY, SINGLY])
def test_the_coefficients_are_those_of_a_fit_to_the_papers_points(how, a, b, width, verdict):
    ends = {"a": a, "a_low": a - 20 * width, "a_high": a + 20 * width}
    ends |= {"b": b, "b_low": b - 40 * width, "b_high": b + 40 * width}
    other = {name: np.nan if how == SINGLY else 7.0 for name in ends}
    joint, least = (ends, other) if how == JOINTLY else (other, ends)
    tables = {
        "law_fits": pd.DataFrame([AND | {"law": law, "contexts": 4} | joint for law in ("log", "power")]),
        "scaling_fits": pd.DataFrame([AND | {"law": "log", "points": 4} | least]),
    }
    found = decided("agrees_with_law", beside_paper(tables), **LAW)
    assert found.verdict == verdict
    assert number(found, "a, the paper's").value == pytest.approx(20)
    assert number(found, "b, the paper's").value == pytest.approx(-40)
    gap = number(found, f"b, relative difference ({how})")
    assert [gap.value, gap.low, gap.high] == pytest.approx(
        [(b + 40) / 40, (b + 40) / 40 - width, (b + 40) / 40 + width]
    )
    few = decided("agrees_with_law", beside_paper(tables), **LAW | {"contexts": 5})
    assert (few.verdict, few.reason) == (UNDECIDED, "4 context lengths in our fit; 5 are needed")


# Learners


def learners(ours: dict[int, float], theirs: dict[int, float]) -> Evidence:
    runs = {"runs": pd.concat([runs_of(AND, tuple(ours)), runs_of(MLP, tuple(theirs))])}
    return together(runs, sizes_of(AND, ours), sizes_of(MLP, theirs))


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


# Parities

PARITY = {"experiment": "online", "function": "parity", "model": "transformer", "k": 3}


@pytest.mark.parametrize(
    ("successes", "verdict"), [(20, SUPPORTED), (12, UNDECIDED), (9, UNDECIDED), (2, NOT_SUPPORTED)]
)
def test_a_function_is_learned_if_most_runs_succeed(successes, verdict):
    outcomes = [seed < successes for seed in range(20)]
    evidence = together({"runs": runs_of(PARITY, (10,), success=outcomes)})
    found = decided("is_learned", evidence, series=PARITY, at_least=0.5, runs=20)
    assert found.verdict == verdict
    assert number(found, "successful runs").value == successes / 20
    assert number(found, "successful runs at T = 10").value == successes / 20


def curves(plateau: int, distances: tuple[float, float], losses: tuple[float, float] = (math.log(2), 0.1)) -> dict:
    """Progress of ten runs, evaluated every 100 steps up to their transition at 800, with 200 further steps.

    The loss has its first value up to step ``plateau`` and its second from then on; the distance grows linearly from
    its first value at step 100 to its second at step 400.
    """
    steps = np.arange(100, 1001, 100)
    one = pd.DataFrame(
        {
            "step": steps,
            "train_loss": np.where(steps <= plateau, *losses),
            "distance": distances[0] + (distances[1] - distances[0]) * (steps - 100) / 300,
        }
    )
    progress = [one.assign(**PARITY, T=10, n=50, seed=seed) for seed in range(10)]
    return {"progress": pd.concat(progress, ignore_index=True), "runs": runs_of(PARITY, (10,), 10)}


ENOUGH = {"series": PARITY, "evaluations": 8, "runs": 10}


@pytest.mark.parametrize(
    ("plateau", "verdict", "share"), [(700, SUPPORTED, 0.875), (100, NOT_SUPPORTED, 0.125), (0, NOT_SUPPORTED, 0.0)]
)
def test_a_plateau_takes_most_of_the_steps_to_the_transition(plateau, verdict, share):
    found = decided("has_plateau", together(curves(plateau, (1, 2))), level=0.9, at_least=0.5, **ENOUGH)
    assert found.verdict == verdict
    assert number(found, "plateau, as a share of the steps to the transition").value == share
    assert number(found, "steps to the transition").value == 800


@pytest.mark.parametrize(
    ("plateau", "distances", "verdict"),
    [(700, (1, 2), SUPPORTED), (700, (1, 1.1), NOT_SUPPORTED), (300, (1, 2), NOT_SUPPORTED)],
)
def test_the_distance_moves_while_the_loss_does_not(plateau, distances, verdict):
    found = decided("moves_before_loss", together(curves(plateau, distances)), loss=0.95, growth=1.25, **ENOUGH)
    assert found.verdict == verdict
    loss = number(found, "loss over ln 2, half way to the transition")
    assert loss.value == pytest.approx(1.0 if plateau == 700 else 0.1 / math.log(2))
    assert number(found, "growth of the distance from initialisation until then").value == pytest.approx(distances[1])


def test_runs_with_few_evaluations_or_without_a_transition_show_no_plateau():
    made = curves(700, (1, 2))
    few = decided("has_plateau", together(made), level=0.9, at_least=0.5, **ENOUGH | {"evaluations": 9})
    assert (few.verdict, few.reason) == (UNDECIDED, "0 successful runs with 9 evaluations; 10 are needed")
    made["runs"].loc[0, "success_step"] = pd.NA
    censored = decided("has_plateau", together(made), level=0.9, at_least=0.5, **ENOUGH)
    assert (censored.verdict, censored.reason) == (UNDECIDED, "9 successful runs with 8 evaluations; 10 are needed")


def exponents(*found: tuple[float, float, float]) -> tuple[Evidence, list[dict]]:
    """Fits of parities of k = 2, 3, … and their series."""
    series = [PARITY | {"experiment": f"parity{k}", "k": k} for k in range(2, 2 + len(found))]
    names = ("exponent", "exponent_low", "exponent_high")
    fits = [one | dict(zip(names, ends, strict=True)) | {"points": 4} for one, ends in zip(series, found, strict=True)]
    runs = pd.concat([runs_of(one, (10, 20)) for one in series])
    return together({"runs": runs, "transition_fits": pd.DataFrame(fits)}), series


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([(0.7, 0.6, 0.8), (1.5, 1.3, 1.7), (2.5, 2.2, 2.8)], SUPPORTED),
        ([(0.7, 0.6, 0.8), (1.5, 1.3, 1.7), (2.5, 1.0, 5.5)], UNDECIDED),
        ([(1.5, 1.4, 1.6), (0.7, 0.6, 0.8)], NOT_SUPPORTED),
        ([(0.7, 0.6, 0.8), (4.0, 3.5, 4.5)], NOT_SUPPORTED),
        ([(0.7, 0.6, 0.8), (np.nan, np.nan, np.nan)], UNDECIDED),
    ],
)
def test_exponents_rise_with_k_and_stay_below_it(found, verdict):
    evidence, series = exponents(*found)
    parameters = {"per_bit": 1, "contexts": 3, "runs": 10}
    assert decided("exponent_grows_with_k", evidence, series=series[::-1], **parameters).verdict == verdict


# Attention


@pytest.mark.parametrize(("recovered", "verdict"), [(98, SUPPORTED), (82, UNDECIDED), (60, NOT_SUPPORTED)])
def test_attention_singles_out_the_support_in_most_successes(recovered, verdict):
    rows = [
        AND | {"T": 100, "n": 50, "seed": seed, "success": seed < 100, "support_recovered": seed < recovered}
        for seed in range(150)
    ]
    table = pd.DataFrame(rows).assign(best_head_support_mass=0.7).astype({"support_recovered": "boolean"})
    table.loc[149, "support_recovered"] = pd.NA  # it diverged
    evidence = together({"runs": runs_of(AND), "attention": table})
    found = decided("attends_to_support", evidence, series=AND, at_least=0.8, runs=100)
    assert found.verdict == verdict
    assert number(found, "successes that attend to the support").value == recovered / 100
    assert number(found, "failures that do").value == 0
    assert number(found, "best head's attention on the support, successes").value == 0.7
    few = decided("attends_to_support", evidence, series=AND, at_least=0.8, runs=101)
    assert (few.verdict, few.reason) == (UNDECIDED, "100 successful runs; 101 are needed")


def test_series_are_told_apart_by_all_of_their_columns():
    others = [{"experiment": "other"}, {"function": "or"}, {"model": "mlp"}, {"k": 2}]
    table = pd.DataFrame([AND | {"x": 1}, *(AND | other | {"x": 0} for other in others)])
    assert Series.model_validate(AND).of(table)["x"].tolist() == [1]
    assert list(AND) == SERIES
