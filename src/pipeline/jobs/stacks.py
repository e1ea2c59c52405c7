"""How jobs train runs: blocks of seeds, each alone or several as one stack, with checkpoints."""

import gc
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pipeline.checkpoints import Checkpoint
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet, read_holdout, read_training_sets
from pipeline.engine.batches import choose_batches
from pipeline.engine.holdout import Holdout
from pipeline.engine.model import StackedModel
from pipeline.engine.models import build_model
from pipeline.engine.protocol import Protocol
from pipeline.engine.recording import Recorder
from pipeline.engine.stacking import runs_per_stack
from pipeline.engine.training import Training
from pipeline.randomness import Stream
from pipeline.results import RunResult, write_results

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 10.0


class Block(NamedTuple):
    """A block of seeds of a cell.

    Attributes:
        spec: ``cell`` (names of function, data, model and training; k, T, n), and the settings ``model`` and
            ``training`` as in the config.
        dataset: its training sets.
        holdout: the cell's holdout inputs.
        output: where the results go, a row a run.
        checkpoint: where the state is saved until then.
        code: the fingerprint of the training's code: a checkpoint of other code is not used.
    """

    spec: dict
    dataset: Path
    holdout: Path
    output: Path
    checkpoint: Path
    code: str = ""


def train_blocks(blocks: Sequence[Block], device: torch.device) -> None:
    """Trains every run of the blocks and writes their results.

    Args:
        blocks: they have the same :func:`pipeline.jobs.train.stack_key`, and are trained as one stack as far as memory
            allows, those that go on from a checkpoint each on its own.
        device: where to train.
    """
    begun, fresh = [], []
    for work in sorted(map(Work, blocks), key=lambda work: work.address.n):
        (begun if work.state else fresh).append(work)
    for together in [*([work] for work in begun), fresh]:
        if together:
            _train_together(together, device)


class Work:
    """A block in training.

    Attributes:
        block: what is asked for.
        address: its cell.
        sets: its training sets, which stay in their file until a stack takes them.
        saved: its checkpoint.
        state: that of the stack which the checkpoint was saved in; None if there is none.
        results: of the runs that are done, in order.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.address = Address(*(block.spec["cell"][name] for name in Address._fields))
        self.sets = read_training_sets(block.dataset)
        self.saved = Checkpoint(block.checkpoint, block.spec, block.code, block.dataset, block.holdout)
        content = self.saved.load() or {"finished": [], "stack": None}
        self.state, self.results = content["stack"], [RunResult(**result) for result in content["finished"]]

    def save(self, training: Training, runs: range | None) -> None:
        """Saves a checkpoint: what is done, and the state of those runs of a stack that are the block's, if any are."""
        stack = training.state(runs) if runs else None
        self.saved.save({"finished": [asdict(result) for result in self.results], "stack": stack})

    def end(self, seconds: float) -> None:
        """Writes the results."""
        write_results(self.block.spec["cell"], self.sets, self.results, self.block.output)
        self.saved.remove()
        succeeded = sum(one.success for one in self.results)
        log.info("%s: %d of %d runs succeeded%s", self.address, succeeded, len(self.results), lost(self.results))
        log.info("%s: %.2f s of training", self.address, seconds)


def _train_together(works: list[Work], device: torch.device) -> None:
    """Trains the runs of blocks, ordered by n, that are not done yet."""
    spec, largest = works[0].block.spec, works[-1].address
    model, protocol = build_model(spec["model"], largest.T), Protocol.of(spec["training"])
    inputs, size = read_holdout(works[0].block.holdout), runs_per_stack(model, largest.n, device)
    done = sum(len(work.results) for work in works)
    start = partial(begin, model, protocol, largest, holdout=inputs, device=device)
    waiting = [(work, place) for work in works for place in range(len(work.results), len(work.sets))]
    cells = f"{works[0].address}" + (f" to {largest.n}" if len(works) > 1 else "")
    began = time.monotonic()
    for stack in _stacks(len(waiting), size, len(works[0].state["results"]) if works[0].state else 0):
        label = f"{cells}, runs {done + stack.start + 1} to {done + stack.stop} of {done + len(waiting)}"
        _train_stack(works, waiting[stack.start : stack.stop], start, Progress(label))
        gc.collect()  # a training, which holds its step, which holds the training
    for work in works:
        work.end(time.monotonic() - began)


