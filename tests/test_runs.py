"""From result files to the tables of runs, of their curves and of their attention."""

import re

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.results import SCHEMA
from pipeline.runs import attention, attention_maps, learning_curves, progress, runs_table
from pipeline.storage import TornFileError, read_table, write_frame, write_table

CELL = {"function": "and", "data": "standard", "model": "transformer", "training": "paper", "k": 3, "T": 10}
GRID = {"k": [3], "T": [10], "n": [20, 30], "seeds": 2}
LEARNING = {"function": "and", "data": "standard", "model": "transformer", "training": "paper"}
EXPERIMENT = {**LEARNING, "grid": GRID, "more_grids": [], "adaptive": None}


def row(n: int, seed: int, **changes) -> dict:
    outcome = {"success": True, "success_step": 40, "best_holdout_accuracy": 1.0, "train_loss": 0.5, "steps": 40}
    curve = {"curve_steps": [20, 40], "curve_train_loss": [0.75, 0.5], "curve_holdout_accuracy": [0.625, 1.0]}
    return {
        **CELL,
        "n": n,
        "seed": seed,
        **outcome,
        "status": "succeeded",
        "unique": True,
        "redraws": 0,
        **curve,
        **changes,
    }


@pytest.fixture
def files(tmp_path):
    failed = {"success": False, "success_step": None, "status": "failed"}
    blocks = {
        "a": [row(20, 0), row(20, 1, **failed)],
        "b": [row(30, 0), row(30, 1)],
        "other": [row(20, 0, training="sgd"), row(20, 1, training="sgd")],
    }
    for name, rows in blocks.items():
        write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / f"{name}.parquet")
    return [tmp_path / f"{name}.parquet" for name in blocks]


def test_a_run_stands_in_every_experiment_it_belongs_to(files):
    smaller = {**EXPERIMENT, "grid": {**GRID, "n": [20], "seeds": 1}}
    table = runs_table(files, {"main": EXPERIMENT, "part": smaller})
    keys = list(table[["experiment", "n", "seed"]].itertuples(index=False, name=None))
    assert keys == [("main", 20, 0), ("main", 20, 1), ("main", 30, 0), ("main", 30, 1), ("part", 20, 0)]
    assert set(table["training"]) == {"paper"}
    assert table["success"].tolist() == [True, False, True, True, True]
    assert table["success_step"].tolist() == [40, pd.NA, 40, 40, 40]
    contract = "experiment function model k T n seed success success_step best_holdout_accuracy train_loss steps status"
    assert list(table)[:13] == contract.split()


@pytest.mark.parametrize(
    ("rewritten", "column"),
    [
        (lambda table: pa.Table.from_pandas(table.to_pandas()), "function"),  # as pandas writes it
        (lambda table: table.drop_columns("status"), "status"),
    ],
)
def test_a_file_that_another_program_wrote_is_named(files, rewritten, column):
    write_table(rewritten(read_table(files[1])), files[1])
    said = f"{files[1]} is damaged (its column {column} is not as its job writes it, so another program did); delete it"
    with pytest.raises(TornFileError, match=f"^{re.escape(said)}"):
        runs_table(files, {"main": EXPERIMENT})


def test_an_experiment_of_several_grids_takes_the_runs_of_each(files):
    apart = {**EXPERIMENT, "grid": {**GRID, "n": [20]}, "more_grids": [{**GRID, "n": [30], "seeds": 1}]}
    table = runs_table(files, {"main": apart})
    assert list(table[["n", "seed"]].itertuples(index=False, name=None)) == [(20, 0), (20, 1), (30, 0)]


ADAPTIVE = {**EXPERIMENT, "adaptive": {"rounds": 2, "sizes": 1, "seeds": 2}}


@pytest.fixture
def rounds(tmp_path):
    """The files of two rounds: at a new n, and at one of the grid with the seeds that follow."""
    rows = {"one": [row(25, 0), row(25, 1)], "two": [row(30, 2), row(30, 3)]}
    for name, runs in rows.items():
        write_table(pa.Table.from_pylist(runs, SCHEMA), tmp_path / f"{name}.parquet")
    return [tmp_path / f"{name}.parquet" for name in rows]


def test_adaptive_rounds_join_the_runs_of_their_experiment_only(files, rounds):
    """The other experiment's grid has the same runs, and takes them from its own files."""
    block = [row(25, seed, success=False) for seed in (0, 1)]
    write_table(pa.Table.from_pylist(block, SCHEMA), files[0].with_name("c.parquet"))
    grid = {**EXPERIMENT, "grid": {**GRID, "n": [25, 30]}}
    table = runs_table([*files, files[0].with_name("c.parquet")], {"main": ADAPTIVE, "grid": grid}, rounds)
    keys = table.groupby("experiment")[["n", "seed", "success"]].apply(lambda own: own.to_numpy().tolist())
    expected = [[20, 0, True], [20, 1, False], [25, 0, True], [25, 1, True], *([30, seed, True] for seed in range(4))]
    assert keys["main"] == expected
    assert keys["grid"] == [[25, 0, False], [25, 1, False], [30, 0, True], [30, 1, True]]


