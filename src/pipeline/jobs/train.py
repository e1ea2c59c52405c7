"""Trains the runs of a cell's block of seeds and writes a row a run.

Now and then it saves a checkpoint, from which the same job goes on if it was interrupted.

Several jobs with the same :func:`stack_key` are one job, with ``--`` between their options: it trains their runs as one
stack.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from pipeline.engine.memory import keep_freed_memory
from pipeline.jobs import arguments
from pipeline.jobs.stacks import Block, train_blocks

PATHS = ("dataset", "holdout", "output", "checkpoint")


def choose_device(name: str) -> torch.device:
    """``cpu``, ``cuda`` or ``auto``, which takes the GPU if there is one.

    Raises:
        SystemExit: ``cuda`` without a GPU that torch can use.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SystemExit("compute.device: torch finds no CUDA GPU; use cpu or auto, or install a CUDA build of torch")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def stack_key(command: Sequence[str]) -> str:
    """What jobs have in common, by their command lines, that may be trained as one stack.

    Two blocks of a curve, that is, with other n only where all samples are used at every step and nothing is dropped:
    minibatches, fresh samples and the masks of dropout are drawn for n samples.

    Raises:
        KeyError, ValueError: it is no command line of such a job.
    """
    spec = json.loads(option(command, "spec"))
    training, dropout = spec["training"], spec["model"].get("dropout")
    rates = dropout.values() if isinstance(dropout, dict) else [dropout]
    if training["samples"] == "fixed" and training["batch_size"] is None and not any(rates):
        del spec["cell"]["n"]
    others = ("holdout", "code", "device", "precision", "threads")
    return json.dumps([spec, *(option(command, name) for name in others)])


def option(command: Sequence[str], name: str) -> str:
    """The value of an option in the command line of a job.

    Raises:
        ValueError: it is not there.
    """
    return command[command.index(f"--{name}") + 1]


def prepare(description: str | None, *paths: str) -> list[argparse.Namespace]:
    """Reads the options of a job that trains, of as many as there are, and prepares torch.

    Args:
        description: the help text.
        paths: the names of the paths' options.
    """
    options = {"code": {}, "device": {}, "precision": {}, "threads": {"type": int}}
    jobs = [arguments.parse(description, *paths, argv=command, **options) for command in _commands(sys.argv[1:])]
    torch.set_num_threads(jobs[0].threads)
    torch.set_float32_matmul_precision("high" if jobs[0].precision == "tf32" else "highest")
    keep_freed_memory()
    return jobs


def _commands(command: list[str]) -> Iterator[list[str]]:
    """The command lines between which ``--`` stands."""
    ends = [place for place, word in enumerate(command) if word == "--"]
    return (command[start + 1 : end] for start, end in pairwise([-1, *ends, len(command)]))


def main() -> None:
    """The job's command."""
    jobs = prepare(__doc__, *PATHS)
    blocks = [Block(job.spec, *(getattr(job, path) for path in PATHS), job.code) for job in jobs]
    train_blocks(blocks, choose_device(jobs[0].device))


if __name__ == "__main__":
    main()
