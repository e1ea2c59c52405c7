"""Trains the runs of a cell's block of seeds and writes a row a run.

Now and then it saves a checkpoint, from which the same job goes on if it was interrupted.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from pipeline.bits import PackedBits
from pipeline.datasets import Address, TrainingSet, read_holdout, read_training_sets
from pipeline.engine.batches import choose_batches
from pipeline.engine.checkpoints import Checkpoint
from pipeline.engine.holdout import Holdout
from pipeline.engine.memory import keep_freed_memory
from pipeline.engine.model import StackedModel
from pipeline.engine.models import build_model
from pipeline.engine.protocol import Protocol
from pipeline.engine.recording import Recorder
from pipeline.engine.stacking import runs_per_stack
from pipeline.engine.training import Training
from pipeline.jobs import arguments
from pipeline.randomness import Stream
from pipeline.results import RunResult, write_results

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 10.0


def train_block(
    spec: dict, dataset: Path, holdout: Path, output: Path, checkpoint: Path, device: torch.device, code: str = ""
) -> None:
    """Trains every run of the block and writes their results.

    Args:
        spec: ``cell`` (names of function, data, model and training; k, T, n), and the settings ``model`` and
            ``training`` as in the config.
        dataset: the block's training sets.
        holdout: the cell's holdout inputs.
        output: where the results go, a row a run.
        checkpoint: where the state is saved until then.
        device: where to train.
        code: the fingerprint of the training's code: a checkpoint of other code is not used.
    """
    address, sets = Address(*(spec["cell"][name] for name in Address._fields)), read_training_sets(dataset)
    model, protocol = build_model(spec["model"], address.T), Protocol.of(spec["training"])
    inputs, size = read_holdout(holdout), runs_per_stack(model, address.n, device)
    saved = Checkpoint(checkpoint, lambda: identity(spec, code, dataset, holdout))
    state = saved.load() or {"finished": []}
    results = [RunResult(**result) for result in state["finished"]]
    began = time.monotonic()
    for start in range(len(results), len(sets), size):
        training = begin(model, protocol, address, sets[start : start + size], inputs, device)
        progress = Progress(f"{address}, runs {start + 1} to {start + len(training.results)} of {len(sets)}")
        if stack := state.pop("stack", None):
            training.restore(stack)
            log.info("%s: goes on from step %d", progress.label, training.step)
        finished = [asdict(result) for result in results]
        for _ in training.evaluations():
            progress.report(training)
            if saved.due:
                saved.save({"finished": finished, "stack": training.state()})
        results += training.results
    seconds = time.monotonic() - began
    write_results(spec["cell"], sets, results, output)
    saved.remove()
    succeeded = sum(one.success for one in results)
    log.info("%s: %d of %d runs succeeded%s", address, succeeded, len(results), lost(results))
    log.info("%s: %.2f s of training", address, seconds)


def lost(results: list[RunResult]) -> str:
    """Of a message, what it says of runs whose loss became infinite or NaN."""
    diverged = sum(result.status == "diverged" for result in results)
    return f"; {diverged} of them diverged, which a lower learning_rate may mend" if diverged else ""


def identity(spec: dict, code: str, *inputs: Path) -> str:
    """What the results of a job depend on: its specification, its code's fingerprint and its input files' contents."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs]
    return json.dumps([spec, code, digests], sort_keys=True)


def begin(
    model: StackedModel,
    protocol: Protocol,
    address: Address,
    sets: list[TrainingSet],
    holdout: PackedBits,
    device: torch.device,
) -> Training:
    """The training of one stack of runs, from their training sets and holdout inputs."""
    runs = [{**address._asdict(), "seed": one.seed} for one in sets]
    parameters = model.initialise([Stream("initialisation", **run) for run in runs])
    parameters = parameters.like(parameters.flat.to(device))
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


def choose_device(name: str) -> torch.device:
    """``cpu``, ``cuda`` or ``auto``, which takes the GPU if there is one.

    Raises:
        SystemExit: ``cuda`` without a GPU that torch can use.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SystemExit("compute.device: torch finds no CUDA GPU; use cpu or auto, or install a CUDA build of torch")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def run(description: str | None, job: Callable[..., None], *paths: str) -> None:
    """The command of a job that trains: reads its options, prepares torch and calls the job.

    Args:
        description: the help text.
        job: takes the specification, the paths, the device and the fingerprint of the code.
        paths: the names of the paths' options.
    """
    given = arguments.parse(description, *paths, code={}, device={}, precision={}, threads={"type": int})
    torch.set_num_threads(given.threads)
    torch.set_float32_matmul_precision("high" if given.precision == "tf32" else "highest")
    keep_freed_memory()
    job(given.spec, *(getattr(given, name) for name in paths), choose_device(given.device), given.code)


def main() -> None:
    """The job's command."""
    run(__doc__, train_block, "dataset", "holdout", "output", "checkpoint")


if __name__ == "__main__":
    main()
