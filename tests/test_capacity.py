"""Capacity: lemmas by search for counterexamples, bounds against values by hand and against what they must do."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import softmax

from pipeline.theory.capacity import (
    counting_bound,
    head_entropy,
    linear_entropy,
    norm_bound,
    rademacher_bound,
    remembered_entropy,
    samples_for,
    side_by_side,
)
from pipeline.theory.evaluation import capacity

scores = st.integers(2, 30).flatmap(
    lambda size: st.tuples(*(arrays.arrays(float, size, elements=st.floats(-30, 30)) for _ in range(2)))
)
norms = st.floats(0.01, 100)


class TestLemmas:
    @given(scores)
    def test_softmax_is_2_lipschitz_from_the_infinity_to_the_1_norm(self, pair):
        a, b = pair
        assert np.abs(softmax(a) - softmax(b)).sum() <= 2 * np.abs(a - b).max() + 1e-12

    def test_with_no_constant_below_1(self):
        """Where half of the weight moves up and half down, the ratio comes near 1: the constant 2 has some room."""
        step = 1e-4
        a, b = np.array([0.0, 0.0]), np.array([step, -step])
        assert np.abs(softmax(a) - softmax(b)).sum() / step == pytest.approx(1, rel=1e-3)

    @given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 4), st.floats(0.1, 3))
    def test_a_head_moves_by_no_more_than_its_two_parts(self, seed, d, e, scale):
        """Step 1: ‖h - h'‖ ≤ max_t ‖(V - V')ᵀ x_t‖ + 2 s max_t |x_tᵀ (q - q')|."""
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(7, d))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        value, other_value = scale * generator.normal(size=(2, d, e))
        query, other_query = 5 * scale * generator.normal(size=(2, d))
        moved = np.linalg.norm(value.T @ x.T @ softmax(x @ query) - other_value.T @ x.T @ softmax(x @ other_query))
        values = np.linalg.norm(x @ (value - other_value), axis=1).max()
        attention = 2 * np.linalg.norm(value, 2) * np.abs(x @ (query - other_query)).max()
        assert moved <= values + attention + 1e-12

    @given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.3, 1.5))
    def test_the_cover_of_a_linear_class_is_within_the_bound(self, seed, points, scale):
        """Step 2: a packing of the unit disc in the sup norm over points of norm 1, as large as greed makes it.

        Every cover at half the scale has an element of its own for each member of the packing.
        """
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(points, 2))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 25)] * 2), -1).reshape(-1, 2)
        values = grid[np.linalg.norm(grid, axis=1) <= 1] @ x.T
        packing = []
        while len(values):
            packing.append(values[0])
            values = values[np.abs(values - values[0]).max(1) > scale]
        assert math.log(len(packing)) <= math.log(2) + linear_entropy(1.0, points) / scale**2

    def test_the_sup_norm_of_a_gaussian_is_within_what_step_2_takes(self):
        generator = np.random.default_rng(0)
        for outputs in (1, 4):
            x = generator.normal(size=(400, 30))
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            drawn = np.linalg.norm(x @ generator.normal(size=(300, 30, outputs)), axis=2).max(1).mean()
            allowed = math.sqrt(linear_entropy(1.0, 400, outputs) / 8)
            assert 0.7 * allowed < drawn < allowed