def test_a_missing_round_is_an_error(files, rounds):
    with pytest.raises(ValueError, match=r"experiments\.main: 6 of 8 runs found"):
        runs_table(files, {"main": ADAPTIVE}, rounds[:1])


def test_missing_runs_are_an_error_that_names_the_experiment(files):
    with pytest.raises(ValueError, match=r"experiments\.main: 2 of 4 runs found"):
        runs_table(files[:1], {"main": EXPERIMENT})


def test_curves_have_a_row_an_evaluation(files):
    table = learning_curves(files, {"main": EXPERIMENT})
    assert len(table) == 8
    first = table.iloc[:2][["n", "seed", "step", "train_loss", "holdout_accuracy"]]
    assert first.to_numpy().tolist() == [[20, 0, 20, 0.75, 0.625], [20, 0, 40, 0.5, 1.0]]


def test_a_learner_without_a_loss_or_steps_keeps_nulls(tmp_path):
    fitted = {"success_step": None, "train_loss": None, "steps": 0, "training": "none"}
    curve = {"curve_steps": [], "curve_train_loss": [], "curve_holdout_accuracy": []}
    rows = [row(n, seed, **fitted, **curve) for n in (20, 30) for seed in (0, 1)]
    write_table(pa.Table.from_pylist(rows, SCHEMA), tmp_path / "fitted.parquet")
    table = runs_table([tmp_path / "fitted.parquet"], {"main": {**EXPERIMENT, "training": "none"}})
    write_frame(table, tmp_path / "runs.parquet")
    stored = read_table(tmp_path / "runs.parquet")
    assert stored["train_loss"].to_pylist() == stored["success_step"].to_pylist() == [None] * 4
    assert stored["steps"].to_pylist() == [0] * 4


RECORDING = {**EXPERIMENT, "training": "recording"}


@pytest.fixture
def recorded(tmp_path):
    """Files of runs that record attention and progress; one has diverged, one has no attention heads."""
    ended = {"support": [1, 4, 7], "head_support_mass": [0.25, 0.75], "support_mass": 0.5, "support_recovered": True}
    curves = {"curve_distance": [0.5, 1.5], "curve_fourier_coefficient": [-0.25, 1.0]}
    curves["curve_support_mass"] = [0.25, 0.5]
    lost = dict.fromkeys(("head_support_mass", "support_mass", "support_recovered"))
    failed = {"success": False, "success_step": None, "status": "failed", "support_recovered": False}
    diverged = {"success": False, "success_step": None, "status": "diverged", **lost}
    rows = [
        row(20, 0, **ended | failed, **curves, attention_map=[*range(20)]),
        row(20, 1, **ended | diverged, **curves),
        row(30, 0, **ended | diverged, **curves),
        row(30, 1, **ended, **curves | {"curve_support_mass": [None, None]}),
    ]
    table = pa.Table.from_pylist([one | {"training": "recording"} for one in rows], SCHEMA)
    write_table(table, tmp_path / "recorded.parquet")
    return [tmp_path / "recorded.parquet"]


def test_attention_has_a_row_a_run(recorded):
    table = attention(recorded, {"main": RECORDING})
    names = "experiment function model k T n seed success support_mass best_head_support_mass support_recovered"
    assert list(table) == names.split()
    assert list(table.iloc[0])[:8] == ["main", "and", "transformer", 3, 10, 20, 0, False]
    assert table["success"].tolist() == [False, False, False, True]
    assert table["support_recovered"].tolist() == [False, pd.NA, pd.NA, True]
    for name, value in {"support_mass": 0.5, "best_head_support_mass": 0.75}.items():
        assert table[name].tolist() == pytest.approx([value, float("nan"), float("nan"), value], nan_ok=True)


def test_maps_have_a_row_a_head_and_position_of_the_runs_of_seed_0_that_did_not_diverge(recorded):
    table = attention_maps(recorded, {"main": RECORDING})
    names = "experiment function model k T n seed success head position weight in_support"
    assert list(table) == names.split()
    assert len(table) == 20
    assert set(table["n"]) == {20}
    assert set(table["seed"]) == {0}
    assert not table["success"].any()
    assert table["head"].tolist() == [0] * 10 + [1] * 10
    assert table["position"].tolist() == [*range(10), *range(10)]
    assert table["weight"].tolist() == [*range(20)]
    assert table.index[table["in_support"]].tolist() == [1, 4, 7, 11, 14, 17]


def test_maps_of_runs_that_all_diverged_are_an_empty_table(recorded):
    table = attention_maps(recorded, {"main": {**RECORDING, "grid": {**GRID, "n": [30]}}})
    assert table.empty
    assert list(table)[-2:] == ["weight", "in_support"]


def test_progress_has_a_row_an_evaluation(recorded):
    table = progress(recorded, {"main": RECORDING})
    names = "experiment function model k T n seed step train_loss holdout_accuracy"
    assert list(table) == [*names.split(), "distance", "support_mass", "fourier_coefficient"]
    assert len(table) == 8
    assert table.iloc[1].tolist()[5:] == [20, 0, 40, 0.5, 1.0, 1.5, 0.5, 1.0]
    assert table["support_mass"].isna().tolist() == [False] * 6 + [True] * 2
