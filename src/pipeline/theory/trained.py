"""Trained heads: their norms beside the constructed ones, and what the capacity bounds need of a run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.checkpoints import Checkpoint
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet
from pipeline.engine.attention import attend
from pipeline.engine.models import build_model
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol, Success
from pipeline.engine.training import Training
from pipeline.engine.transformer import Transformer
from pipeline.jobs.stacks import begin
from pipeline.reference import one_run
from pipeline.theory.cells import Cell
from pipeline.theory.norms import head_norms, readout_norms
from pipeline.theory.readout import logits_of, slopes
from pipeline.theory.stacks import Stack, in_stacks, train_stacks

NEVER = Success(accuracy=2.0, when="any")  # no run reaches it, so all stay in the stack to the last step


def trained_heads(spec: Mapping[str, Any], cells: Sequence[Cell], saved: Checkpoint) -> pd.DataFrame:
    """One row a head of a trained run; what is the run's is the same in the rows of its heads.

    Columns: ``function, k, T, n, seed, head``, the norms of :mod:`pipeline.theory.norms`, ``support_mass`` of the head,
    and of the run ``train_error``, ``holdout_error``, ``margin`` (the smallest of the training samples, negative if one
    is wrong), ``slope`` (the largest norm of the logit's gradient in the heads' outputs on the training samples, a
    lower bound of the Lipschitz constant of what follows the head) and ``parameters``. Runs that diverged are left out.

    Args:
        spec: ``model`` and ``training``, entries of the config; the success rule does not count.
        cells: what is trained.
        saved: where the state is saved.

    Raises:
        SystemExit: every run diverged.
    """
    stacks = [partial(_stack, spec, part) for cell in cells for part in in_stacks(cell, spec["model"])]
    if not (rows := train_stacks(stacks, saved)):
        raise SystemExit(
            "theory.heads: every run diverged; lower the learning_rate of its training, or write heads: null"
        )
    return pd.DataFrame(rows)


def _stack(spec: Mapping[str, Any], cell: Cell) -> Stack:
    """A cell's runs, to be trained to the last step: none leaves the stack before, unless it diverged."""
    address, sets, holdout = cell
    model, protocol = build_model(spec["model"], address.T), Protocol.of(spec["training"])
    training = begin(model, replace(protocol, success=NEVER, record=()), *cell, torch.device("cpu"))

    def rows() -> list[dict[str, Any]]:
        found = []
        for row, run in enumerate(training.active.tolist()):
            accuracy = training.results[run].curve_holdout_accuracy[-1]
            found += _heads(training, row, address, sets[run], holdout, 1 - accuracy)
        return found

    return Stack(training, rows)


def _heads(
    training: Training, row: int, address: Address, one: TrainingSet, holdout: PackedBits, holdout_error: float
) -> list[dict[str, Any]]:
    """The rows of one run, from its place in the stack."""
    model: Transformer = training.model
    stack = training.optimiser.parameters.select(torch.tensor([row]))
    p = {name: tensor.double() for name, tensor in one_run(stack, 0).items()}
    double = ParameterStack.stack(model.shapes, [p])
    attended = attend(double, model.heads, torch.tensor(one.inputs.data).unsqueeze(0))[0]
    margins = logits_of(p, model.activation, attended) * torch.from_numpy(np.where(one.labels, 1.0, -1.0))
    masses = model.attention(stack, torch.tensor(holdout.data))[0][:, one.support].sum(1)
    norms = head_norms(p, model.heads) | {"support_mass": masses}
    of_run = address._asdict() | {
        "seed": one.seed,
        "train_error": float((margins <= 0).double().mean()),
        "holdout_error": holdout_error,
        "margin": float(margins.min()),
        "slope": float(slopes(p, model.activation, attended).max()),
        "parameters": sum(math.prod(shape) for shape in model.shapes.values()),
        **readout_norms(p),
    }
    return [
        of_run | {"head": head} | {name: float(value[head]) for name, value in norms.items()}
        for head in range(model.heads)
    ]
