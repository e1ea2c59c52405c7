"""The simulation of the statistics: many tables at once have the intervals that each has alone."""

import os

import numpy as np
import pandas as pd
import pytest

import simulate
import simulate_report
from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Model
from pipeline.statistics.law_evidence import fit_free, open_shapes, overdispersion
from pipeline.statistics.maximum_likelihood import fit
from pipeline.statistics.profile_likelihood import Candidate, interval
from pipeline.storage import read_frame
from running import ROOT

REPETITIONS = range(2, 4)


@pytest.fixture
def condition():
    return simulate.Condition("coverage", "linear", correlation=0.03, bootstrap=39)


def test_its_intervals_are_those_of_single_tables(condition):
    law = simulate.truth(condition)[0].law
    rows = list(simulate.coverage(condition, REPETITIONS))
    for repetition in REPETITIONS:
        counts = simulate.table(condition, repetition)
        free = fit_free(counts, simulate.SHARE)
        stream = Stream("bootstrap", use="dispersion", repetition=repetition)
        dispersion = overdispersion(free, simulate.SHARE, counts, 0.05, 39, stream)
        candidates = []
        for shape, drop in open_shapes(free, dispersion, 0.95).items():
            model = Model(law, shape, simulate.SHARE)
            candidates.append(Candidate(model, fit(model, counts).parameters, drop))
        expected = np.transpose(interval(candidates, counts, law.coefficient_weights()))
        own = [[row["low"], row["high"]] for row in rows if row["repetition"] == repetition]
        np.testing.assert_allclose(own, expected, rtol=0.01)


def test_more_repetitions_continue_those_that_are_kept(condition):
    more = condition._replace(repetitions=1100)
    assert condition.pieces() == more.pieces()[:4]
    assert more.pieces()[4] == range(1000, 1100)
    assert [condition.path(piece) for piece in condition.pieces()] == [more.path(piece) for piece in more.pieces()[:4]]
    np.testing.assert_array_equal(simulate.table(condition, 7).successes, simulate.table(more, 7).successes)
    assert (simulate.table(condition, 7).successes != simulate.table(condition, 8).successes).any()


def test_where_no_size_exists_the_success_rate_stays_below_the_share_at_the_largest_length_alone():
    own = next(one for one in simulate.conditions() if one.kind == "no_size")
    _, _, cells, rates = simulate.truth(own)
    highest = [rates[cells.T == T].max() for T in cells.lengths]
    assert highest[-1] < 0.46
    assert min(highest[:-1]) > 0.55


def test_levels_count_a_law_that_is_best_itself_as_not_rejected():
    rows = pd.DataFrame({"truth": ["constant", "constant", "log", "power"], "p_overdispersion": 0.5, "p_free": 0.5})
    rows = rows.assign(p_log=0.01, p_power=0.5, p_best_constant=[0.01, None, 0.01, 0.01])
    rows = rows.assign(p_best_log=[0.5, 0.5, None, 0.01], p_best_power=[0.5, 0.5, 0.01, 0.04])
    found = simulate_report.levels(rows).set_index("test")
    assert found.loc["a law of one coefficient against the best by AIC"].tolist() == [0.5, 2]
    assert found.loc["a law of two coefficients against the best by AIC"].tolist() == [0.5, 2]
    assert found.loc["log against power, under log"].tolist() == [1, 1]


def test_a_law_that_is_named_where_there_is_none_counts():
    rows = pd.DataFrame([simulate.Condition("no_size", "log")._asdict()] * 4)
    named = simulate_report.laws_named(rows.assign(verdict=["undecided", "log", "power", "undecided"]))
    assert named[["truth", "named", "repetitions"]].values.tolist() == [["log", 0.5, 4]]


def covered(kind: str, interval: str, quantity: str, lows: list[float | None]) -> pd.DataFrame:
    """Repetitions of a condition whose truth is 2, with the lower ends of their intervals; the upper is open."""
    condition = simulate.Condition(kind, "log")._asdict()
    rows = [condition | {"repetition": number, "low": low} for number, low in enumerate(lows)]
    return pd.DataFrame(rows).assign(interval=interval, quantity=quantity, true=2.0, estimate=2.5, high=None)


def test_the_page_and_the_figures_are_kept(tmp_path):
    """From the published verdicts, whose table is made again, and from made intervals."""
    published = ROOT / "docs/results/statistics"
    judged = read_frame(published / "judged.parquet")
    nowhere = pd.DataFrame([simulate.Condition("no_size", "log")._asdict()] * 4)
    nowhere = nowhere.assign(verdict=["log", *["undecided"] * 3])
    intervals = [
        covered("coverage", "profile", "a", [1.0, 1.5, 3.0, None]),
        covered("bootstrap", "case", "a", [1.0, 3.0]),
        covered("single_T", "joint", "n(100)", [1.0]),
        covered("single_T", "alone", "n(100)", [3.0]),
    ]
    page = simulate_report.write([*intervals, judged, nowhere], tmp_path / "results", tmp_path / "kept")
    assert (tmp_path / "kept/table.md").read_text(encoding="utf-8") == page
    assert "`make simulate` outside of a checkout; " in page, "so for a project that was downloaded without git"
    assert {path.name for path in (tmp_path / "kept").iterdir()} | {"README.md"} == set(os.listdir(published))
    pd.testing.assert_frame_equal(
        read_frame(tmp_path / "kept/verdicts.parquet"), read_frame(published / "verdicts.parquet")
    )
    levels = "## Levels of the tests, nominally 0.05"
    assert page.partition(levels)[2] == (published / "table.md").read_text(encoding="utf-8").partition(levels)[2]
    rates = read_frame(tmp_path / "kept/coverage.parquet").set_index(["kind", "interval"])["coverage"]
    assert rates.to_dict() == {
        ("coverage", "profile"): 0.75,
        ("bootstrap", "case"): 0.5,
        ("single_T", "joint"): 1,
        ("single_T", "alone"): 0,
    }
    assert read_frame(tmp_path / "kept/no_size.parquet")["named"].tolist() == [0.25]
