"""Draws and trains the runs of one sample size of an adaptive round; the round's design says which n and seeds."""

from pathlib import Path

import torch

from pipeline.checkpoints import Checkpoint
from pipeline.data.datasets import Address
from pipeline.jobs.dataset import draw_block
from pipeline.jobs.stacks import Block, train_blocks
from pipeline.jobs.train import choose_device, prepare
from pipeline.storage import read_table


def train_size(
    spec: dict,
    design: Path,
    holdout: Path,
    dataset: Path,
    output: Path,
    checkpoint: Path,
    device: torch.device,
    code: str = "",
) -> None:
    """Draws the training sets, as a full grid would have them, trains the runs and writes their results.

    Args:
        spec: ``curve`` (names of function, data, model and training; k, T), ``size`` (which of the round's sizes, from
            1) and the settings ``data``, ``model`` and ``training`` as in the config.
        design: the round's sizes and seeds.
        holdout: the holdout inputs.
        dataset: where the training sets go.
        output: where the results go, a row a run.
        checkpoint: where the state is saved until then; what was found in drawing stands beside it.
        device: where to train.
        code: the fingerprint of the training's code: a checkpoint of other code is not used.
    """
    chosen = read_table(design).to_pylist()[spec["size"] - 1]
    cell = spec["curve"] | {"n": chosen["n"]}
    address = {name: cell[name] for name in Address._fields}
    drawing = {"cell": address, "seeds": chosen["seeds"], **spec["data"]}
    drawn = Checkpoint(checkpoint.with_suffix(".draws.pt"), drawing, code, holdout)
    draw_block(drawing, holdout, dataset, drawn)
    learning = {name: spec[name] for name in ("model", "training")}
    train_blocks([Block({"cell": cell, **learning}, dataset, holdout, output, checkpoint, code)], device)
    drawn.remove()


def main() -> None:
    """The job's command."""
    paths = "design", "holdout", "dataset", "output", "checkpoint"
    (job,) = prepare(__doc__, *paths)
    train_size(job.spec, *(getattr(job, path) for path in paths), choose_device(job.device), job.code)


if __name__ == "__main__":
    main()
