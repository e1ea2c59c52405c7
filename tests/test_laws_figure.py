"""The figure of laws: what is drawn for a family with laws and for one with too few context lengths."""

import numpy as np
import pandas as pd
import pytest

from pipeline import labels
from pipeline.figures import laws
from pipeline.storage import write_frame

KEY = {"experiment": "and3", "function": "and", "model": "transformer", "k": 3}
SHORT = KEY | {"experiment": "short"}
T = [100, 200, 400, 800]


def verdict(key: dict, **found) -> dict:
    exponent = {"c": -0.128, "c_low": -0.52, "c_high": np.nan, "c_p_free": 0.0312}
    return key | {"verdict": "undecided", "reason": "because", "T_min": 100, "T_max": 800} | exponent | found


def tables() -> dict[str, pd.DataFrame]:
    """One family with all laws, the log one best, and one with a single size."""
    values = zip(
        laws.LAWS, (900.0, 108, 100, 103, 130), (-9.0, -3, -1, -2, -7), (0.01, 0.02, np.nan, 0.2, 0.01), strict=True
    )
    fits = [
        KEY | {"law": law, "aic": aic, "held_out_log_likelihood": held, "p_bootstrap": p}
        for law, aic, held, p in values
    ]
    points = [KEY | {"T": t, "n": n, "n_low": n - 5, "n_high": n + 5} for t, n in zip(T, (40, 50, 60, 70), strict=True)]
    curves = [
        KEY | {"law": law, "T": t, "n": 50.0, "n_low": 45.0, "n_high": 60.0} for law in laws.LAWS for t in (100, 8000)
    ]
    critical = [KEY | {"T": t, "n_critical": n} for t, n in zip(T, (42, 52, 65, np.nan), strict=True)]
    critical.append(SHORT | {"T": 300, "n_critical": 30})
    verdicts = [verdict(KEY), verdict(SHORT, T_min=300, T_max=300)]
    named = {"verdicts": verdicts, "fits": fits, "points": points, "curves": curves, "critical": critical}
    return {name: pd.DataFrame(rows) for name, rows in named.items()}


@pytest.fixture(scope="module")
def spec() -> dict:
    return laws.chart(**tables()).to_dict()


def data(spec: dict, layer: dict) -> pd.DataFrame:
    return pd.DataFrame(spec["datasets"][layer["data"]["name"]])


def layers(panel: dict, kind: str) -> list[dict]:
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == kind]


def test_a_row_for_each_family_with_its_verdict_and_reason(spec):
    titles = [row["title"] for row in spec["vconcat"]]
    assert [title["text"] for title in titles] == [
        "3-way AND, Transformer (and3): undecided",
        "3-way AND, Transformer (short): undecided",
    ]
    exponent = (
        "With an offset: n = a T^c + b, c = -0.128 [-0.520, open] (0 is log T, 1 linear; goodness of fit p = 0.031)"
    )
    assert [title["subtitle"] for title in titles] == [["because", exponent], ["because"]]
    assert [len(row["hconcat"]) for row in spec["vconcat"]] == [2, 1]


def test_an_exponent_that_rounds_to_zero_has_no_sign():
    assert labels.exponent_label(-0.0003, -0.166, 0.152, 0.5).startswith("n = a T^c + b, c = 0.000 [-0.166, 0.152] (")


def test_sizes_of_both_kinds_and_intervals_are_drawn(spec):
    panel = spec["vconcat"][0]["hconcat"][0]
    points = data(spec, layers(panel, "point")[0])
    assert points.groupby("mark")["n"].apply(list).to_dict() == {laws.ALONE: [42, 52, 65], laws.JOINT: [40, 50, 60, 70]}
    assert data(spec, layers(panel, "rule")[0] | {}).columns.tolist() in (["T", "text"], points.columns.tolist())


def test_all_laws_are_drawn_beyond_the_data_and_two_have_bands(spec):
    panel = spec["vconcat"][0]["hconcat"][0]
    assert set(data(spec, layers(panel, "line")[0])["law"]) == set(laws.LAWS)
    assert [layer["mark"]["color"] for layer in layers(panel, "area")] == [laws.LAWS[law][2] for law in laws.BANDS]
    low, high = layers(panel, "line")[0]["encoding"]["x"]["scale"]["domain"]
    assert low < 100
    assert high > 8000


def test_the_evidence_is_a_table_with_the_best_in_bold(spec):
    table = spec["vconcat"][0]["hconcat"][1]
    bold, plain = layers(table, "text")
    assert bold["mark"]["fontWeight"] == "bold"
    best = data(spec, bold)
    assert best[["law", "column", "text"]].to_numpy().tolist() == [
        ["log", "ΔAIC", "0.0"],
        ["log", "held-out", "0.0"],
        ["log", "p", "best"],
    ]
    others = data(spec, plain).set_index(["law", "column"])["text"]
    assert others["power", "ΔAIC"] == "3.0"
    assert others["power", "held-out"] == "-1.0"
    assert others["power", "p"] == "0.200"


def test_a_family_without_laws_has_its_sizes_alone(spec):
    panel = spec["vconcat"][1]["hconcat"][0]
    assert {layer["mark"]["type"] for layer in panel["layer"]} == {"rule", "point"}
    assert data(spec, layers(panel, "point")[0])["n"].tolist() == [30]


def test_a_family_without_anything_is_still_drawn():
    empty = {name: table if name == "verdicts" else table.head(0) for name, table in tables().items()}
    spec = laws.chart(**empty).to_dict()
    assert len(spec["vconcat"]) == 2


def test_no_verdict_is_refused():
    with pytest.raises(ValueError, match="no verdict"):
        laws.chart(**{name: table.head(0) for name, table in tables().items()})


def test_the_command_saves_the_experiments_it_is_given(tmp_path):
    options = []
    for name, table in tables().items():
        write_frame(table, tmp_path / f"{name}.parquet")
        options += [f"--{name}", str(tmp_path / f"{name}.parquet")]
    laws.main([*options, "--experiments", "and3", "--models", "transformer", "--output-folder", str(tmp_path)])
    svg = (tmp_path / "laws.svg").read_text()
    assert "(and3): undecided" in svg
    assert "(short)" not in svg
    assert labels.LEARNER_NAMES["transformer"] in svg
