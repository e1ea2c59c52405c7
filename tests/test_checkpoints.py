"""Checkpoints: a job that was interrupted goes on to the rows of one that was not; what is not its own is ignored."""

import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from drawing import draw_block
from pipeline import checkpoints
from pipeline.checkpoints import Checkpoint
from pipeline.config import Dropout, Training, Transformer
from pipeline.data.datasets import write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.engine import training
from pipeline.jobs import stacks
from pipeline.storage import read_frame

CELL = {"function": "and", "k": 2, "T": 10, "n": 20}
DEVICE = torch.device("cpu")
MODEL = Transformer(width=16, heads=16, mlp_width=16, init_std=0.2)
TRAINING = Training(learning_rate=3e-2, max_steps=60, eval_every=5)
VARIANTS = {
    "full batch": (MODEL, TRAINING),
    "minibatches and dropout": (
        MODEL.model_copy(update={"dropout": Dropout(attention=0.1, residual=0.1, mlp=0.1)}),
        TRAINING.model_copy(update={"batch_size": 7, "optimiser": "adamw"}),
    ),
    "fresh samples": (MODEL, TRAINING.model_copy(update={"samples": "fresh", "schedule": "cosine"})),
    "recorded": (MODEL, TRAINING.model_copy(update={"record": ("attention", "progress")})),
}


class Interruption(Exception):
    """Stands for whatever ends a job."""


@pytest.fixture
def folder(tmp_path):
    """A folder with the data of a block of five seeds."""
    write_holdout(draw_holdout("and", 2, 10, 100), tmp_path / "holdout.parquet")
    protocol = {"reject_ambiguous": True, "max_redraws": 100, "label_noise": 0.0, "feature_noise": 0.0}
    spec = {"cell": CELL, "seeds": "0-4", **protocol}
    draw_block(spec, tmp_path / "holdout.parquet", tmp_path / "data.parquet")
    return tmp_path


