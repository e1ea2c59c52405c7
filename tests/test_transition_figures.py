"""The figure of the online transitions: what its specification says."""

import numpy as np
import pandas as pd
import pytest

from charts import file_names, look, rows, saved, units
from pipeline.figures import transitions
from pipeline.figures.parts import style
from pipeline.statistics.transitions import transition_fits
from pipeline.statistics.transitions import transitions as medians

KEY = {"experiment": "main", "function": "parity", "model": "transformer", "k": 3, "n": 1000}
LENGTHS = (10, 20, 40)
LIMIT = 3600


def runs_table(factor=1.0, **changes) -> pd.DataFrame:
    """Nine runs of each T about the law ``step = 2 · T²``; at T = 40 the last three are censored."""
    cells = [(T, seed, factor * 2 * T**2 * 1.1 ** (seed - 4)) for T in LENGTHS for seed in range(9)]
    runs = pd.DataFrame(cells, columns=["T", "seed", "steps"]).assign(**(KEY | {"eval_every": 1} | changes))
    runs["success_step"] = runs["steps"].round().where(runs["steps"] <= LIMIT).astype("Int32")
    return runs.assign(steps=runs["steps"].round().clip(upper=LIMIT).astype(int))


def spec_of(runs: pd.DataFrame) -> dict:
    return transitions.chart(runs, medians(runs, 0.95), transition_fits(runs, 0.95)).to_dict()


@pytest.fixture(scope="module")
def spec() -> dict:
    return spec_of(runs_table())


def points_of(spec: dict, mark: str) -> pd.DataFrame:
    parts = [rows(spec, unit) for unit in units(spec, "point")]
    return pd.concat(parts).query("mark == @mark")


def test_every_run_stands_at_its_step(spec):
    runs = runs_table()
    drawn = points_of(spec, transitions.RUN)
    reached = runs.dropna(subset="success_step")
    expected = reached[["T", "seed", "success_step"]].to_numpy().tolist()
    assert drawn[["T", "seed", "step"]].to_numpy().tolist() == expected


def test_a_censored_run_is_open_and_stands_where_it_ended(spec):
    drawn = points_of(spec, transitions.CENSORED)
    assert len(drawn) == runs_table()["success_step"].isna().sum() == 3
    assert drawn["step"].tolist() == [LIMIT] * 3
    encoding = units(spec, "point")[0]["encoding"]
    assert look(encoding["fill"])["Transformer, " + transitions.CENSORED] == "white"
    assert look(encoding["shape"])["Transformer, " + transitions.CENSORED] == "triangle-up"


def test_runs_stand_beside_their_length_and_nearer_to_it_than_to_another(spec):
    drawn = pd.concat([points_of(spec, transitions.RUN), points_of(spec, transitions.CENSORED)])
    assert drawn.groupby("T")["place"].nunique().tolist() == [9, 9, 9]
    nearest = np.abs(np.log(drawn["place"].to_numpy()[:, None] / LENGTHS)).argmin(axis=1)
    assert [LENGTHS[index] for index in nearest] == drawn["T"].tolist()
    again = points_of(spec_of(runs_table().sample(frac=1, random_state=0)), transitions.RUN).sort_values(["T", "seed"])
    assert again["place"].tolist() == points_of(spec, transitions.RUN)["place"].tolist()


def test_axes_are_logarithmic_and_hold_all_runs(spec):
    x, y = (units(spec, "point")[0]["encoding"][axis] for axis in "xy")
    assert (x["scale"]["type"], y["scale"]["type"]) == ("log", "log")
    assert (x["title"], y["title"]) == ("Context length T (log scale)", "Step of the transition (log scale)")
    assert x["axis"]["values"] == list(LENGTHS)
    assert y["scale"]["domain"][0] < runs_table()["steps"].min()
    assert y["scale"]["domain"][1] > LIMIT


@pytest.mark.parametrize(("share", "lowest"), [(0.8, 0.8 / 1.15), (0.1, 0.5)])
def test_the_axis_of_steps_holds_a_law_below_all_runs_unless_it_is_far_below(share, lowest):
    runs = runs_table()
    first = runs["success_step"].min()
    fits = transition_fits(runs, 0.95).assign(exponent=0.0, constant=share * first)
    spec = transitions.chart(runs, medians(runs, 0.95), fits).to_dict()
    domain = units(spec, "point")[0]["encoding"]["y"]["scale"]["domain"]
    assert domain[0] == pytest.approx(min(lowest * first, domain[1] / 10))


