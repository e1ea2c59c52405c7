"""From initialisation to support: training that starts from the constructed head, perturbed by noise of growing size.

The head is constructed in the shape of the trained model, as its first head; the other heads, and what the construction
does not use, are 0. Its embeddings have the size of ordinary initial ones. Then N(0, σ²) is added to every weight and
embedding, as the ordinary initialisation draws them: at σ = init_std, all that is not constructed is the ordinary
start. Gains and biases get no noise, as they get none there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.checkpoints import Checkpoint
from pipeline.data.datasets import Address, TrainingSet
from pipeline.engine import initialisation
from pipeline.engine.models import build_model
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol
from pipeline.engine.transformer import Transformer
from pipeline.jobs.stacks import begin
from pipeline.randomness import Stream
from pipeline.results import RunResult
from pipeline.theory.cells import Cell
from pipeline.theory.construction import Construction, TooNarrow, construct, position_vectors
from pipeline.theory.names import CONSTRUCTED, ORDINARY
from pipeline.theory.stacks import Stack, in_stacks, train_stacks

DRAWS = 20  # of position vectors


def basin(spec: Mapping[str, Any], noise: Sequence[float], cells: Sequence[Cell], saved: Checkpoint) -> pd.DataFrame:
    """One row a run: ``start``, ``function, k, T, n, sigma, seed``, what it was at the start and what became of it.

    ``start`` is ``constructed`` or ``ordinary``, whose ``sigma`` is null. Before training: ``start_accuracy`` on the
    whole holdout and ``start_mass``, the largest of the heads' attention masses on the support; after it: ``success``,
    ``success_step`` (null without one), ``best_holdout_accuracy``, ``support_mass`` (mean of the heads) and
    ``best_head_support_mass``, null in runs that diverged.

    Args:
        spec: ``model`` and ``training``, entries of the config.
        noise: the σ.
        cells: addresses, training sets and holdout inputs.
        saved: where the state is saved.
    """
    parts = [(part, sigma) for cell in cells for sigma in (None, *noise) for part in in_stacks(cell, spec["model"])]
    stacks = [partial(_stack, spec, *part) for part in parts]
    return pd.DataFrame(train_stacks(stacks, saved)).astype({"success_step": "Int32"})


def perturbed(model: Transformer, address: Address, sets: Sequence[TrainingSet], sigma: float) -> ParameterStack:
    """The constructed parameters of each run with its own noise, float32."""
    constructions = [_constructed(model, address, one) for one in sets]
    runs = [{name: tensor.float() for name, tensor in one.parameters.items()} for one in constructions]
    stack = ParameterStack.stack(model.shapes, runs)
    streams = [Stream("theory-noise", **address._asdict(), seed=one.seed) for one in sets]
    drawn = initialisation.normal(model.shapes, sigma, streams)
    for name in model.shapes:
        if not name.endswith(("_gain", "_bias")):
            stack[name].add_(drawn[name])
    return stack


def _constructed(model: Transformer, address: Address, one: TrainingSet) -> Construction:
    """The first construction that the run's position vectors allow, of at most so many draws of them.

    Raises:
        TooNarrow: none does.
    """
    stream = Stream("theory-positions", **address._asdict(), seed=one.seed)
    for last in [False] * (DRAWS - 1) + [True]:
        positions = position_vectors(address.T, model.width, stream)
        try:
            return construct(model, positions, one.support, one.truth_table, scale=model.init_std)
        except TooNarrow:
            if last:
                raise


def _stack(spec: Mapping[str, Any], cell: Cell, sigma: float | None) -> Stack:
    """The runs of a cell from the constructed head with this noise, or from their ordinary start."""
    address, sets, _ = cell
    model, protocol = build_model(spec["model"], address.T), Protocol.of(spec["training"])
    training = begin(model, replace(protocol, record=("attention",)), *cell, torch.device("cpu"))
    parameters = training.optimiser.parameters
    if sigma is not None:
        parameters.flat.copy_(perturbed(model, address, sets, sigma).flat)
    accuracies = training.holdout.judge(model, parameters, training.active, exhaustive=True).accuracy.tolist()
    supports = torch.from_numpy(np.stack([one.support for one in sets])).unsqueeze(1).expand(-1, model.heads, -1)
    masses = model.attention(parameters, training.holdout.inputs).gather(2, supports).sum(2).amax(1).tolist()
    start = {"start": ORDINARY if sigma is None else CONSTRUCTED, "sigma": np.nan if sigma is None else sigma}

    def rows() -> list[dict[str, Any]]:
        runs = zip(sets, training.results, accuracies, masses, strict=True)
        return [address._asdict() | start | _row(*run) for run in runs]

    return Stack(training, rows)


def _row(one: TrainingSet, result: RunResult, accuracy: float, mass: float) -> dict[str, Any]:
    """What a run was at the start and what became of it."""
    return {
        "seed": one.seed,
        "start_accuracy": accuracy,
        "start_mass": mass,
        "success": result.success,
        "success_step": result.success_step,
        "best_holdout_accuracy": result.best_holdout_accuracy,
        "support_mass": np.nan if result.support_mass is None else result.support_mass,
        "best_head_support_mass": max(result.head_support_mass or [np.nan]),
    }
