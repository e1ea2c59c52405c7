"""Constructed heads: exact on every input, in the model that is trained, and with the norms that the theorem says."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.bits import PackedBits
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.reference import ReferenceTransformer, reference_state
from pipeline.theory.construction import (
    Construction,
    Levels,
    TooNarrow,
    Zigzag,
    aligned_query,
    certified,
    construct,
    output_ranges,
    position_vectors,
)
from pipeline.theory.norms import head_norms, readout_norms
from pipeline.theory.readout import logits_of, slopes
from pipeline.theory.representation import checked_inputs, is_exact, representation

LENGTH, WIDTH = 9, 32


@cache
def positions(T: int = LENGTH, width: int = WIDTH) -> np.ndarray:
    return position_vectors(T, width, Stream("test-positions", T=T, width=width))


def every_input(T: int) -> np.ndarray:
    return (np.arange(2**T)[:, None] >> np.arange(T) & 1).astype(bool)


def model_of(T: int = LENGTH, width: int = WIDTH, mlp_width: int = 16, **options) -> Transformer:
    settings = {"heads": 1, "init_std": 0.02, "activation": "relu"} | options
    return Transformer(T, width, mlp_width=mlp_width, **settings)


def stack_of(model: Transformer, construction: Construction) -> ParameterStack:
    return ParameterStack.stack(model.shapes, [construction.parameters])


def labels(model: Transformer, construction: Construction, inputs: np.ndarray) -> np.ndarray:
    packed = torch.from_numpy(PackedBits.pack(inputs).data).unsqueeze(0)
    return (model.logits(stack_of(model, construction), packed)[0] > 0).numpy()


def table_of(function: str, k: int) -> np.ndarray:
    return FUNCTIONS[function].truth_table(k, Stream("test-table", function=function, k=k))


supports = st.sets(st.integers(0, LENGTH - 1), min_size=1, max_size=4).map(lambda chosen: np.array(sorted(chosen)))


class TestExactness:
    @given(supports, st.data())
    def test_any_function_of_the_bits_on_all_inputs(self, support, data):
        size = 2 ** len(support)
        bits = data.draw(st.integers(1, 2**size - 2), label="truth table")  # neither constant 0 nor constant 1
        truth_table = (bits >> np.arange(size) & 1).astype(bool)
        model, inputs = model_of(), every_input(LENGTH)
        construction = construct(model, positions(), support, truth_table)
        assert (labels(model, construction, inputs) == evaluate(truth_table, inputs, support)).all()
        ranges = output_ranges(positions(), support, construction.levels, construction.query)
        assert certified(ranges, construction.levels, truth_table)

    @pytest.mark.parametrize("function", ["and", "or", "majority", "parity", "junta"])
    def test_the_reference_module_says_the_same_of_the_loaded_weights(self, function):
        model, support, inputs = model_of(), np.array([1, 4, 7]), every_input(LENGTH)
        truth_table = table_of(function, 3)
        stack = stack_of(model, construct(model, positions(), support, truth_table))
        reference = ReferenceTransformer(LENGTH, WIDTH, 1, 16, activation="relu", cls_only=True).double()
        reference.load_state_dict(reference_state(stack, 0))
        with torch.no_grad():
            logits = reference(torch.from_numpy(inputs))
        packed = torch.from_numpy(PackedBits.pack(inputs).data).unsqueeze(0)
        torch.testing.assert_close(model.logits(stack, packed)[0], logits, rtol=1e-9, atol=1e-9)
        assert ((logits > 0).numpy() == evaluate(truth_table, inputs, support)).all()

    def test_in_the_shape_of_the_trained_model_with_gelu(self):
        model = model_of(heads=8, activation="gelu")
        inputs, support = every_input(LENGTH), np.array([0, 3, 8])
        for function in ("and", "or", "majority"):
            construction = construct(model, positions(), support, table_of(function, 3), scale=0.02)
            expected = evaluate(table_of(function, 3), inputs, support)
            assert (labels(model, construction, inputs) == expected).all()
        with pytest.raises(ValueError, match="gelu is no zigzag of 3 zeros"):
            construct(model, positions(), support, table_of("parity", 3))

    @pytest.mark.parametrize("function", ["and", "junta"])
    def test_a_long_context_in_both_precisions(self, function):
        T, support = 20_000, np.array([0, 777, 19_999])
        model, truth_table = model_of(T, 128, 64), table_of(function, 3)
        construction = construct(model, positions(T, 128), support, truth_table)
        inputs = checked_inputs(support, T, 3, Stream("test-inputs"))
        assert len(np.unique(inputs[:, support], axis=0)) == 8
        for dtype in (torch.float32, torch.float64):
            assert is_exact(model, construction, inputs, support, truth_table, dtype)
            assert not is_exact(model, construction, inputs, support, ~truth_table, dtype)

    def test_too_little_width_is_named(self):
        crowded = positions(2000, 16)
        with pytest.raises(TooNarrow, match="width 16 is too small for T = 2000, k = 3"):
            aligned_query(crowded, np.array([1, 2, 3]), np.ones(3))
        with pytest.raises(TooNarrow, match="the label changes 3 times, and the MLP has 2 hidden units"):
            construct(model_of(mlp_width=2), positions(), np.array([0, 1, 2]), table_of("parity", 3))
        with pytest.raises(TooNarrow, match="a width of 8 at least, not 7"):
            position_vectors(10, 7, Stream("test"))


class TestParts:
    def test_position_vectors_are_unit_and_centred_and_nearly_orthogonal(self):
        vectors = positions(500, 256)
        gram = vectors @ vectors.T
        np.testing.assert_allclose(np.diag(gram), 1)
        np.testing.assert_allclose(vectors.sum(1), 0, atol=1e-12)
        assert not vectors[:, :4].any()
        assert np.abs(gram - np.eye(500)).max() < 4.5 / np.sqrt(252) + 0.1

    def test_levels(self):
        assert Levels.of(table_of("and", 3)).labels.tolist() == [False, False, False, True]
        assert Levels.of(table_of("and", 3)).changes.tolist() == pytest.approx([2 / 3])
        assert Levels.of(table_of("parity", 3)).changes.tolist() == pytest.approx([-2 / 3, 0, 2 / 3])
        table = np.array([0, 1, 0, 0], dtype=bool)  # the first bit alone
        assert Levels.of(table).weights.tolist() == [1, 2]
        assert Levels.of(table).changes.tolist() == pytest.approx([-2 / 3, 0])

    @given(supports, st.lists(st.sampled_from([1.0, 2.0, 4.0, 8.0]), min_size=4, max_size=4))
    def test_attention_on_the_support_has_the_proportions_and_the_leak_is_within_its_budget(self, support, drawn):
        weights = np.array(drawn[: len(support)])
        query = aligned_query(positions(), support, weights)
        scores = np.exp(positions() @ query.vector)
        on = scores[support]
        np.testing.assert_allclose(on / on[0], weights / weights[0])
        outside = 1 + np.delete(scores, support).sum()  # [CLS]'s own score is 0
        assert outside / on.sum() == pytest.approx(query.leak)
        assert query.leak == pytest.approx(1 / (4 * weights.sum()), rel=1e-6)

    @given(
        st.lists(st.floats(0.05, 2), min_size=1, max_size=7),
        st.booleans(),
    )
    def test_the_zigzag_has_its_zeros_and_signs(self, gaps, rises):
        zeros = np.cumsum(gaps)
        points = np.concatenate([[0.0], (zeros[:-1] + zeros[1:]) / 2, [zeros[-1] + 1]])
        zigzag = Zigzag.through(zeros, points, -1.0, rises)

        def value(x: np.ndarray) -> np.ndarray:
            return np.maximum(x[:, None] - zigzag.kinks, 0) @ zigzag.slopes + zigzag.offset

        np.testing.assert_allclose(value(zeros), 0, atol=1e-6 * np.abs(zigzag.slopes).max())
        signs = np.where(np.arange(len(points)) % 2, 1, -1) * (1 if rises else -1)
        assert (value(points) * signs >= 1 - 1e-6).all()
        assert np.abs(value(points)).min() == pytest.approx(1, rel=1e-6)

    def test_the_certificate_refuses_what_strays(self):
        levels, table = Levels.of(table_of("and", 2)), table_of("and", 2)
        ideal = np.array([-1, 0, 0, 1.0])
        right = np.stack([ideal - 0.4, ideal + 0.4], 1)
        assert certified(right, levels, table)
        assert not certified(right + np.array([0, 0.2]), levels, table)
        assert not certified(right, levels, ~table)

    def test_the_readout_alone_is_the_rest_of_the_model(self):
        model = model_of()
        parameters = construct(model, positions(), np.array([2, 5]), table_of("and", 2)).parameters
        y = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
        attended = torch.nn.functional.pad(y, (0, WIDTH - 1))
        assert (logits_of(parameters, "relu", attended) > 0).tolist() == [False, False, True]
        step = torch.zeros(WIDTH, dtype=torch.float64)
        step[0] = 1e-6
        rise = (logits_of(parameters, "relu", attended + step) - logits_of(parameters, "relu", attended - step)) / 2e-6
        along = slopes(parameters, "relu", attended)
        torch.testing.assert_close(along, rise.abs(), rtol=1e-5, atol=1e-6)


class TestNorms:
    def test_of_a_head_by_hand(self):
        """The construction says what the effective weights are: √2 u ⊗ a unit query, and √2 b."""
        model, support = model_of(), np.array([1, 4, 7])
        construction = construct(model, positions(), support, table_of("and", 3))
        norms = {name: float(value[0]) for name, value in head_norms(construction.parameters, 1).items()}
        expected = 2**0.5 * np.linalg.norm(construction.query.vector)
        assert norms["query"] == pytest.approx(expected, rel=1e-4)  # LayerNorm's epsilon
        assert norms["qk_frobenius"] == pytest.approx(expected, rel=1e-4)
        assert norms["qk_21"] == pytest.approx(2**0.5 * expected, rel=1e-4)
        for name in ("v_frobenius", "v_21", "v_spectral"):
            assert norms[name] == pytest.approx(2**0.5, rel=1e-4)

    def test_a_scale_and_a_gain_that_cancel_change_nothing(self):
        model = model_of(heads=4)
        p = dict(construct(model, positions(), np.array([1, 4]), table_of("and", 2)).parameters)
        before = head_norms(p, 4) | readout_norms(p)
        for name in ("query", "key", "value"):
            p[f"{name}_weight"] = p[f"{name}_weight"] / 3
        p["attention_norm_gain"] = p["attention_norm_gain"] * 3
        p["attention_norm_bias"] = p["attention_norm_bias"] + 0.1 * torch.eye(WIDTH, dtype=torch.float64)[20]
        after = head_norms(p, 4) | readout_norms(p)
        for name in ("qk_frobenius", "qk_21", "v_frobenius", "v_21", "v_spectral"):
            torch.testing.assert_close(after[name], before[name])

    def test_they_grow_as_the_theorem_says(self):
        sweeps = {
            "length": {"T": [50, 500, 5000], "k": [3], "width": [128], "supports": 2},
            "sparsity": {"T": [50], "k": [2, 4, 6], "width": [128], "supports": 1},
        }
        table = representation(["and", "parity", "junta"], 2, sweeps)
        assert table[["feasible", "certified", "exact_float32", "exact_float64"]].all().all()
        assert (table["margin_used"] < 0.5).all()
        by_length = (
            table[(table["sweep"] == "length") & (table["function"] == "and")].groupby("T")["qk_frobenius"].mean()
        )
        first, second = np.diff(by_length)
        assert 0.5 < second / first < 2.2, "a tenfold T adds about as much each time"
        readout = table[table["sweep"] == "sparsity"].pivot_table(
            index="k", columns="function", values="readout_frobenius"
        )
        assert (readout["and"] / readout.index).between(1.5, 3).all()
        assert (readout["parity"] / readout.index**2).between(2, 6).all()
        assert readout["junta"][6] / readout["junta"][4] > 8