class TestBounds:
    def test_by_hand(self):
        assert linear_entropy(1.0, 50) == pytest.approx(16 * math.log(100))
        assert linear_entropy(2.0, 100, 4) == pytest.approx(32 * (2 + math.sqrt(2 * math.log(100))) ** 2)
        # both parts alike, A = 4 s² B: (2 A^⅓)³ = 8 A
        assert head_entropy(2.0, 1.0, 1.0, 10, 5) == pytest.approx(8 * 4 * 16 * math.log(100))
        assert remembered_entropy(1.0, 2.0, 0.5, 10, 10) == pytest.approx(8 * math.log(100))
        assert remembered_entropy(1.0, 2.0, 0.5, 10, 10, lipschitz=3.0) == pytest.approx(72 * math.log(100))
        assert side_by_side([4.0, 9.0]) == pytest.approx(25)
        assert counting_bound(1000, 2000, delta=1.0) == pytest.approx(math.sqrt(32_000 * math.log(2) / 4000))

    @given(norms, norms, norms, st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 8))
    def test_a_head_s_entropy_grows_with_every_norm_and_like_the_log_of_T(self, v, s, r, m, T, e):
        base = head_entropy(v, s, r, m, T, e)
        for more in ((2 * v, s, r), (v, 2 * s, r), (v, s, 2 * r)):
            assert base < head_entropy(*more, m, T, e) <= 4 * base * (1 + 1e-12)
        assert head_entropy(2 * v, 2 * s, r, m, T, e) == pytest.approx(4 * base)
        assert base <= head_entropy(v, s, r, m, T * T, e) <= 2 * base * (1 + 1e-12)

    @given(norms, norms, norms, st.integers(2, 10**6))
    def test_the_split_between_the_parts_is_the_best(self, v, s, r, tokens):
        A, B = linear_entropy(v, tokens), 4 * s**2 * linear_entropy(r, tokens)
        shares = np.linspace(1e-4, 1 - 1e-4, 2001)
        best = (A / shares**2 + B / (1 - shares) ** 2).min()
        assert head_entropy(v, s, r, tokens, 1) == pytest.approx(best, rel=0.05)
        assert head_entropy(v, s, r, tokens, 1) <= best * (1 + 1e-9)

    @given(st.floats(1e-4, 1e8), st.floats(0, 50), st.floats(1, 1e12))
    def test_chaining_is_what_the_integral_says_and_no_more_than_a_scale_alone(self, entropy, offset, m):
        found = rademacher_bound(entropy, offset, m)
        scales = np.geomspace(1e-9, 1, 4001)
        single = (scales + np.sqrt(2 * (offset + entropy / scales**2) / m)).min()
        roots = np.sqrt(offset) + np.sqrt(entropy) / scales
        areas = np.concatenate([np.cumsum((np.diff(scales) * (roots[1:] + roots[:-1]) / 2)[::-1])[::-1], [0]])
        chained = (4 * scales + 12 / math.sqrt(m) * areas).min()
        best = min(chained, single, 1)
        assert 0.98 * best <= found <= min(1.5 * best, 1)

    def test_the_promise_falls_with_the_samples_and_the_samples_keep_it(self):
        def promise(m: float) -> float:
            return norm_bound(1e3, 1.0, m)

        assert [promise(m) for m in (10, 1e5, 1e7, 1e9)] == sorted(
            (promise(m) for m in (10, 1e5, 1e7, 1e9)), reverse=True
        )
        m = samples_for(promise, 0.5)
        assert promise(m) == pytest.approx(0.5, rel=1e-6)
        p = 1234
        closed = (32 * p * math.log(2) + math.log(20)) / (2 * 0.25)
        assert samples_for(lambda m: counting_bound(p, m), 0.5) == pytest.approx(closed)


def head_rows(**changes) -> pd.DataFrame:
    row = {"T": 100, "seed": 0, "n": 50, "v_frobenius": 1.0, "v_spectral": 1.0, "v_21": 1.0, "qk_21": 3.0, "query": 2.0}
    row |= {"slope": 4.0, "margin": 2.0, "train_error": 0.0, "holdout_error": 0.01, "parameters": 1}
    return pd.DataFrame([row | changes])


class TestEvaluation:
    def test_of_one_constructed_and_one_trained_head(self):
        model = {"kind": "transformer", "layers": 1, "width": 8, "heads": 2, "mlp_width": 4, "init_std": 0.02}
        model |= {"activation": "relu", "dropout": {"attention": 0, "residual": 0, "mlp": 0, "embedding": 0}}
        constructed = pd.concat([head_rows(T=T).assign(feasible=T < 1000) for T in (100, 1000)])
        wrong = head_rows(seed=1, margin=-0.1)
        trained = pd.concat([head_rows(), head_rows(), wrong], ignore_index=True)
        table = capacity(constructed, trained, model).set_index(["bound", "source", "T"])
        entropy = 4 * head_entropy(1.0, 1.0, 2.0, 50, 100)
        one, two = table.loc[("norms", "constructed", 100)], table.loc[("norms", "trained", 100)]
        assert one["root_entropy"] ** 2 * 50 == pytest.approx(entropy + 2 * math.log(2))
        pair = 4 * side_by_side([head_entropy(1.0, 1.0, 2.0, 50, 100, outputs=4)] * 2)
        assert two["root_entropy"] ** 2 * 50 == pytest.approx(pair + 4 * math.log(2))
        assert two["observed_gap"] == pytest.approx(0.01)
        assert len(table.loc["norms"]) == 2, "neither what does not exist nor a run without a margin"
        counted = table.loc["parameters"].droplevel("source")
        assert counted["samples"][1000] - counted["samples"][100] == pytest.approx(900 * 8 * 32 * math.log(2) / 0.5)