def test_medians_have_the_intervals_of_the_table_and_an_open_end_reaches_the_edge():
    runs = runs_table(1.2)
    table = medians(runs, 0.95)
    assert table["ci_high"].isna().tolist() == [False, False, True]
    assert table["censored"].tolist() == [False, False, True]
    spec = spec_of(runs)
    above, closed = units(spec, "rule")
    assert rows(spec, above)[["T", "low"]].to_numpy().tolist() == [[40, table["ci_low"][2]]]
    assert (above["encoding"]["y"]["field"], above["encoding"]["y2"]) == ("low", {"value": 0})
    expected = table[["T", "ci_low", "ci_high"]][:2].to_numpy().tolist()
    assert rows(spec, closed)[["T", "low", "high"]].to_numpy().tolist() == expected
    drawn = points_of(spec, transitions.MEDIAN).drop_duplicates("T")
    assert drawn["T"].tolist() == [10, 20]
    assert drawn["step"].tolist() == table["median"].tolist()[:2]


def test_a_median_of_few_runs_has_a_bar_through_the_panel():
    spec = spec_of(runs_table().query("seed < 4 and T < 40"))
    [bar] = units(spec, "rule")
    assert rows(spec, bar)["T"].tolist() == [10, 20]
    assert (bar["encoding"]["y"], bar["encoding"]["y2"]) == ({"value": "height"}, {"value": 0})


def test_law_is_drawn_and_written_out(spec):
    line = rows(spec, units(spec, "line")[0])
    fit = transition_fits(runs_table(), 0.95).iloc[0]
    assert line["T"].tolist() == [10, 40]
    assert line["step"].tolist() == pytest.approx([fit["constant"] * T ** fit["exponent"] for T in (10, 40)])
    law, note = spec["title"]["subtitle"]
    assert law.startswith(f"Transformer: step = {fit['constant']:.3g} · T^{fit['exponent']:.2f} [")
    assert law.endswith("], 3 of 27 censored")
    assert "open" in note


def test_panels_have_the_same_axes_and_models_share_one():
    runs = pd.concat([runs_table(), runs_table(0.5, model="mlp"), runs_table(0.3, k=2)])
    spec = spec_of(runs)
    assert [panel["title"]["text"] for panel in spec["concat"]] == ["2-way parity (main)", "3-way parity (main)"]
    for axis in "xy":
        assert len({tuple(unit["encoding"][axis]["scale"]["domain"]) for unit in units(spec, "point")}) == 1
    own = rows(spec, units(spec["concat"][1], "point")[0])
    assert set(own["model"]) == {"transformer", "mlp"}
    places = own[own["T"] == 10].groupby("model")["place"]
    assert places.max()["mlp"] < 10 < places.min()["transformer"]
    colours = look(units(spec, "point")[0]["encoding"]["stroke"])
    assert colours["MLP, one run"] == style.LEARNERS["mlp"]
    assert colours["Transformer, one run"] == style.LEARNERS["transformer"]


def test_without_any_transition_the_runs_are_still_drawn(tmp_path):
    runs = runs_table(1000)
    chart = transitions.chart(runs, medians(runs, 0.95), transition_fits(runs, 0.95))
    style.save(chart, tmp_path, "plateau")
    spec = chart.to_dict()
    assert spec["title"]["subtitle"][0] == "Transformer: too few transitions for a fit, 27 of 27 censored"
    assert len(points_of(spec, transitions.CENSORED)) == 27


def test_refuses_nothing():
    runs = runs_table()
    with pytest.raises(ValueError, match="no transitions"):
        transitions.chart(runs.head(0), medians(runs, 0.95), transition_fits(runs, 0.95))


def test_command_line(tmp_path):
    runs = runs_table()
    tables = {"runs": runs, "transitions": medians(runs, 0.95), "fits": transition_fits(runs, 0.95)}
    files = saved(transitions.main, tmp_path, tables)
    assert {path.name for path in files.values()} == file_names("transitions")
