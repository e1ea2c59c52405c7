"""Trains the mapped run of each cell again, alone, and writes where [CLS] looks on the way.

The run files keep whole attention maps only of the end: of every evaluation, for all runs, they would fill the disk.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.data.datasets import Address, read_holdout, read_training_sets
from pipeline.engine.models import build_model
from pipeline.engine.protocol import Protocol
from pipeline.engine.recording import MAPPED_SEED
from pipeline.engine.training import Training
from pipeline.jobs import arguments
from pipeline.jobs.stacks import begin
from pipeline.storage import write_frame

STEPS_KEPT = 20  # evaluations, of a run

COLUMNS = ["experiment", "function", "model", "k", "T", "n", "seed", "step", "position", "weight", "in_support"]


def attention_steps(spec: Mapping, dataset: Path, holdout: Path) -> pd.DataFrame:
    """A row an evaluation and position: ``weight`` is [CLS]'s attention, the mean of the heads and the holdout.

    At most ``STEPS_KEPT`` evaluations, evenly chosen, the first and the last among them. Of a run that diverges, those
    before.

    Args:
        spec: ``experiment``, and ``cell``, ``model`` and ``training`` as a training job has them; it records attention.
        dataset: the cell's training sets, the mapped run's among them.
        holdout: the cell's holdout inputs.
    """
    address = Address(*(spec["cell"][name] for name in Address._fields))
    [own] = [one for one in read_training_sets(dataset) if one.seed == MAPPED_SEED]
    model, protocol = build_model(spec["model"], address.T), Protocol.of(spec["training"])
    training = begin(model, protocol, address, [own], read_holdout(holdout), torch.device("cpu"))
    weights = {step: _weights(training, address.T) for step in training.evaluations()}
    kept = _some([step for step, mean in weights.items() if np.isfinite(mean).all()])
    told = {"experiment": spec["experiment"], **spec["cell"], "seed": MAPPED_SEED}
    table = pd.DataFrame({"step": np.repeat(np.array(kept, int), address.T)})
    table["position"] = np.tile(np.arange(address.T), len(kept))
    table["weight"] = np.ravel([weights[step] for step in kept])
    table["in_support"] = table["position"].isin(own.support)
    return table.assign(**told)[COLUMNS]


def _some(steps: list[int]) -> list[int]:
    """At most ``STEPS_KEPT`` of the steps, evenly chosen, the first and the last among them."""
    places = np.linspace(0, len(steps) - 1, min(len(steps), STEPS_KEPT)).round().astype(int)
    return [steps[place] for place in places]


def _weights(training: Training, T: int) -> np.ndarray:
    """The run's attention after an evaluation, [T]: when it ends, it is out of the stack and its result has the map."""
    [result] = training.results
    if result.attention_map is not None:
        return np.reshape(result.attention_map, (-1, T)).mean(0)
    if not len(training.active):
        return np.full(T, np.nan)
    return training.model.attention(training.optimiser.parameters, training.holdout.inputs)[0].mean(0).numpy()


def main() -> None:
    """The job's command; ``--spec`` has of each cell what :func:`attention_steps` takes."""
    files = {"type": Path, "nargs": "+"}
    given = arguments.parse(__doc__, "output", datasets=files, holdouts=files)
    torch.set_num_threads(1)
    tables = [attention_steps(*one) for one in zip(given.spec["cells"], given.datasets, given.holdouts, strict=True)]
    write_frame(pd.concat(tables, ignore_index=True).astype({"weight": "float32"}), given.output)


if __name__ == "__main__":
    main()
