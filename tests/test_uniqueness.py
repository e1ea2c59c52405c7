import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.data import uniqueness
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.search_bounds import search_size, too_large
from pipeline.data.uniqueness import consistent_supports, has_neighbour, is_unique
from pipeline.randomness import Stream

EVERY = 10**9


def brute_force(table, inputs, labels):
    k = len(table).bit_length() - 1
    supports = combinations(range(inputs.shape[1]), k)
    return [list(s) for s in supports if (evaluate(table, inputs, s) == labels).all()]


def draw_sample(name, k, T, n, seed=0):
    function = FUNCTIONS[name]
    table = function.truth_table(k, Stream("truth-table", k=k, seed=seed))
    support = Stream("support", seed=seed).subset(k, T)
    inputs = Stream("inputs", seed=seed).bernoulli(function.bit_probability(k), (n, T))
    return table, support, inputs, evaluate(table, inputs, support)


@st.composite
def samples(draw, tables):
    """A truth table and a sample: planted or arbitrary labels, repeated columns and samples, one or two words."""
    table = draw(tables)
    k = len(table).bit_length() - 1
    T = draw(st.integers(k, 8))
    inputs = draw(arrays(bool, (draw(st.integers(1, 12)), T)))
    inputs = inputs[:, draw(st.lists(st.integers(0, T - 1), min_size=T, max_size=T) | st.just(list(range(T))))]
    if draw(st.booleans()):
        inputs = np.tile(inputs, (draw(st.integers(1, 12)), 1))
    planted = evaluate(table, inputs, np.sort(draw(st.permutations(range(T)))[:k]))
    labels = draw(st.just(planted) | arrays(bool, len(inputs)))
    return table, inputs, labels


@st.composite
def registry_tables(draw):
    function = FUNCTIONS[draw(st.sampled_from(sorted(FUNCTIONS)))]
    k = draw(st.integers(1, 5).filter(lambda k: function.check_sparsity(k) is None))
    return function.truth_table(k, Stream("truth-table", seed=draw(st.integers(0, 1000))))


def any_table():
    return st.integers(1, 4).flatmap(lambda k: arrays(bool, 2**k))


def parity_table():
    return st.integers(1, 6).map(lambda k: FUNCTIONS["parity"].truth_table(k, Stream("unused")))


@settings(max_examples=300)
@given(samples(registry_tables() | any_table()))
def test_the_pruned_search_agrees_with_brute_force(sample):
    assert consistent_supports(*sample, limit=EVERY).tolist() == brute_force(*sample)


