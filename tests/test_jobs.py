"""The jobs: a block of training sets and of runs, and the promises about packing and repetition."""

import gc
import json
import re
import subprocess
import sys
from itertools import chain

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drawing import draw_block
from pipeline.config import Dropout, Lstm, Mlp, NormBound, Section, Success, Training, Transformer
from pipeline.data import datasets
from pipeline.data.datasets import TrainingSet, read_training_sets, write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.engine import training as engine
from pipeline.jobs import LESS_MEMORY, arguments, dataset, stacks
from pipeline.jobs.attention_steps import STEPS_KEPT, attention_steps
from pipeline.jobs.stacks import Block, _stacks, train_blocks
from pipeline.jobs.train import choose_device, stack_key
from pipeline.storage import read_frame, read_table

CELL = {"function": "and", "k": 3, "T": 12, "n": 25}
DATA = {"reject_ambiguous": True, "max_redraws": 100, "label_noise": 0.0, "feature_noise": 0.0}
MODEL = Transformer(width=16, heads=4, mlp_width=16)
TRAINING = Training(learning_rate=1e-2, max_steps=100)
SPEC = {
    "cell": {**CELL, "data": "small", "model": "tiny", "training": "short"},
    "model": MODEL.model_dump(mode="json"),
    "training": TRAINING.model_dump(mode="json"),
}


@pytest.fixture
def folder(tmp_path):
    write_holdout(draw_holdout("and", 3, 12, 300), tmp_path / "holdout.parquet")
    return tmp_path


def trained(folder, seeds: str, name: str, **settings: Section):
    """The results of a block of runs."""
    holdout, dataset, output = (folder / f"{part}.parquet" for part in ("holdout", f"{name}-data", name))
    draw_block({"cell": CELL, "seeds": seeds, **DATA}, holdout, dataset)
    spec = SPEC | {part: section.model_dump(mode="json") for part, section in settings.items()}
    train_blocks([Block(spec, dataset, holdout, output, folder / f"{name}.pt")], torch.device("cpu"))
    return read_frame(output).set_index("seed")


def test_a_block_has_a_row_for_each_of_its_seeds(folder):
    results = trained(folder, "3-6", "block")
    assert results.index.tolist() == [3, 4, 5, 6]
    assert [one.seed for one in read_training_sets(folder / "block-data.parquet")] == [3, 4, 5, 6]
    for _, run in results.iterrows():
        assert run["steps"] == run["curve_steps"][-1]
        assert run["train_loss"] == pytest.approx(run["curve_train_loss"][-1])
        assert run["success"] == (run["curve_holdout_accuracy"][-1] == 1)
        assert run["status"] == ("succeeded" if run["success"] else "failed")
        assert run["steps"] == (run["success_step"] if run["success"] else 100)
    assert results["success"].any()


def test_a_run_file_has_the_supports_and_what_is_recorded(folder):
    recording = TRAINING.model_copy(update={"record": ("attention", "progress")})
    plain, results = trained(folder, "0-5", "plain"), trained(folder, "0-5", "recorded", training=recording)
    sets = read_training_sets(folder / "recorded-data.parquet")
    assert [support.tolist() for support in results["support"]] == [one.support.tolist() for one in sets]
    assert (results["steps"] == plain["steps"]).all(), "recording should not change training"
    for seed, run in results.iterrows():
        for curve in ("curve_distance", "curve_fourier_coefficient", "curve_support_mass"):
            assert len(run[curve]) == len(run["curve_steps"])
            assert len(plain.loc[seed, curve]) == 0
        assert run["curve_support_mass"][-1] == pytest.approx(run["support_mass"], rel=1e-6)
        assert run["support_mass"] == pytest.approx(run["head_support_mass"].mean(), rel=1e-6)
    successes = results[results["success"]]
    assert (successes["support_mass"] > 1.5 * 3 / 12).all(), "they attend to the support more than to all alike"
    assert successes["support_recovered"].all()
    weights = results.loc[0, "attention_map"].reshape(4, 12)
    assert weights[:, sets[0].support].sum(1) == pytest.approx(results.loc[0, "head_support_mass"], rel=1e-5)
    assert results.loc[1:, "attention_map"].isna().all()
    assert plain["support_mass"].isna().all()


