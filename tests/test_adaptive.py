"""Adaptive rounds: which runs they do, and that these are the runs of a full grid."""

from pathlib import Path

import pytest
import torch

from drawing import draw_block
from pipeline.config import Training, Transformer
from pipeline.data.datasets import read_training_sets, write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.jobs.design import design_round
from pipeline.jobs.stacks import Block, train_blocks
from pipeline.jobs.train_adaptive import train_size
from pipeline.storage import read_frame, write_frame

CURVE = {"function": "and", "data": "small", "model": "tiny", "training": "short", "k": 3, "T": 12}
ADDRESS = {name: CURVE[name] for name in ("function", "k", "T")}
DRAWING = {"reject_ambiguous": True, "max_redraws": 100, "label_noise": 0.1, "feature_noise": 0.0}
LEARNING = {
    "model": Transformer(width=16, heads=4, mlp_width=16).model_dump(mode="json"),
    "training": Training(learning_rate=1e-2, max_steps=60).model_dump(mode="json"),
}
DESIGN = {"curve": CURVE, "grid": [[10, 3], [40, 3]], "sizes": 2, "seeds": 4, "bounds": [10, 40], "share": 0.5}
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    write_holdout(draw_holdout("and", 3, 12, 300), tmp_path / "holdout.parquet")
    return tmp_path


def block(folder: Path, n: int, seeds: str) -> Path:
    """The result file of a block of a grid, with its training sets beside it."""
    dataset, output = folder / f"n{n}-{seeds}-data.parquet", folder / f"n{n}-{seeds}.parquet"
    draw_block({"cell": {**ADDRESS, "n": n}, "seeds": seeds, **DRAWING}, folder / "holdout.parquet", dataset)
    spec = {"cell": {**CURVE, "n": n}, **LEARNING}
    train_blocks([Block(spec, dataset, folder / "holdout.parquet", output, folder / "checkpoint")], CPU)
    return output


def design(folder: Path, grid: list[Path], rounds: list[Path], name: str = "design", **changes) -> Path:
    design_round(DESIGN | changes, grid, rounds, folder / name)
    return folder / name


def train(folder: Path, made: Path, size: int) -> tuple[Path, Path]:
    """The training sets and the results of one size."""
    spec = {"curve": CURVE, "size": size, "data": DRAWING, **LEARNING}
    paths = [folder / f"{made.name}-{size}-{what}" for what in ("data", "runs")]
    train_size(spec, made, folder / "holdout.parquet", *paths, folder / "checkpoint", CPU)
    return paths[0], paths[1]


def test_a_round_s_runs_are_those_of_a_full_grid(folder):
    """The same data to the bit; the same results, here of a block that holds further runs."""
    made = design(folder, [block(folder, 10, "0-2"), block(folder, 40, "0-2")], [])
    chosen = read_frame(made).iloc[0]
    dataset, output = train(folder, made, 1)
    full = block(folder, int(chosen["n"]), "0-9")
    expected_sets = {one.seed: one for one in read_training_sets(folder / f"n{chosen['n']}-0-9-data.parquet")}
    for ours in read_training_sets(dataset):
        theirs = expected_sets[ours.seed]
        assert ours.support.tolist() == theirs.support.tolist()
        assert (ours.inputs.data == theirs.inputs.data).all()
        assert (ours.labels == theirs.labels).all()
        assert (ours.holdout_labels == theirs.holdout_labels).all()
    runs, expected = read_frame(output), read_frame(full)
    expected = expected[expected["seed"].isin(runs["seed"])].reset_index(drop=True)
    exact = ["function", "data", "model", "training", "k", "T", "n", "seed", "success", "success_step", "steps"]
    assert runs[exact].equals(expected[exact])
    assert len(runs) == 4
    for ours, theirs in zip(runs["curve_train_loss"], expected["curve_train_loss"], strict=True):
        assert ours[0] == pytest.approx(theirs[0], rel=1e-3), "the same initialisation"
        assert ours == pytest.approx(theirs, rel=0.05)


def test_no_run_is_done_twice(folder):
    """At n = 10 three runs of the grid and four of the first round are followed by seed 7."""
    grid = [block(folder, n, "0-2") for n in (10, 40)]
    rounds = [block(folder, 10, "3-6")]
    made = read_frame(design(folder, grid, rounds, bounds=[10, 11])).set_index("n")["seeds"]
    assert made.to_dict() == {10: "7-10", 11: "0-3"}


def test_runs_of_other_experiments_change_nothing(folder):
    """Another experiment may want more seeds of a cell; the block's file then holds them too."""
    small = [block(folder, n, "0-2") for n in (10, 40)]
    large = [block(folder, 10, "0-9"), block(folder, 40, "0-2")]
    made = [read_frame(design(folder, grid, [], name)) for name, grid in (("one", small), ("two", large))]
    assert made[0].equals(made[1])


def test_earlier_rounds_move_the_next_one(folder):
    """None of the grid's runs succeeds, so the sizes are large; runs at n = 20 that all do pull them down."""
    grid = [block(folder, n, "0-2") for n in (10, 40)]
    before = read_frame(design(folder, grid, []))["n"]
    write_frame(read_frame(block(folder, 20, "0-9")).assign(success=True), folder / "round.parquet")
    after = read_frame(design(folder, grid, [folder / "round.parquet"]))["n"]
    assert before.tolist() == [39, 40]
    assert after.max() < 30
