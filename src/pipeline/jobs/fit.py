"""Fits a baseline to each run of a cell's block of seeds and writes a row a run, like a training job.

A run succeeds if its hypothesis labels every holdout sample correctly, as the paper's rule says of a trained one.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.baselines.learning import Hypothesis, Sample
from pipeline.baselines.registry import BASELINES
from pipeline.bits import PackedBits
from pipeline.datasets import Address, TrainingSet, read_holdout, read_training_sets
from pipeline.jobs import arguments
from pipeline.results import RunResult, write_results

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 10.0
JUDGED_BITS = 2**22  # holdout bits unpacked at a time: a learner may need 8 bytes for each


def fit_block(spec: dict, dataset: Path, holdout: Path, output: Path) -> None:
    """Fits every run of the block and writes their results.

    Args:
        spec: ``cell`` (names of function, data, model and training; k, T, n) and the settings ``model`` as in the
            config.
        dataset: the block's training sets.
        holdout: the cell's holdout inputs.
        output: where the results go, a row a run.
    """
    address, sets = Address(*(spec["cell"][name] for name in Address._fields)), read_training_sets(dataset)
    inputs, began = read_holdout(holdout), time.monotonic()
    results = list(_results(spec["model"], address, sets, inputs))
    seconds = time.monotonic() - began
    write_results(spec["cell"], sets, results, output)
    succeeded = sum(result.success for result in results)
    log.info("%s: %d of %d runs succeeded; %.2f s of fitting", address, succeeded, len(results), seconds)


def _results(settings: dict, address: Address, sets: list[TrainingSet], inputs: PackedBits) -> Iterator[RunResult]:
    """The result of each run; reports how far it is every ten seconds."""
    reported = time.monotonic()
    for done, one in enumerate(sets, start=1):
        hypothesis = BASELINES[settings["kind"]](settings, Sample.of(address, one))
        yield judged(hypothesis, inputs, one.holdout_labels)
        if time.monotonic() - reported >= PROGRESS_SECONDS:
            reported = time.monotonic()
            log.info("%s: %d of %d runs", address, done, len(sets))


def judged(hypothesis: Hypothesis, inputs: PackedBits, labels: np.ndarray) -> RunResult:
    """The result of a run by its labels of all holdout inputs, bool [N]."""
    rows = max(1, JUDGED_BITS // inputs.length)
    errors = 0
    for start in range(0, len(inputs), rows):
        block = PackedBits(inputs.data[start : start + rows], inputs.length).unpack()
        errors += np.count_nonzero(hypothesis.predict(block) != labels[start : start + rows])
    return RunResult(
        status="failed" if errors else "succeeded",
        best_holdout_accuracy=1 - errors / len(labels),
        train_loss=hypothesis.train_loss,
    )


def main() -> None:
    """The job's command."""
    given = arguments.parse(__doc__, "dataset", "holdout", "output")
    fit_block(given.spec, given.dataset, given.holdout, given.output)


if __name__ == "__main__":
    main()
