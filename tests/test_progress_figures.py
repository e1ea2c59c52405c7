"""The figure of hidden progress: what its specification says."""

import numpy as np
import pandas as pd
import pytest

from charts import file_names, look, rows, saved, units
from pipeline.figures import progress
from pipeline.figures.parts import curves, style

KEY = {"experiment": "main", "function": "parity", "model": "transformer", "k": 3, "n": 1000}
TITLES = [
    ["Training loss", "(log)"],
    ["Holdout", "accuracy"],
    ["Distance from", "initialisation"],
    ["Attention on", "the support"],
    ["Fourier", "coefficient"],
]


def progress_table(lengths=(10, 20), seeds=3, evaluations=20, **changes) -> pd.DataFrame:
    """Runs of which seed s ends after ``evaluations - s`` evaluations, at a distance that is its number of steps."""
    evaluated = [
        {"T": T, "seed": seed, "step": 10 * index, "distance": float(10 * index), "fourier_coefficient": 0.1 * seed}
        for T in lengths
        for seed in range(seeds)
        for index in range(evaluations - seed)
    ]
    values = {"train_loss": 0.0, "holdout_accuracy": 0.5, "support_mass": 0.2}
    return pd.DataFrame(evaluated).assign(**(values | KEY | changes))


@pytest.fixture(scope="module")
def spec() -> dict:
    return progress.chart(progress_table()).to_dict()


def grid(spec: dict) -> list[dict]:
    """The rows of the one block."""
    return spec["vconcat"][0]["vconcat"]


def lines(spec: dict, row=0, column=0) -> pd.DataFrame:
    return rows(spec, units(grid(spec)[row]["hconcat"][column], "line")[0])


def test_rows_columns_and_titles(spec):
    first = [units(row["hconcat"][0], "line")[0]["encoding"] for row in grid(spec)]
    assert [encoding["y"]["title"] for encoding in first] == TITLES
    assert [encoding["y"]["field"] for encoding in first] == list(progress.ROWS)
    assert first[0]["y"]["scale"]["type"] == "log"
    assert [encoding["x"]["title"] for encoding in first] == [None, None, None, None, "Training step"]
    assert [cell["title"]["text"] for cell in grid(spec)[0]["hconcat"]] == ["T = 10", "T = 20"]
    assert spec["vconcat"][0]["title"]["text"] == "Progress through the plateau, 3-way parity, Transformer"


def test_the_row_of_a_model_without_attention_is_left_out():
    spec = progress.chart(progress_table(model="mlp", support_mass=np.nan)).to_dict()
    titles = [units(row["hconcat"][0], "line")[0]["encoding"]["y"]["title"] for row in grid(spec)]
    assert titles == [*TITLES[:3], TITLES[4]]


def test_few_lengths_are_shown_among_them_the_ends():
    spec = progress.chart(progress_table(lengths=(10, 15, 20, 30, 40, 60, 80))).to_dict()
    assert [cell["title"]["text"] for cell in grid(spec)[0]["hconcat"]] == ["T = 10", "T = 20", "T = 40", "T = 80"]


def test_a_run_ends_in_a_dot_at_its_last_step(spec):
    dots = units(grid(spec)[2]["hconcat"][0], "circle")[0]
    assert {"filter": "datum.end"} in dots["transform"]
    ends = rows(spec, dots).query("end")
    assert ends[["seed", "step", "distance"]].to_numpy().tolist() == [[0, 190, 190], [1, 180, 180], [2, 170, 170]]


def test_a_reader_steps_through_the_training_and_picks_a_run(spec):
    params = {param["name"]: param for param in spec["params"]}
    assert (params["until"]["value"], params["until"]["bind"]["max"]) == (190, 190)
    assert params["run"]["value"] is None
    assert params["run"]["bind"]["options"][:2] == [None, 0]
    cell = grid(spec)[0]["hconcat"][0]
    curtain = units(cell, "rect")[0]
    assert curtain["transform"] == [{"calculate": "min(until, 190)", "as": "step"}]
    assert rows(spec, curtain)["end"].tolist() == [190]
    picked = {"filter": "run == null || datum.seed == run || datum.curve == 'median of all runs'"}
    assert picked in units(cell, "line")[0]["transform"]


def test_median_is_of_all_runs_and_a_stopped_one_keeps_its_last_values():
    spec = progress.chart(progress_table(seeds=15, evaluations=30)).to_dict()
    drawn = lines(spec, 2)
    assert drawn["seed"].nunique() == progress.RUNS_SHOWN
    median = drawn[drawn["curve"] == curves.MEDIAN].set_index("step")
    assert median.loc[290, "distance"] == 220  # of 290, 280, …, 150
    assert median.loc[100, "fourier_coefficient"] == pytest.approx(0.7)
    assert drawn["curve"].iloc[-1] == curves.MEDIAN


def test_many_evaluations_are_thinned_and_the_ends_of_the_runs_stay():
    drawn = lines(progress.chart(progress_table(evaluations=1000)).to_dict())
    counts = drawn.groupby("curve")["step"].nunique()
    assert counts[curves.MEDIAN] == progress.EVALUATIONS_SHOWN
    ends = drawn.groupby("seed")["step"].max()
    assert ends.tolist() == [9990, 9980, 9970]
    gaps = np.diff(drawn.loc[drawn["seed"] == 0, "step"])
    assert gaps.max() <= 9990 / (progress.EVALUATIONS_SHOWN - 1) + 10


def test_zero_loss_is_drawn_at_the_floor(spec):
    assert set(lines(spec)["train_loss"]) == {curves.LOSS_FLOOR}


def test_colours_by_role(spec):
    colours = look(units(spec, "line")[0]["encoding"]["color"])
    assert colours == {"Transformer, one run": style.LEARNERS["transformer"], curves.MEDIAN: style.INK}
    assert {unit["mark"]["color"] for unit in units(spec, "circle")} == {style.LEARNERS["transformer"]}


def test_refuses_nothing_and_several_sample_sizes():
    with pytest.raises(ValueError, match="no progress"):
        progress.chart(progress_table().head(0))
    with pytest.raises(ValueError, match="main: the progress of runs with several n"):
        progress.chart(pd.concat([progress_table(), progress_table(n=5)]))


def test_command_line_leaves_small_files_of_a_large_table(tmp_path):
    table = progress_table(lengths=(10, 15, 20, 30), seeds=10, evaluations=400)
    files = saved(progress.main, tmp_path, {"progress": table})
    assert {path.name for path in files.values()} == file_names("progress")
    assert files[".svg"].stat().st_size < 1_000_000
