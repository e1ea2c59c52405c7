"""Constructed heads, loaded into the model that is trained: are they exact, and what norms do they take?

A construction is checked in float32 and in float64 on all 2^k settings of the support, each with the other bits all 0,
all 1, and at random. All 0 and all 1 are the worst there is (:mod:`pipeline.theory.construction`).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.data.bits import PackedBits
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.engine.model import StackedModel
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.theory.construction import (
    Construction,
    TooNarrow,
    certified,
    construct,
    output_ranges,
    position_vectors,
)
from pipeline.theory.norms import head_norms, readout_norms
from pipeline.theory.readout import logits_of, slopes

ACTIVATION = "relu"
GRID = 64  # points between neighbouring levels at which the readout's slope is measured
PRECISIONS = {"exact_float32": torch.float32, "exact_float64": torch.float64}


def representation(
    functions: Sequence[str], random_inputs: int, sweeps: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """One row a construction: ``sweep, function, k, T, width, seed``, whether it exists and is exact, and its norms.

    ``feasible``: the width is enough for this support. ``certified``: exact on all 2^T inputs by the argument on its
    two extremes; ``exact_float32`` and ``exact_float64``: the model labels every checked input correctly. The rest is
    null where no construction exists: ``symmetric``, ``sharpness``, ``overlap``, ``leak``, ``margin_used`` (how far the
    output strays, over the distance to the nearest zero), ``margin`` (the smallest of all inputs, by the extremes),
    ``slope`` (the largest of the logit in the head's output) and the norms of :mod:`pipeline.theory.norms`.

    Args:
        functions: their names in ``FUNCTIONS``; those that are not defined for a k are left out there.
        random_inputs: random settings of the other bits for each setting of the support.
        sweeps: by name, ``T``, ``k``, ``width`` (lists) and ``supports`` (how many).
    """
    mlp_width = 2 ** max(k for sweep in sweeps.values() for k in sweep["k"])
    rows = [
        {"sweep": name} | row
        for name, sweep in sweeps.items()
        for T, width in product(sweep["T"], sweep["width"])
        for row in _constructions(functions, random_inputs, sweep, T, width, mlp_width)
    ]
    return pd.DataFrame(rows)


def _constructions(
    functions: Sequence[str], random_inputs: int, sweep: Mapping[str, Any], T: int, width: int, mlp_width: int
) -> Iterator[dict[str, Any]]:
    """The rows of one T and width, which share their position vectors."""
    model = Transformer(T, width, heads=1, mlp_width=mlp_width, init_std=0.02, activation=ACTIVATION)
    positions = position_vectors(T, width, Stream("theory-positions", T=T, width=width))
    for function, k, seed in product(functions, sweep["k"], range(sweep["supports"])):
        if FUNCTIONS[function].check_sparsity(k):
            continue
        address = {"function": function, "k": k, "T": T, "width": width, "seed": seed}
        support = Stream("theory-support", k=k, T=T, seed=seed).subset(k, T)
        truth_table = FUNCTIONS[function].truth_table(
            k, Stream("theory-truth-table", function=function, k=k, seed=seed)
        )
        try:
            construction = construct(model, positions, support, truth_table)
        except TooNarrow:
            yield address | {"feasible": False, "certified": False, **dict.fromkeys(PRECISIONS, False)}
            continue
        inputs = checked_inputs(support, T, random_inputs, Stream("theory-inputs", **address))
        exact = {
            name: is_exact(model, construction, inputs, support, truth_table, dtype)
            for name, dtype in PRECISIONS.items()
        }
        yield address | {"feasible": True} | exact | _measured(construction, positions, support, truth_table)


def _measured(
    construction: Construction, positions: np.ndarray, support: np.ndarray, truth_table: np.ndarray
) -> dict[str, Any]:
    levels, query = construction.levels, construction.query
    ranges = output_ranges(positions, support, levels, query)
    ideal = levels.values[[int(levels.weights @ (i >> np.arange(len(support)) & 1)) for i in range(len(truth_table))]]
    p = construction.parameters
    extremes = logits_of(p, ACTIVATION, _outputs(ranges, positions.shape[1])).numpy() * np.where(
        np.repeat(truth_table, 2), 1, -1
    )
    grid = _outputs(np.linspace(-1, 1, GRID * levels.steps + 1), positions.shape[1])
    return {
        "certified": certified(ranges, levels, truth_table),
        "symmetric": bool((levels.weights == 1).all()),
        "sharpness": query.sharpness,
        "overlap": query.overlap,
        "leak": query.leak,
        "margin_used": float(np.abs(ranges - ideal[:, None]).max() * levels.steps),
        "margin": float(extremes.min()),
        "slope": float(slopes(p, ACTIVATION, grid).max()),
        **{name: float(value[0]) for name, value in head_norms(p, 1).items()},
        **readout_norms(p),
    }


def _outputs(y: np.ndarray, width: int) -> torch.Tensor:
    """The head's outputs, [n, d], whose first value is y, of any shape."""
    return torch.nn.functional.pad(torch.from_numpy(y).reshape(-1, 1), (0, width - 1))


def checked_inputs(support: np.ndarray, T: int, random_inputs: int, stream: Stream) -> np.ndarray:
    """Every setting of the support with the other bits all 0, all 1 and at random.

    Returns:
        bool [2**k · (2 + random_inputs), T].
    """
    k = len(support)
    settings = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(bool)
    others = np.concatenate([np.zeros((1, T), bool), np.ones((1, T), bool), stream.bernoulli(0.5, (random_inputs, T))])
    inputs = np.tile(others, (2**k, 1))
    inputs[:, support] = np.repeat(settings, len(others), axis=0)
    return inputs


def is_exact(
    model: StackedModel,
    construction: Construction,
    inputs: np.ndarray,
    support: np.ndarray,
    truth_table: np.ndarray,
    dtype: torch.dtype,
) -> bool:
    """Whether the model with these parameters, in a precision, labels all inputs, bool [n, T], correctly."""
    parameters = {name: tensor.to(dtype) for name, tensor in construction.parameters.items()}
    stack = ParameterStack.stack(model.shapes, [parameters])
    packed = torch.from_numpy(PackedBits.pack(inputs).data).unsqueeze(0)
    logits = model.logits(stack, model.encode(packed, dtype))[0]
    return bool((logits.isfinite().numpy() & ((logits > 0).numpy() == evaluate(truth_table, inputs, support))).all())