@settings(max_examples=300)
@given(samples(parity_table()), st.sampled_from([1, 2, 3, 2**16]), st.sampled_from([0, 3, 26]))
def test_the_linear_solver_agrees_with_brute_force(sample, block, sieve_bits):
    """In blocks of any size, behind a sieve that passes everything, much or little."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(uniqueness, "BLOCK_PAIRS", block)
        patched.setattr(uniqueness, "MAX_SIEVE_BITS", sieve_bits)
        assert consistent_supports(*sample, linear=True, limit=EVERY).tolist() == brute_force(*sample)


@given(samples(parity_table()), st.booleans(), st.integers(1, 6))
def test_the_limit_keeps_the_first_supports(sample, linear, limit):
    expected = brute_force(*sample)
    assert consistent_supports(*sample, linear=linear, limit=limit).tolist() == expected[:limit]
    assert is_unique(*sample, linear=linear) == (len(expected) == 1)


@settings(max_examples=300)
@given(samples(registry_tables() | any_table()), st.data())
def test_a_neighbour_is_a_consistent_support_with_one_other_position(sample, data):
    consistent = brute_force(*sample)
    if consistent:
        support = data.draw(st.sampled_from(consistent))
        shared = [len(set(support) & set(other)) for other in consistent]
        assert has_neighbour(*sample, np.array(support)) == (len(support) - 1 in shared)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("k", [1, 3])
def test_every_block_of_a_larger_search_is_visited(name, k, monkeypatch):
    monkeypatch.setattr(uniqueness, "BLOCK_PAIRS", 1)
    table, support, inputs, labels = draw_sample(name, k, T=14, n=5)
    found = consistent_supports(table, inputs, labels, linear=FUNCTIONS[name].linear, limit=EVERY).tolist()
    assert found == brute_force(table, inputs, labels)
    assert support.tolist() in found


# k, T and n at which the planted support is the only one, over several words of samples where n > 63.
UNIQUE = [
    ("and", 3, 1100, 100),
    ("and", 4, 300, 400),
    ("and", 5, 1100, 200),
    ("or", 3, 1100, 100),
    ("majority", 3, 1100, 60),
    ("majority", 5, 60, 130),
    ("junta", 3, 200, 60),
    ("parity", 3, 300, 70),
    ("parity", 6, 40, 45),
    ("parity", 12, 60, 120),
]


@pytest.mark.parametrize(("name", "k", "T", "n"), UNIQUE)
def test_a_large_sample_has_only_the_planted_support(name, k, T, n):
    table, support, inputs, labels = draw_sample(name, k, T, n)
    linear = FUNCTIONS[name].linear
    assert consistent_supports(table, inputs, labels, linear=linear, limit=EVERY).tolist() == [support.tolist()]
    assert is_unique(table, inputs, labels, linear=linear)
    assert not has_neighbour(table, inputs, labels, support)


@pytest.mark.parametrize(("name", "k", "T", "n"), UNIQUE[:-1])
def test_a_copied_column_plants_a_second_support(name, k, T, n):
    table, support, inputs, labels = draw_sample(name, k, T, n)
    # Beside the last of the support, so that it takes the same role.
    inputs = np.insert(inputs, support[-1], inputs[:, support[-1]], axis=1)
    planted = [support.tolist(), [*support[:-1].tolist(), support[-1] + 1]]
    linear = FUNCTIONS[name].linear
    assert consistent_supports(table, inputs, labels, linear=linear, limit=EVERY).tolist() == planted
    assert consistent_supports(table, inputs, labels, linear=linear, limit=1).tolist() == planted[:1]
    assert not is_unique(table, inputs, labels, linear=linear)
    assert has_neighbour(table, inputs, labels, support)


@pytest.mark.parametrize(("name", "k", "T", "n"), UNIQUE)
def test_a_flipped_label_leaves_no_support(name, k, T, n):
    table, _, inputs, labels = draw_sample(name, k, T, n)
    labels[n // 2] ^= True
    found = consistent_supports(table, inputs, labels, linear=FUNCTIONS[name].linear)
    assert found.shape == (0, k)
    assert found.dtype == np.int64


def test_parity_lists_no_pairs_at_three_positions():
    """All pairs of the 5000 positions would take 200 MB."""
    table, support, inputs, labels = draw_sample("parity", 3, T=5000, n=130)
    tracemalloc.start()
    found = consistent_supports(table, inputs, labels, linear=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.tolist() == [support.tolist()]
    assert peak < 20e6


def test_a_sieve_passes_all_keys_and_few_other_words():
    keys, others = np.random.default_rng(0).integers(2**64, size=(2, 10_000), dtype=np.uint64)
    sieve = uniqueness._Sieve(keys)
    assert sieve.passed(keys).tolist() == list(range(10_000))
    assert len(sieve.passed(others)) < 100


@pytest.mark.parametrize("n", [1, 10, 20])
def test_a_small_sample_of_a_long_context_ends_the_search_early(n):
    """Within the first of its blocks; all of them are 5e9 pairs."""
    table, _, inputs, labels = draw_sample("parity", 3, T=100_000, n=n)
    found = consistent_supports(table, inputs, labels, linear=True)
    assert [(evaluate(table, inputs, support) == labels).all() for support in found] == [True, True]
    assert found[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_small_sample_has_many_supports(name):
    table, _, inputs, labels = draw_sample(name, 3, T=200, n=8)
    found = consistent_supports(table, inputs, labels, linear=FUNCTIONS[name].linear, limit=50)
    assert len(found) == len(np.unique(found, axis=0)) == 50
    assert (np.diff(found, axis=1) > 0).all()
    assert all((evaluate(table, inputs, support) == labels).all() for support in found)
    assert not is_unique(table, inputs, labels, linear=FUNCTIONS[name].linear)


def test_the_order_of_the_support_matters_to_an_asymmetric_function():
    # g is 1 where the first position is 0 and the second 1: of two copied pairs only the ascending ones fit.
    table = np.array([False, False, True, False])
    first, second = np.array([0, 1, 0, 1], dtype=bool), np.array([0, 0, 1, 1], dtype=bool)
    inputs = np.stack([second, first, second, first], axis=1)
    assert consistent_supports(table, inputs, ~first & second, limit=EVERY).tolist() == [[1, 2]]


def test_samples_beyond_the_first_word_count():
    # All columns agree on the first 64 samples; only the later ones tell them apart.
    later = np.eye(4, dtype=bool)
    inputs = np.concatenate([np.ones((64, 4), dtype=bool), later])
    for name, linear in (("or", False), ("parity", True)):
        table = FUNCTIONS[name].truth_table(1, Stream("unused"))
        labels = np.concatenate([np.ones(64, dtype=bool), later[:, 1]])
        assert consistent_supports(table, inputs, labels, linear=linear, limit=EVERY).tolist() == [[1]]
        # Without the last two samples the system has no full column rank.
        assert consistent_supports(table, inputs[:66], labels[:66], linear=linear, limit=EVERY).tolist() == [[1]]


def test_the_only_solution_of_a_regular_system_has_to_have_the_sparsity():
    inputs, labels = np.eye(5, dtype=bool), np.array([1, 0, 1, 1, 0], dtype=bool)
    found = {k: FUNCTIONS["parity"].truth_table(k, Stream("unused")) for k in range(1, 6)}
    found = {k: consistent_supports(table, inputs, labels, linear=True).tolist() for k, table in found.items()}
    assert found == {1: [], 2: [], 3: [[0, 2, 3]], 4: [], 5: []}


def test_all_columns_zero_leave_every_support_or_none():
    table, inputs = FUNCTIONS["parity"].truth_table(2, Stream("unused")), np.zeros((70, 4), dtype=bool)
    pairs = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    for linear in (True, False):
        assert consistent_supports(table, inputs, np.zeros(70, bool), linear=linear, limit=EVERY).tolist() == pairs
        assert len(consistent_supports(table, inputs, np.ones(70, bool), linear=linear)) == 0


def test_a_context_shorter_than_the_support_has_no_support():
    inputs = np.zeros((5, 2), dtype=bool)
    for name, linear in (("and", False), ("parity", True)):
        table = FUNCTIONS[name].truth_table(3, Stream("unused"))
        assert consistent_supports(table, inputs, np.zeros(5, dtype=bool), linear=linear).shape == (0, 3)


@pytest.mark.parametrize("entries", [0, 1, 3, 6])
def test_a_truth_table_of_another_length_is_refused(entries):
    with pytest.raises(ValueError, match=f"{entries} entries"):
        consistent_supports(np.zeros(entries, dtype=bool), np.zeros((5, 4), dtype=bool), np.zeros(5, dtype=bool))


def test_inputs_and_labels_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="5 inputs with 6 labels"):
        is_unique(np.array([False, True]), np.zeros((5, 4), dtype=bool), np.zeros(6, dtype=bool))


@pytest.mark.parametrize(
    ("function", "k", "largest", "problem"),
    [
        ("junta", 3, 1818, "1.0e+09 supports where 1e+09 are allowed"),
        ("majority", 3, 10_627, "2.0e+11 supports where 2e+11 are allowed"),
        ("parity", 3, 100_000, "5.0e+09 2-subsets where 5e+09 are allowed"),
        ("parity", 4, 4472, "1.0e+07 2-subsets where 1e+07 are allowed for n < 4503"),
        ("parity", 5, 3108, "5.0e+09 3-subsets where 5e+09 are allowed for n < 3139"),
        ("parity", 6, 392, "1.0e+07 3-subsets where 1e+07 are allowed for n < 423"),
    ],
)
def test_what_a_search_may_take(function, k, largest, problem):
    assert too_large(function, k, largest, n=largest) is None
    assert (
        too_large(function, k, largest + 1, n=largest + 1)
        == f"k = {k}, T = {largest + 1}: too large a search, {problem}"
    )


def test_and_and_or_may_take_anything():
    assert too_large("and", 16, 10**6, n=20) is too_large("or", 16, 10**6, n=20) is None


def test_a_parity_with_spare_samples_is_solved_whatever_k():
    """A sample of T + 30 determines the support, as all but 2^-30 of them do."""
    k, T, n = 16, 90, 120
    assert too_large("parity", k, T, n - 1) == (
        "k = 16, T = 90: too large a search, 7.8e+10 8-subsets where 5e+09 are allowed for n < 120"
    )
    assert too_large("parity", k, T, n) is None
    assert too_large("majority", k, T, n).endswith("2e+11 are allowed")
    assert too_large("parity", 5, 10_001, 20_000).endswith("5e+09 are allowed")
    assert search_size("parity", k, T, n) == T * n
    table = np.array([bits.bit_count() % 2 == 1 for bits in range(2**k)])
    rng = np.random.default_rng(5)
    for _ in range(40):
        inputs, support = rng.random((n, T)) < 0.5, np.sort(rng.choice(T, k, replace=False))
        found = consistent_supports(table, inputs, inputs[:, support].sum(axis=1) % 2 == 1, linear=True)
        np.testing.assert_array_equal(found, support[None])


def test_a_search_for_a_parity_passes_heads_and_any_other_supports():
    assert [search_size(name, 3, 10, n=39) for name in ("junta", "majority", "parity")] == [120, 120, 45]
    assert [search_size("parity", k, 10, n=39) for k in (1, 2, 4, 5)] == [10, 10, 45, 120]
