"""Training for the theory: one stack of runs after another, with checkpoints."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from pipeline.checkpoints import Checkpoint
from pipeline.engine.models import build_model
from pipeline.engine.stacking import runs_per_stack
from pipeline.engine.training import Training
from pipeline.theory.cells import Cell


class Stack(NamedTuple):
    """Runs that are trained together.

    Attributes:
        training: their training, which has just begun.
        rows: gives their rows of the table when they are trained.
    """

    training: Training
    rows: Callable[[], list[dict[str, Any]]]


def in_stacks(cell: Cell, model: Mapping[str, Any]) -> Iterator[Cell]:
    """The runs of a cell, as many at a time as memory allows to train together; the model is an entry of the config."""
    address, sets, holdout = cell
    size = runs_per_stack(build_model(model, address.T), address.n, torch.device("cpu"))
    for start in range(0, len(sets), size):
        yield address, sets[start : start + size], holdout


def train_stacks(begin: Sequence[Callable[[], Stack]], saved: Checkpoint) -> list[dict[str, Any]]:
    """The rows of all stacks. A job that was interrupted goes on within the stack that it was at.

    Args:
        begin: makes each stack, always the same one.
        saved: where the rows of finished stacks and the state of the present one are saved.
    """
    content = saved.load() or {"stacks": 0, "rows": [], "state": None}
    rows, state = content["rows"], content["state"]
    for number in range(content["stacks"], len(begin)):
        stack = begin[number]()
        if state:
            stack.training.restore(state)
            state = None
        for _ in stack.training.evaluations():
            if saved.due:
                runs = range(len(stack.training.results))
                saved.save({"stacks": number, "rows": rows, "state": stack.training.state(runs)})
        rows += stack.rows()
    return rows
