"""The rules that compare with the paper's points, on made tables whose outcome is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from made_evidence import AND, LENGTHS, PAPER, decided, joint_sizes, number, runs_of, sizes_of, together
from pipeline.claims.evidence import Evidence
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
)
from pipeline.statistics.critical_sample_size import bootstrap_critical_sizes, critical_sample_sizes
from pipeline.statistics.law_tables import law_tables
from pipeline.statistics.scaling import scaling_fits


def papers(factor: float = 1.0, offset: float = 0.0) -> dict[int, float]:
    """The paper's points times a factor, and more."""
    return {T: factor * (20 * np.log(T) - 40) + offset for T in LENGTHS}


POINTS = {"series": AND, "tolerance": 0.1, "contexts": 4, "runs": 100}
LAW = POINTS | {"tolerance": 0.2}
SINGLY, JOINTLY = "each T alone", "joint model"


def beside_paper(*parts: dict[str, pd.DataFrame]) -> Evidence:
    """Evidence with the paper's points and enough runs; without a joint model, unless a part has it."""
    return together({"runs": runs_of(AND), "paper_critical_sample_size": PAPER}, joint_sizes(AND, {}), *parts)


def joint_of(series: dict, sizes: dict[int, float], spread: float, of_mean: float) -> dict[str, pd.DataFrame]:
    """The tables of the joint model, with intervals of a factor for each size and of another for their mean."""
    mean = np.exp(np.log(list(sizes.values())).mean())
    of_family = {"n_mean": mean, "n_mean_low": mean / of_mean, "n_mean_high": mean * of_mean}
    return joint_sizes(series, sizes, spread) | {"law_verdicts": pd.DataFrame([series | of_family])}


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
