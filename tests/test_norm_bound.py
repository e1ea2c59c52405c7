"""Bounds on attention weights: every head ends within them, those inside stay, and the projection is the nearest."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipeline.engine.norm_bound import bound_norms, norm_of_product
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import NormBound

RUNS, HEADS, PER_HEAD = 2, 3, 2
WIDTH = HEADS * PER_HEAD
LAYERS = [tuple(f"{layer}{name}_weight" for name in ("query", "key", "value")) for layer in ("", "layer2_")]
NAMES = [name for layer in LAYERS for name in layer]
MODEL = SimpleNamespace(heads=HEADS, attention_weights=LAYERS)
NORMS = {"frobenius": lambda matrix: np.linalg.norm(matrix), "2,1": lambda matrix: np.linalg.norm(matrix, axis=0).sum()}
norms = st.sampled_from(["frobenius", "2,1"])
limits = st.floats(0.05, 20.0)


def stack(seed: int, scale: float) -> ParameterStack:
    """Query, key and value weights of two layers, their entries of different sizes."""
    generator = torch.Generator().manual_seed(seed)
    size = RUNS * len(NAMES) * WIDTH**2
    flat = torch.randn(size, dtype=torch.float64, generator=generator) * scale
    return ParameterStack(dict.fromkeys(NAMES, (WIDTH, WIDTH)), flat * 10 ** torch.randn(size, generator=generator))


def heads(parameters: ParameterStack, name: str) -> np.ndarray:
    """The weights of all heads, [R · H, e, d]."""
    return parameters[name].reshape(-1, PER_HEAD, WIDTH).numpy().copy()


def matrices(parameters: ParameterStack) -> dict[str, np.ndarray]:
    """Of each layer and head, W_V and W_QK in the paper's orientation: [R · H, d, e] and [R · H, d, d]."""
    found = {}
    for number, names in enumerate(LAYERS, start=1):
        query, key, value = (heads(parameters, name) for name in names)
        found[f"{number} value"] = value.transpose(0, 2, 1)
        found[f"{number} query-key"] = key.transpose(0, 2, 1) @ query
    return found


@given(st.integers(0, 1000), st.floats(0.01, 10), norms, limits, limits)
def test_every_head_ends_within_the_bounds_and_those_inside_stay(seed, scale, norm, value, query_key):
    parameters = stack(seed, scale)
    before = matrices(parameters)
    bound_norms(parameters, MODEL, NormBound(norm, value, query_key))
    after = matrices(parameters)
    for name in before:
        limit = value if name.endswith("value") else query_key
        for old, new in zip(before[name], after[name], strict=True):
            size = NORMS[norm](old)
            assert NORMS[norm](new) <= limit * (1 + 1e-12) + size * 1e-15
            if size <= limit * (1 - 1e-12):
                assert (new == old).all()
            else:
                assert NORMS[norm](new) == pytest.approx(limit, rel=1e-9)


@given(st.integers(0, 1000), norms)
def test_the_norm_of_a_product_is_found_without_forming_it(seed, norm):
    parameters = stack(seed, 1.0)
    query, key = (torch.from_numpy(heads(parameters, name)) for name in ("query_weight", "key_weight"))
    expected = [NORMS[norm](matrix) for matrix in matrices(parameters)["1 query-key"]]
    assert norm_of_product(query, key, norm).tolist() == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 1000), norms, st.floats(0.05, 0.95))
def test_a_value_weight_goes_to_the_nearest_point_of_the_ball(seed, norm, share):
    """P is the point of a convex set nearest to A if and only if <A - P, Y - P> <= 0 for every Y of the set.

    Over a ball, <A - P, Y> is at most its radius times the dual norm of A - P.
    """
    parameters = stack(seed, 1.0)
    old = heads(parameters, "value_weight")[0].T
    limit = share * NORMS[norm](old)
    bound_norms(parameters, MODEL, NormBound(norm, limit, None))
    new = heads(parameters, "value_weight")[0].T
    dual = np.linalg.norm(old - new) if norm == "frobenius" else np.linalg.norm(old - new, axis=0).max()
    assert NORMS[norm](new) == pytest.approx(limit)
    assert limit * dual <= ((old - new) * new).sum() * (1 + 1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_the_nearest_point_is_that_of_numerical_optimisation(norm, share):
    parameters = stack(3, 0.3)
    old = heads(parameters, "value_weight")[0].T
    limit = share * NORMS[norm](old)
    bound_norms(parameters, MODEL, NormBound(norm, limit, None))
    found = minimize(
        lambda entries: ((entries - old.ravel()) ** 2).sum(),
        old.ravel() * share * 0.9,
        constraints={"type": "ineq", "fun": lambda entries: limit - NORMS[norm](entries.reshape(old.shape))},
        options={"ftol": 1e-12, "maxiter": 80},
    )
    new = heads(parameters, "value_weight")[0].T
    np.testing.assert_allclose(new, found.x.reshape(old.shape), rtol=0, atol=1e-3 * np.abs(old).max())
