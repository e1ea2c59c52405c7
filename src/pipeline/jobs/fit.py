"""Fits a baseline to each run of a cell's block of seeds and writes a row a run, like a training job.

A run succeeds if its hypothesis labels every holdout sample correctly, as the paper's rule says of a trained one.
Now and then the job saves a checkpoint, from which the same job goes on if it was interrupted.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.baselines.learning import Hypothesis, Sample
from pipeline.baselines.registry import BASELINES
from pipeline.checkpoints import Checkpoint
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet, read_holdout, read_training_sets
from pipeline.jobs import arguments
from pipeline.results import RunResult, write_results

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 10.0
JUDGED_BITS = 2**22  # holdout bits unpacked at a time: a learner may need 8 bytes for each


def fit_block(spec: dict, dataset: Path, holdout: Path, output: Path, checkpoint: Path, code: str = "") -> None:
    """Fits every run of the block and writes their results.

    Args:
        spec: ``cell`` (names of function, data, model and training; k, T, n) and the settings ``model`` as in the
            config.
        dataset: the block's training sets.
        holdout: the cell's holdout inputs.
        output: where the results go, a row a run.
        checkpoint: where the results of finished runs are saved until then.
        code: the fingerprint of the job's code: a checkpoint of other code is not used.
    """
    address, sets = Address(*(spec["cell"][name] for name in Address._fields)), read_training_sets(dataset)
    saved, inputs, began = Checkpoint(checkpoint, spec, code, dataset, holdout), read_holdout(holdout), time.monotonic()
    results = list(_results(spec["model"], address, sets, inputs, saved))
    seconds = time.monotonic() - began
    write_results(spec["cell"], sets, results, output)
    saved.remove()
    succeeded = sum(result.success for result in results)
    log.info("%s: %d of %d runs succeeded; %.2f s of fitting", address, succeeded, len(results), seconds)


def _results(
    settings: dict, address: Address, sets: Sequence[TrainingSet], inputs: PackedBits, saved: Checkpoint
) -> Iterator[RunResult]:
    """The result of each run; reports how far it is every ten seconds."""

    def fitted(place: int) -> dict:
        one = sets[place]
        hypothesis = BASELINES[settings["kind"]](settings, Sample.of(address, one))
        return asdict(judged(hypothesis, inputs, one.holdout_labels))

    reported = time.monotonic()
    for done, result in enumerate(saved.parts(len(sets), fitted), start=1):
        yield RunResult(**result)
        if time.monotonic() - reported >= PROGRESS_SECONDS:
            reported = time.monotonic()
            log.info("%s: %d of %d runs", address, done, len(sets))


def judged(hypothesis: Hypothesis, inputs: PackedBits, labels: np.ndarray) -> RunResult:
    """The result of a run by its labels of all holdout inputs, bool [N]."""
    rows = max(1, JUDGED_BITS // inputs.length)
    errors = 0
    for start in range(0, len(inputs), rows):
        block = PackedBits(inputs.data[start : start + rows], inputs.length).unpack()
        errors += int(np.count_nonzero(hypothesis.predict(block) != labels[start : start + rows]))
    return RunResult(
        status="failed" if errors else "succeeded",
        best_holdout_accuracy=1 - errors / len(labels),
        train_loss=hypothesis.train_loss,
    )


def main() -> None:
    """The job's command."""
    paths = "dataset", "holdout", "output", "checkpoint"
    given = arguments.parse(__doc__, *paths, code={})
    fit_block(given.spec, *(getattr(given, path) for path in paths), given.code)


if __name__ == "__main__":
    main()
