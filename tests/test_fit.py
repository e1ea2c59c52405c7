"""The job that fits baselines: its rows, its promise about packing, its command."""

import json
import subprocess
import sys

import numpy as np
import pytest

from drawing import draw_block
from pipeline import checkpoints
from pipeline.baselines.learning import Hypothesis, constant
from pipeline.config import FITTED
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import read_training_sets, write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.jobs import fit
from pipeline.storage import read_frame, read_table

CELL = {"function": "and", "k": 3, "T": 12, "n": 25}
DATA = {"reject_ambiguous": False, "max_redraws": 0, "label_noise": 0.0, "feature_noise": 0.0}


def spec_of(kind: str) -> dict:
    settings = FITTED[kind](kind=kind).model_dump(mode="json")
    return {"cell": {**CELL, "data": "small", "model": "mine", "training": "none"}, "model": settings}


@pytest.fixture
def folder(tmp_path):
    write_holdout(draw_holdout("and", 3, 12, 300), tmp_path / "holdout.parquet")
    return tmp_path


def fitted(folder, seeds: str, kind: str):
    """The results of a block of runs."""
    holdout, dataset, output = (folder / f"{name}.parquet" for name in ("holdout", f"data-{seeds}", f"{kind}-{seeds}"))
    draw_block({"cell": CELL, "seeds": seeds, **DATA}, holdout, dataset)
    fit.fit_block(spec_of(kind), dataset, holdout, output, output.with_suffix(".pt"))
    return read_frame(output).set_index("seed")


@pytest.mark.parametrize("kind", FITTED)
def test_a_block_has_the_row_of_a_training_job_for_each_seed(folder, kind):
    results = fitted(folder, "3-8", kind)
    assert results.index.tolist() == [3, 4, 5, 6, 7, 8]
    assert set(results["model"]) == {"mine"}
    assert set(results["training"]) == {"none"}
    assert (results["success"] == (results["best_holdout_accuracy"] == 1)).all()
    assert results["status"].tolist() == ["succeeded" if success else "failed" for success in results["success"]]
    assert results["success_step"].isna().all()
    assert set(results["steps"]) == {0}
    assert results["train_loss"].notna().all() if kind == "logistic_regression" else results["train_loss"].isna().all()
    assert all(len(curve) == 0 for name in results.filter(like="curve") for curve in results[name])


def test_elimination_s_rows_are_what_its_training_sets_say(folder):
    """At n = 25 some runs keep a bit outside the support and fail."""
    results = fitted(folder, "0-19", "consistent")
    holdout = draw_holdout("and", 3, 12, 300).unpack()
    for one in read_training_sets(folder / "data-0-19.parquet"):
        kept = one.inputs.unpack()[one.labels].all(axis=0)
        accuracy = (holdout[:, kept].all(axis=1) == one.holdout_labels).mean()
        assert results.loc[one.seed, "best_holdout_accuracy"] == pytest.approx(accuracy, abs=1e-12)
        assert results.loc[one.seed, "success"] == (kept.sum() == 3)
    assert set(results["success"]) == {True, False}


@pytest.mark.parametrize("kind", FITTED)
def test_a_run_in_another_block_has_the_same_row(folder, kind):
    together, alone = fitted(folder, "0-5", kind), fitted(folder, "4-4", kind)
    assert alone.loc[4].map(repr).equals(together.loc[4].map(repr))


def test_the_whole_holdout_is_judged_whatever_is_unpacked_at_a_time(monkeypatch):
    monkeypatch.setattr(fit, "JUDGED_BITS", 30)
    inputs = draw_holdout("and", 3, 12, 301)
    first = Hypothesis(lambda bits: bits[:, 0], train_loss=0.25)
    labels = inputs.unpack()[:, 0].copy()
    right = fit.judged(first, inputs, labels)
    assert (right.success, right.best_holdout_accuracy, right.train_loss) == (True, 1.0, 0.25)
    labels[[0, 150, 300]] ^= True
    wrong = fit.judged(first, inputs, labels)
    assert (wrong.success, wrong.status) == (False, "failed")
    assert wrong.best_holdout_accuracy == pytest.approx(298 / 301)


def test_a_sample_longer_than_what_is_unpacked_at_a_time_is_judged_alone(monkeypatch):
    monkeypatch.setattr(fit, "JUDGED_BITS", 5)
    result = fit.judged(constant(True), PackedBits.pack(np.ones((3, 9), dtype=bool)), np.array([True, True, False]))
    assert result.best_holdout_accuracy == pytest.approx(2 / 3)


def test_the_command_fits_a_block_and_logs(folder):
    expected = fitted(folder, "0-3", "decision_tree")
    paths = {
        "dataset": "data-0-3.parquet",
        "holdout": "holdout.parquet",
        "output": "out.parquet",
        "checkpoint": "fit.pt",
        "log": "logs/fit.log",
    }
    options = [part for name, path in paths.items() for part in (f"--{name}", str(folder / path))]
    spec = json.dumps(spec_of("decision_tree"))
    subprocess.run([sys.executable, "-m", "pipeline.jobs.fit", "--code=0", "--spec", spec, *options], check=True)
    assert read_table(folder / "out.parquet").equals(read_table(folder / "decision_tree-0-3.parquet"))
    log = (folder / "logs" / "fit.log").read_text()
    assert f"and, k = 3, T = 12, n = 25: {expected['success'].sum()} of 4 runs succeeded" in log


@pytest.mark.parametrize("kind", FITTED)
def test_an_interrupted_job_fits_each_run_once(folder, kind, monkeypatch):
    undisturbed = fitted(folder, "0-5", kind)
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    judged, seen = fit.judged, []

    def interrupted(*arguments):
        seen.append(judged(*arguments))
        if len(seen) == 4:
            raise InterruptedError
        return seen[-1]

    monkeypatch.setattr(fit, "judged", interrupted)
    paths = [folder / name for name in ("data-0-5.parquet", "holdout.parquet", "again.parquet", "again.pt")]
    with pytest.raises(InterruptedError):
        fit.fit_block(spec_of(kind), *paths)
    assert paths[-1].exists()
    fit.fit_block(spec_of(kind), *paths)
    assert len(seen) == 4 + 3, "three were saved, the fourth was not"
    assert read_frame(paths[2]).set_index("seed").map(repr).equals(undisturbed.map(repr))
    assert not paths[-1].exists()
