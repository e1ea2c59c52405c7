"""From result files to the tables of runs and learning curves."""

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.results import SCHEMA
from pipeline.runs import learning_curves, runs_table
from pipeline.storage import read_table, write_frame, write_table

CELL = {"function": "and", "data": "standard", "model": "transformer", "training": "adam", "k": 3, "T": 10}
GRID = {"k": [3], "T": [10], "n": [20, 30], "seeds": 2}
EXPERIMENT = {"function": "and", "data": "standard", "model": "transformer", "training": "adam", "grid": GRID}


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
    assert set(table["training"]) == {"adam"}
    assert table["success"].tolist() == [True, False, True, True, True]
    assert table["success_step"].tolist() == [40, pd.NA, 40, 40, 40]
    contract = "experiment function model k T n seed success success_step best_holdout_accuracy train_loss steps status"
    assert list(table)[:13] == contract.split()


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