def test_a_run_that_diverged_has_null_for_the_attention_at_its_end(folder):
    training = TRAINING.model_copy(update={"record": ("attention", "progress"), "learning_rate": 1e30})
    results = trained(folder, "0-2", "diverging", training=training)
    assert set(results["status"]) == {"diverged"}
    assert not results["success"].any()
    ended = ["success_step", "support_mass", "head_support_mass", "support_recovered", "attention_map"]
    assert results[ended].isna().all(axis=None)
    for _, run in results.iterrows():
        assert run["steps"] == run["curve_steps"][-1] < TRAINING.max_steps
        assert not np.isfinite(run["curve_train_loss"][-1])
        assert {len(run[curve]) for curve in results.filter(like="curve")} == {len(run["curve_steps"])}


@pytest.mark.parametrize("when", ["any", "last"])
def test_the_attention_on_the_way_ends_as_that_of_the_run_file(folder, when):
    training = TRAINING.model_copy(update={"record": ("attention", "progress"), "success": Success(when=when)})
    run = trained(folder, "0-5", "block", training=training).loc[0]
    told = {"experiment": "main"} | SPEC | {"training": training.model_dump(mode="json")}
    steps = attention_steps(told, folder / "block-data.parquet", folder / "holdout.parquet")
    assert steps["step"].unique().tolist() == run["curve_steps"].tolist()
    end = steps[steps["step"] == run["steps"]]
    assert end["weight"].to_numpy() == pytest.approx(run["attention_map"].reshape(4, 12).mean(0), abs=1e-6)
    masses = steps[steps["in_support"]].groupby("step")["weight"].sum()
    assert masses.tolist() == pytest.approx(run["curve_support_mass"].tolist(), abs=1e-6)
    assert steps.loc[steps["in_support"], "position"].unique().tolist() == run["support"].tolist()


def test_of_a_long_way_some_evaluations_are_kept_and_of_a_diverging_one_those_before(folder):
    training = Training(max_steps=300, eval_every=5, record=("attention",), success=Success(when="last"))
    trained(folder, "0-1", "block", training=training)
    told, paths = {"experiment": "main"} | SPEC, (folder / "block-data.parquet", folder / "holdout.parquet")
    kept = attention_steps(told | {"training": training.model_dump(mode="json")}, *paths)["step"].unique()
    assert (len(kept), kept[0], kept[-1]) == (STEPS_KEPT, 5, 300)
    diverging = training.model_copy(update={"learning_rate": 1e30}).model_dump(mode="json")
    assert attention_steps(told | {"training": diverging}, *paths)["weight"].notna().all()


def held() -> tuple[int, int]:
    """How many training sets and stacks in training there are in memory, with those that only the collector frees."""
    kinds = [type(one) for one in gc.get_objects()]
    return kinds.count(TrainingSet), kinds.count(engine.Training)


def test_only_one_stack_and_its_training_sets_are_held(folder, monkeypatch):
    """All those of a job of 50 seeds would take more than a GiB at T = 100 000 and n = 2000."""
    expected, drawn, begun = trained(folder, "0-5", "one"), [], []
    gc.collect()
    before = np.array(held())

    def counting(function, counts):
        return lambda *given, **options: counts.append([*(held() - before)]) or function(*given, **options)

    monkeypatch.setattr(datasets, "GROUP_BYTES", 50)
    monkeypatch.setattr(stacks, "runs_per_stack", lambda model, n, device: 2)
    monkeypatch.setattr(dataset, "draw_training_set", counting(dataset.draw_training_set, drawn))
    monkeypatch.setattr(stacks, "begin", counting(stacks.begin, begun))
    assert trained(folder, "0-5", "three").map(repr).equals(expected.map(repr))
    assert pq.read_metadata(folder / "three-data.parquet").num_row_groups == 6
    assert drawn == [[0, 0]] + 5 * [[1, 0]]
    assert begun == 3 * [[2, 0]]


def test_a_repeated_block_is_the_same_to_the_bit(folder):
    first, again = trained(folder, "0-5", "first"), trained(folder, "0-5", "again")
    assert first.map(repr).equals(again.map(repr))


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.9},
        {"optimiser": "adamw", "batch_size": 10, "norm_bound": NormBound(norm="frobenius", value=3.0)},
        {"samples": "fresh"},
    ],
)
@pytest.mark.parametrize("dropout", [Dropout(), Dropout(attention=0.1, residual=0.1, mlp=0.1)])
def test_a_run_in_another_block_is_the_same_to_the_bit(folder, training, dropout):
    settings = {
        "model": MODEL.model_copy(update={"dropout": dropout}),
        "training": TRAINING.model_copy(update={"record": ("attention", "progress"), **training}),
    }
    blocks = ("0-10", "0-1", "4-4", "6-10")
    for seeds in blocks:
        trained(folder, seeds, seeds, **settings)
    together, *apart = (read_table(folder / f"{seeds}.parquet").drop("attention_map").to_pylist() for seeds in blocks)
    for run in chain(*apart):
        assert run == together[run["seed"]]