def _train_stack(
    works: list[Work],
    runs: Sequence[tuple[Work, int]],
    start: Callable[[Sequence[TrainingSet]], Training],
    progress: "Progress",
) -> None:
    """Trains one stack, whose runs are given by their block and place in it; nothing of it is held when it is done."""
    training = start([work.sets[place] for work, place in runs])
    parts = _parts([work for work, _ in runs])
    if works[0].state:
        training.restore(works[0].state)
        works[0].state = None
        log.info("%s: goes on from step %d", progress.label, training.step)
    for _ in training.evaluations():
        progress.report(training)
        for work in works:
            if work.saved.due and (work in parts or work.results):
                work.save(training, parts.get(work))
    for work, places in parts.items():
        work.results += training.results[places.start : places.stop]


def _stacks(runs: int, size: int, begun: int) -> Iterator[range]:
    """Runs in stacks of at most ``size``, as equal as can be; the first has those that it has begun with, if any."""
    start = 0
    while left := runs - start:
        length = begun or math.ceil(left / math.ceil(left / size))
        yield range(start, start + length)
        start, begun = start + length, 0


def _parts(owners: Sequence[Work]) -> dict[Work, range]:
    """Which runs of a stack are whose; those of a block stand together."""
    firsts = [place for place in range(len(owners)) if place == 0 or owners[place] is not owners[place - 1]]
    return {owners[first]: range(first, end) for first, end in pairwise([*firsts, len(owners)])}


def lost(results: list[RunResult]) -> str:
    """Of a message, what it says of runs whose loss became infinite or NaN."""
    diverged = sum(result.status == "diverged" for result in results)
    return f"; {diverged} of them diverged, which a lower learning_rate may mend" if diverged else ""


def begin(
    model: StackedModel,
    protocol: Protocol,
    address: Address,
    sets: Sequence[TrainingSet],
    holdout: PackedBits,
    device: torch.device,
) -> Training:
    """The training of one stack of runs, from their training sets and holdout inputs.

    The sets may be of several cells, if those have all but n in common with ``address``.
    """
    runs = [{**address._asdict(), "n": len(one.labels), "seed": one.seed} for one in sets]
    parameters = model.initialise([Stream("initialisation", **run) for run in runs]).to(device)
    labels = np.stack([one.holdout_labels for one in sets])
    tensors = (torch.tensor(array, device=device) for array in (holdout.data, labels))
    judge = Holdout(*tensors, protocol.success.accuracy)
    source = choose_batches(protocol, model, sets, runs, parameters.flat.dtype, device)
    supports = torch.tensor(np.stack([one.support for one in sets]), dtype=torch.int64, device=device)
    recorder = Recorder(protocol, model, parameters, judge, supports, runs) if protocol.record else None
    return Training(model, protocol, parameters, source, judge, runs, recorder)


class Progress:
    """Reports how far a stack is, every ten seconds."""

    def __init__(self, label: str) -> None:
        self.label, self.reported = label, time.monotonic()

    def report(self, training: Training) -> None:
        """Takes a stack's training after an evaluation."""
        if time.monotonic() - self.reported < PROGRESS_SECONDS:
            return
        self.reported = time.monotonic()
        done = len(training.results) - len(training.active)
        succeeded = sum(result.success for result in training.results)
        steps = training.protocol.max_steps
        log.info("%s: step %d of %d, %d done, %d succeeded", self.label, training.step, steps, done, succeeded)
