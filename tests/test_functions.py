from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.functions import FUNCTIONS, MAX_SPARSITY, evaluate, function_problem
from pipeline.randomness import Stream

STUDIED = ("and", "or", "parity", "majority", "junta")
UNBALANCED = set()  # names of functions of one's own whose label no bit probability balances at every k
DEFINITIONS = {"and": all, "or": any, "parity": lambda x: sum(x) % 2 == 1, "majority": lambda x: 2 * sum(x) > len(x)}


def draw_table(name, k, seed=0):
    return FUNCTIONS[name].truth_table(k, Stream("truth-table", k=k, seed=seed))


def little_endian_assignments(k):
    return [bits[::-1] for bits in product((0, 1), repeat=k)]


def sparsities(name, largest):
    return [k for k in range(1, largest + 1) if FUNCTIONS[name].check_sparsity(k) is None]


def test_the_registry_holds_the_functions_of_the_study():
    assert set(FUNCTIONS) >= set(STUDIED)
    assert [name for name in STUDIED if FUNCTIONS[name].linear] == ["parity"]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_truth_tables_follow_the_definitions(name):
    for k in sparsities(name, 7):
        table = draw_table(name, k)
        assert table.dtype == bool
        assert table.tolist() == [bool(DEFINITIONS[name](x)) for x in little_endian_assignments(k)]


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - UNBALANCED))
def test_labels_are_balanced_at_the_bit_probability(name):
    for k in sparsities(name, MAX_SPARSITY):
        p = FUNCTIONS[name].bit_probability(k)
        ones = np.bitwise_count(np.arange(2**k)).astype(int)
        assert np.sum(draw_table(name, k) * p**ones * (1 - p) ** (k - ones)) == pytest.approx(0.5, abs=1e-12)


def test_sparsities_are_bounded_and_odd_for_majority():
    for name, function in FUNCTIONS.items():
        assert function.check_sparsity(0) == "k must be from 1 to 16, not 0"
        assert function.check_sparsity(17) == "k must be from 1 to 16, not 17"
        expected = range(1, 17, 2) if function.odd_sparsity else range(1, 17)
        assert sparsities(name, 16) == list(expected)
    assert "k must be odd, not 4" in FUNCTIONS["majority"].check_sparsity(4)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_registry_is_what_it_says(name):
    assert [function_problem(name, k) for k in sparsities(name, MAX_SPARSITY)] == [None] * len(
        sparsities(name, MAX_SPARSITY)
    )
    assert function_problem(name, 17) == "k must be from 1 to 16, not 17"


@given(st.integers(1, 10), st.integers(0, 10**6))
def test_juntas_are_balanced_with_every_bit_relevant(k, seed):
    table = draw_table("junta", k, seed)
    assert table.sum() == 2 ** (k - 1)
    entries = np.arange(2**k)
    assert all((table != table[entries ^ (1 << j)]).any() for j in range(k))


def test_juntas_are_uniform_among_those_allowed():
    # At k = 2 only XOR and its negation are balanced with both bits relevant.
    tables = [tuple(draw_table("junta", 2, seed).tolist()) for seed in range(200)]
    assert set(tables) == {(False, True, True, False), (True, False, False, True)}
    assert 70 <= tables.count((False, True, True, False)) <= 130
    # At k = 3, of the C(8, 4) = 70 balanced tables: 6 are (negated) single bits and 6 are (negated) XORs of two bits.
    assert len({draw_table("junta", 3, seed).tobytes() for seed in range(800)}) == 58


def test_juntas_are_functions_of_their_stream():
    assert draw_table("junta", 5, 3).tolist() == draw_table("junta", 5, 3).tolist()
    assert draw_table("junta", 5, 3).tolist() != draw_table("junta", 5, 4).tolist()


def test_evaluate_reads_the_support_in_little_endian_order():
    table = np.array([False, True, False, False])  # one exactly where the first position is 1 and the second 0
    inputs = np.array([[0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)
    assert evaluate(table, inputs, np.array([1, 3])).tolist() == [True, False, False, True]


@given(st.sampled_from(sorted(DEFINITIONS)), st.integers(0, 5), st.integers(0, 100))
def test_evaluate_labels_contexts_of_any_batch_shape(name, half, seed):
    k = 2 * half + 1
    inputs = Stream("inputs", seed=seed).bernoulli(0.5, (3, 4, 20))
    support = Stream("support", seed=seed).subset(k, 20)
    labels = evaluate(draw_table(name, k), inputs, support)
    assert labels.shape == (3, 4)
    assert labels.dtype == bool
    expected = [[bool(DEFINITIONS[name](x[support].astype(int).tolist())) for x in row] for row in inputs]
    assert labels.tolist() == expected
    assert evaluate(draw_table(name, k), inputs[1, 2], support) == labels[1, 2]


def test_evaluate_reaches_the_last_entry_at_the_largest_sparsity():
    support = np.arange(MAX_SPARSITY)
    inputs = np.array([[True] * 16, [True] * 15 + [False]])
    assert evaluate(draw_table("and", 16), inputs, support).tolist() == [True, False]


def test_evaluate_refuses_what_does_not_fit():
    inputs = np.zeros((2, 5), dtype=bool)
    with pytest.raises(ValueError, match="4 entries does not fit 3 positions"):
        evaluate(np.zeros(4, dtype=bool), inputs, np.array([0, 1, 2]))
    with pytest.raises(IndexError):
        evaluate(np.zeros(4, dtype=bool), inputs, np.array([0, 5]))