def test_a_run_of_another_model_in_another_block_is_the_same_up_to_rounding(folder):
    model = Mlp(kind="mlp", widths=(32, 16))
    together, alone = trained(folder, "0-5", "together", model=model), trained(folder, "4-4", "alone", model=model)
    assert alone.loc[4, "curve_train_loss"][0] == pytest.approx(together.loc[4, "curve_train_loss"][0], rel=1e-3)


@pytest.mark.parametrize(
    ("model", "training"),
    [
        (MODEL, TRAINING.model_copy(update={"samples": "fresh", "max_steps": 300})),
        (MODEL.model_copy(update={"layers": 2, "activation": "relu"}), TRAINING),
        (Mlp(kind="mlp", widths=(32, 16), dropout=0.1), TRAINING),
        (Lstm(kind="lstm", width=8), TRAINING.model_copy(update={"batch_size": 10})),
        (
            MODEL.model_copy(update={"dropout": Dropout(attention=0.1, embedding=0.1)}),
            TRAINING.model_copy(update={"norm_bound": NormBound(norm="frobenius", value=3.0), "optimiser": "adamw"}),
        ),
    ],
)
def test_every_kind_of_model_learns_from_its_samples(folder, model, training):
    results = trained(folder, "0-1", "block", model=model, training=training)
    for curve in results["curve_train_loss"]:
        assert min(curve) < 0.5


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu") == choose_device("auto") == torch.device("cpu")
    with pytest.raises(SystemExit, match=r"compute\.device: torch finds no CUDA GPU; use cpu or auto"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_want_of_memory_is_told_from_other_errors(error, expected, caplog):
    arguments._report(type(error), error, None)
    assert (LESS_MEMORY in caplog.text) == expected


def test_the_settings_that_memory_grows_with_are_named():
    named = {word.removeprefix("compute.") for word in re.findall(r"[\w.]+", LESS_MEMORY)}
    assert {"seeds_per_job", "T", "n", "width", "layers", "max_steps", "holdout_size"} <= named


def test_the_command_logs_to_its_file(folder):
    spec = json.dumps({"cell": CELL, "seeds": "0-1", **DATA})
    paths = {
        "holdout": folder / "holdout.parquet",
        "output": folder / "data.parquet",
        "checkpoint": folder / "checkpoint",
        "log": folder / "logs" / "job.log",
    }
    options = ["--code=0"] + [str(part) for name, path in paths.items() for part in (f"--{name}", path)]
    subprocess.run([sys.executable, "-m", "pipeline.jobs.dataset", "--spec", spec, *options], check=True)
    assert "2 training sets" in (folder / "logs" / "job.log").read_text()


def test_the_jobs_of_a_cell_start_without_what_they_do_not_need(tmp_path):
    holdout, dataset, output = ([f"--{name}", str(tmp_path / name)] for name in ("holdout", "dataset", "output"))
    kept = ["--checkpoint", str(tmp_path / "checkpoint"), "--code=0"]
    places = [*output, *kept, "--device=cpu", "--precision=float32"]
    jobs = {
        "holdout": ({"function": "and", "k": 3, "T": 12, "holdout_size": 300}, ["--output", holdout[1]]),
        "dataset": ({"cell": CELL, "seeds": "0-1", **DATA}, [*holdout, *kept, "--output", dataset[1]]),
        "train": (SPEC, [*dataset, *holdout, *places, "--threads=1"]),
    }
    for job, (spec, options) in jobs.items():
        command = [sys.executable, "-X", "importtime", "-m", f"pipeline.jobs.{job}", "--spec", json.dumps(spec)]
        command += ["--log", str(tmp_path / "log"), *options]
        imports = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        assert "pyarrow.parquet" in imports
        assert "pandas" not in imports
        assert job == "train" or "torch" not in imports
    assert len(read_frame(tmp_path / "output")) == 2


def test_a_damaged_input_ends_the_command_with_one_line_in_terminal_and_log(folder):
    torn = folder / "holdout.parquet"
    torn.write_bytes(torn.read_bytes()[:50])
    spec = json.dumps({"cell": CELL, "seeds": "0-1", **DATA})
    options = ["--holdout", str(torn), "--output", str(folder / "data.parquet"), "--log", str(folder / "job.log")]
    options += ["--checkpoint", str(folder / "checkpoint"), "--code=0"]
    command = [sys.executable, "-m", "pipeline.jobs.dataset", "--spec", spec, *options]
    job = subprocess.run(command, capture_output=True, text=True)
    assert job.returncode == 1
    assert len(job.stderr.splitlines()) == 1
    assert f"{torn} is damaged" in job.stderr
    assert (folder / "job.log").read_text() == job.stderr
    assert not (folder / "data.parquet").exists()


def test_blocks_of_a_curve_are_trained_together_as_alone(folder):
    """To rounding, which Adam soon makes more of: so the first evaluation is compared (test_training has float64)."""
    training, blocks = TRAINING.model_copy(update={"learning_rate": 2e-3}).model_dump(mode="json"), []
    for n, seeds in ((30, "0-3"), (20, "0-3"), (20, "4-6")):
        cell, name = {**CELL, "n": n}, f"n{n}-{seeds}"
        draw_block({"cell": cell, "seeds": seeds, **DATA}, folder / "holdout.parquet", folder / f"{name}-data.parquet")
        spec = SPEC | {"cell": SPEC["cell"] | {"n": n}, "training": training}
        paths = (folder / f"{name}-data.parquet", folder / "holdout.parquet", folder / name, folder / f"{name}.pt")
        blocks.append(Block(spec, *paths))
    train_blocks(blocks, torch.device("cpu"))
    together = [read_frame(block.output) for block in blocks]
    for block, rows in zip(blocks, together, strict=True):
        train_blocks([block], torch.device("cpu"))
        alone = read_frame(block.output)
        assert rows["seed"].tolist() == alone["seed"].tolist()
        firsts = ([curve[0] for curve in results["curve_train_loss"]] for results in (rows, alone))
        assert next(firsts) == pytest.approx(next(firsts), rel=1e-4)


def key_of(T: int = 12, n: int = 25, precision: str = "float32", **settings: dict) -> str:
    """The stack key of a job; settings are changes of its model and training."""
    spec = {"cell": {**SPEC["cell"], "T": T, "n": n}}
    spec |= {part: SPEC[part] | settings.get(part, {}) for part in ("model", "training")}
    options = {"spec": json.dumps(spec), "holdout": f"T{T}", "code": "0", "device": "cuda", "precision": precision}
    paths = {name: f"{n}" for name in ("dataset", "output", "checkpoint", "log")}
    return stack_key(
        [word for name, value in {**options, "threads": "1", **paths}.items() for word in (f"--{name}", value)]
    )


def test_jobs_share_a_stack_if_only_their_n_and_their_files_differ():
    assert key_of(n=25) == key_of(n=30)
    others = [key_of(T=13), key_of(precision="tf32"), key_of(model={"width": 8}), key_of(training={"max_steps": 50})]
    assert len({key_of(), *others}) == 5


@pytest.mark.parametrize(
    "settings",
    [
        {"training": {"batch_size": 10}},
        {"training": {"samples": "fresh"}},
        {"model": {"dropout": {"attention": 0.1, "residual": 0.0, "mlp": 0.0, "embedding": 0.0}}},
        {"model": {"kind": "mlp", "dropout": 0.1}},
    ],
)
def test_what_is_drawn_for_n_samples_is_stacked_with_its_own_n_only(settings):
    assert key_of(n=25, **settings) == key_of(n=25, **settings)
    assert key_of(n=25, **settings) != key_of(n=30, **settings)


@given(runs=st.integers(1, 200), size=st.integers(1, 60), begun=st.integers(0, 60))
def test_stacks_are_of_equal_size_and_the_same_after_an_interruption(runs, size, begun):
    found = list(_stacks(runs, size, 0))
    assert [run for stack in found for run in stack] == list(range(runs))
    assert max(map(len, found)) <= size
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert len(found) == -(-runs // size)
    done = found[begun % len(found)].start
    resumed = _stacks(runs - done, size, len(found[begun % len(found)]))
    assert [range(stack.start + done, stack.stop + done) for stack in resumed] == found[begun % len(found) :]
