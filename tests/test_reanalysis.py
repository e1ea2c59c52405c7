"""Published results made again from their published runs: nothing is trained, and what differs is told."""

import json
import re

import pandas as pd
import pytest

from pipeline.commands.publish import publish
from pipeline.commands.reanalysis import DIFFERENT, PUBLISHED, ROUNDED, SAME, SOURCES, compared, reanalyse, sets

TABLE = pd.DataFrame({"T": [100, 200], "n": [35.0, None], "bias": [0.0, 0.0]})


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (TABLE.copy(), SAME),
        (TABLE.assign(n=[35.0 * (1 + 1e-9), None]), ROUNDED),
        (TABLE.assign(bias=[0.0, 1e-17]), ROUNDED),
        (TABLE.assign(bias=[0.0, 1e-9]), DIFFERENT),
        (TABLE.assign(n=[35.0 * (1 + 1e-4), None]), DIFFERENT),
        (TABLE.assign(n=[35.0, 40.0]), DIFFERENT),
        (TABLE.assign(T=[100, 201]), DIFFERENT),
        (TABLE[:1], DIFFERENT),
        (TABLE[["T"]], DIFFERENT),
    ],
)
def test_a_table_is_the_same_or_rounded_or_different(now, expected, tmp_path):
    TABLE.to_parquet(tmp_path / "before.parquet")
    now.to_parquet(tmp_path / "now.parquet")
    assert compared(tmp_path / "before.parquet", tmp_path / "now.parquet") == expected


def test_a_set_without_runs_is_refused_and_those_with_runs_are_named(tmp_path):
    with pytest.raises(SystemExit, match=f"bench has no .* {', '.join(sets())}$"):
        reanalyse(PUBLISHED / "bench", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def published(finished, tmp_path):
    publish(finished[0] / "results", tmp_path / "published", "make smoke")
    return tmp_path / "published"


def told_by(capfd) -> dict[str, str]:
    """What was said of each table and of the verdicts."""
    found = re.findall(rf"^({SAME}|{ROUNDED}|{DIFFERENT}) {{2,}}(\S.*)$", capfd.readouterr().out, re.MULTILINE)
    return {name: what for what, name in found}


@pytest.mark.slow
def test_without_its_runs_a_set_is_made_again_as_it_was(published, finished, tmp_path, capfd):
    """What is not said to be the same is told: a changed number, a changed verdict."""
    work = tmp_path / "work"
    assert reanalyse(published, work) == 0
    made = {path.stem for path in published.glob("*.parquet")} - set(SOURCES)
    claims = len(json.loads((published / "claims.json").read_text())["claims"])
    assert told_by(capfd) == dict.fromkeys([*made, f"verdicts on {claims} claims"], SAME)
    assert {path.name for path in (work / "results").iterdir() if path.suffix} == {
        *("claims.json", "claims.md", "config.yaml", "index.html", "summary.txt")
    }
    for figure in published.glob("*.svg"):
        assert (work / "results/figures" / figure.name).read_bytes() == figure.read_bytes()
    assert not (work / "results/runs").exists()

    rates = pd.read_parquet(published / "success_rates.parquet")
    rates.assign(successes=rates["successes"] + 1).to_parquet(published / "success_rates.parquet")
    ledger = json.loads((published / "claims.json").read_text())
    ledger["claims"][0]["verdict"] = "supported"
    (published / "claims.json").write_text(json.dumps(ledger))
    assert reanalyse(published, work) == 1
    told = told_by(capfd)
    assert [name for name, what in told.items() if what == DIFFERENT] == [
        "success_rates",
        "verdict on critical_size_grows_like_log_t: supported, now undecided",
    ]


@pytest.mark.slow
def test_what_make_quick_published_is_what_the_present_code_makes_of_its_runs(tmp_path):
    assert reanalyse(PUBLISHED / "quick", tmp_path) == 0


@pytest.mark.whole
@pytest.mark.parametrize("name", [name for name in sets() if name != "quick"])
def test_what_is_published_is_what_the_present_code_makes_of_its_runs(name, tmp_path):
    assert reanalyse(PUBLISHED / name, tmp_path) == 0