def specification(model: Transformer, training: Training) -> dict:
    settings = {"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    return {"cell": CELL | {"data": "small", "model": "tiny", "training": "short"}, **settings}


def paths(folder: Path, name: str) -> dict[str, Path]:
    inputs = {"dataset": folder / "data.parquet", "holdout": folder / "holdout.parquet"}
    return inputs | {"output": folder / f"{name}.parquet", "checkpoint": folder / "checkpoints" / f"{name}.pt"}


def rows(folder: Path, name: str, spec: dict) -> pd.DataFrame:
    """The results of the job, whether it begins or goes on."""
    stacks.train_blocks([stacks.Block(spec, **paths(folder, name))], DEVICE)
    return read_frame(paths(folder, name)["output"])


def interrupt(monkeypatch, evaluation: int) -> None:
    """Ends the next job at an evaluation, counted over its stacks from 1."""
    report, count = stacks.Progress.report, iter(range(1, 1000))

    def interrupted(self, training):
        report(self, training)
        if next(count) == evaluation:
            raise Interruption

    monkeypatch.setattr(stacks.Progress, "report", interrupted)


@pytest.fixture(params=[1.0, 0.5])
def restack(request, monkeypatch):
    """Runs that are done leave their stack at once, or half of them together."""
    monkeypatch.setattr(training, "RESTACK", dict.fromkeys(("cpu", "cuda"), request.param))


@pytest.mark.usefixtures("restack")
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_job_ends_with_the_rows_of_an_undisturbed_one(folder, variant, monkeypatch, caplog):
    """It is interrupted twice, once in each of its stacks, with runs gone from both."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(stacks, "runs_per_stack", lambda model, n, device: 3)
    spec = specification(*VARIANTS[variant])
    undisturbed = rows(folder, "undisturbed", spec)
    assert not paths(folder, "undisturbed")["checkpoint"].exists()
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    first, second = undisturbed["steps"][:3].sort_values() // 5, undisturbed["steps"][3:].sort_values() // 5
    assert first.iloc[0] + 1 < first.iloc[2], "a run should leave the first stack before it ends"
    assert second.iloc[0] + 1 < second.iloc[1], "a run should leave the second stack before it ends"
    for evaluation in (first.iloc[0] + 2, first.iloc[2] - first.iloc[0] - 1 + second.iloc[0] + 2):
        with monkeypatch.context() as patch:
            interrupt(patch, evaluation)
            with pytest.raises(Interruption):
                rows(folder, "interrupted", spec)
        assert paths(folder, "interrupted")["checkpoint"].exists()
    resumed = rows(folder, "interrupted", spec)
    assert resumed.map(repr).equals(undisturbed.map(repr))
    assert f"goes on from step {5 * (first.iloc[0] + 1)}" in caplog.text
    assert f"goes on from step {5 * (second.iloc[0] + 1)}" in caplog.text
    assert not paths(folder, "interrupted")["checkpoint"].exists()


@pytest.mark.parametrize("evaluation", range(1, 26, 3))
def test_blocks_that_were_trained_together_lose_nothing(folder, evaluation, monkeypatch):
    """Of two blocks of five runs, in stacks of 4, 3 and 3 runs, each goes on alone; what was done stays as it was."""
    monkeypatch.setattr(stacks, "runs_per_stack", lambda model, n, device: 4)
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    blocks = [several(folder, 20), several(folder, 30)]
    stacks.train_blocks(blocks, DEVICE)
    undisturbed = [read_frame(block.output) for block in blocks]
    with monkeypatch.context() as patch:
        interrupt(patch, evaluation)
        with pytest.raises(Interruption):
            stacks.train_blocks(blocks, DEVICE)
    saved = [stacks.Work(block) for block in blocks]
    assert any(work.state or work.results for work in saved) == (evaluation > 1)
    done = [len(work.results) for work in saved]
    stacks.train_blocks(blocks, DEVICE)
    for block, expected, count in zip(blocks, undisturbed, done, strict=True):
        resumed = read_frame(block.output)
        assert resumed["seed"].tolist() == [0, 1, 2, 3, 4]
        assert resumed[:count].map(repr).equals(expected[:count].map(repr))
        firsts = ([curve[0] for curve in results["curve_train_loss"]] for results in (resumed, expected))
        assert next(firsts) == pytest.approx(next(firsts), rel=1e-3)
        assert not block.checkpoint.exists()


def several(folder: Path, n: int) -> stacks.Block:
    """A block of five seeds of a cell with n samples, whose data it draws."""
    protocol = {"reject_ambiguous": True, "max_redraws": 100, "label_noise": 0.0, "feature_noise": 0.0}
    cell, dataset = CELL | {"n": n}, folder / f"n{n}-data.parquet"
    draw_block({"cell": cell, "seeds": "0-4", **protocol}, folder / "holdout.parquet", dataset)
    spec = specification(MODEL, TRAINING)
    spec["cell"] = spec["cell"] | {"n": n}
    return stacks.Block(spec, **paths(folder, f"n{n}") | {"dataset": dataset})


def test_a_killed_process_ends_with_the_rows_of_an_undisturbed_one(folder):
    spec = specification(*VARIANTS["minibatches and dropout"])
    undisturbed = rows(folder, "undisturbed", spec)
    options = [f"--{name}={path}" for name, path in paths(folder, "killed").items()]
    options += ["--spec", json.dumps(spec), f"--log={folder / 'job.log'}", "--device=cpu"]
    options += ["--precision=float32", "--threads=1", "--code=0"]
    killer = """if True:
        import os, signal
        from pipeline import checkpoints
        from pipeline.jobs import stacks, train
        checkpoints.SAVE_SECONDS = 0.0
        stacks.Progress.report = lambda _, training: training.step == 25 and os.kill(os.getpid(), signal.SIGKILL)
        train.main()"""
    killed = subprocess.run([sys.executable, "-c", killer, *options])
    assert killed.returncode == -signal.SIGKILL
    assert not paths(folder, "killed")["output"].exists()
    subprocess.run([sys.executable, "-m", "pipeline.jobs.train", *options], check=True, capture_output=True)
    assert "goes on from step 20" in (folder / "job.log").read_text()
    assert read_frame(paths(folder, "killed")["output"]).map(repr).equals(undisturbed.map(repr))


def test_the_identity_of_a_job_is_that_of_its_settings_its_code_and_its_data(folder):
    spec, files = specification(MODEL, TRAINING), [folder / "data.parquet", folder / "holdout.parquet"]
    others = specification(*VARIANTS["fresh samples"])
    identities = [Checkpoint(folder / "c", one, "code", *files).identity for one in (spec, others)]
    write_holdout(draw_holdout("and", 2, 10, 101), folder / "holdout.parquet")
    identities += [Checkpoint(folder / "c", spec, code, *files).identity for code in ("code", "other code")]
    assert len(set(identities)) == 4


def saved(path: Path) -> dict:
    """A checkpoint of a job called "one" with this content."""
    content = {"finished": [], "stack": {"step": 3, "tensor": torch.arange(5.0), "curve": [0.1, None]}}
    Checkpoint(path, "one", "code").save(content)
    return content


def test_content_comes_back_as_it_was(tmp_path):
    content = saved(tmp_path / "a" / "b.pt")
    loaded = Checkpoint(tmp_path / "a" / "b.pt", "one", "code").load()
    assert loaded["stack"].pop("tensor").equal(content["stack"].pop("tensor"))
    assert loaded == content
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.pt"]


def spoil(data: bytes) -> dict[str, bytes]:
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return {"empty": b"", "seal": data[:32], "torn": data[:-20], "flipped": flipped, "longer": data + b"\0"}


@pytest.mark.parametrize("damage", ["empty", "seal", "torn", "flipped", "longer"])
def test_a_damaged_checkpoint_is_ignored(tmp_path, damage, caplog):
    path = tmp_path / "checkpoint.pt"
    saved(path)
    path.write_bytes(spoil(path.read_bytes())[damage])
    assert Checkpoint(path, "one", "code").load() is None
    assert f"{path} is damaged or of another job: the job starts anew" in caplog.text


def test_a_checkpoint_of_another_job_is_ignored_and_replaced(tmp_path, caplog):
    path = tmp_path / "checkpoint.pt"
    saved(path)
    other = Checkpoint(path, "two", "code")
    assert other.load() is None
    assert "of another job" in caplog.text
    other.save({"finished": []})
    assert other.load() == {"finished": []}
    other.remove()
    other.remove()
    assert other.load() is None


def test_saves_are_a_minute_apart(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "one", "code")
    due = []
    for now in (1059.0, 1060.0, 1119.0, 1121.0):  # noqa: B007  (read by the clock)
        due.append(checkpoint.due)
        if checkpoint.due:
            checkpoint.save({})
    assert due == [False, True, False, True]
