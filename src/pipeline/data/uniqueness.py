"""Whether a sample determines the support: the exact search for all supports that are consistent with it.

The class is ``{x -> g(x_S)}`` over the k-subsets S of the T positions, with the truth table g known (see
``pipeline.data.functions`` for its layout). A training set consistent with several supports cannot tell them apart, so
no learner can be blamed for picking another one.

Columns of the sample are packed 64 samples to a word, ``[W, T]``, so one bitwise operation treats 64 samples.
"""

from collections.abc import Iterator
from itertools import chain, combinations, islice
from math import comb
from typing import NamedTuple

import numpy as np

# The pairs of a prefix, or for parity a first position, and its continuation tested in one vectorised step: few enough
# to stay in the cache and to stop soon after the limit is reached, enough to outweigh the overhead of the step.
BLOCK_PAIRS = 2**16

# The words that enter the counting bound: it holds for any part of the sample, and counts take W words for each pair.
COUNTED_WORDS = 4

# A sieve's tables have 16 to 32 entries a key, so that few other words pass, and 64 MiB at most.
SIEVE_BITS = 4
MAX_SIEVE_BITS = 26


def consistent_supports(
    truth_table: np.ndarray, inputs: np.ndarray, labels: np.ndarray, *, linear: bool = False, limit: int = 2
) -> np.ndarray:
    """The first supports, in lexicographic order, that reproduce every label of the sample.

    Exact: fewer than ``limit`` rows mean that there are no others, and no row that the labels contradict the class.

    Args:
        truth_table: g, bool ``[2**k]``.
        inputs: bool ``[n, T]``.
        labels: bool ``[n]``.
        linear: g is parity. Supports are then solved for over GF(2), where no prefix could be ruled out. Needs memory
            for all subsets of ⌊k/2⌋ positions, unless the inputs have full column rank.
        limit: the number of supports after which to stop.

    Returns:
        int64 ``[m, k]`` with ``m <= limit``, each row ascending.

    Raises:
        ValueError: the truth table's length is no 2**k with k >= 1, or inputs and labels differ in length.
    """
    k = len(truth_table).bit_length() - 1
    if k < 1 or len(truth_table) != 2**k:
        raise ValueError(f"a truth table of {len(truth_table)} entries, which is not 2**k for any k >= 1")
    if len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs with {len(labels)} labels")
    blocks = _linear_supports(k, inputs, labels) if linear else _PrunedSearch(truth_table, inputs, labels).supports()
    rows = islice(chain.from_iterable(blocks), limit)
    return np.array(list(rows), dtype=np.int64).reshape(-1, k)


def is_unique(truth_table: np.ndarray, inputs: np.ndarray, labels: np.ndarray, *, linear: bool = False) -> bool:
    """Whether exactly one support is consistent with the sample; arguments as in ``consistent_supports``."""
    return len(consistent_supports(truth_table, inputs, labels, linear=linear, limit=2)) == 1


def has_neighbour(truth_table: np.ndarray, inputs: np.ndarray, labels: np.ndarray, support: np.ndarray) -> bool:
    """Whether another consistent support shares all but one position with this consistent one.

    A small sample of AND or OR that fits several supports has nearly always one such beside the planted one (297 of
    300 at k = 3, T = 1100, n = 20), and it is found much sooner than by a search for all of them.

    Args:
        truth_table: g, bool ``[2**k]``.
        inputs: bool ``[n, T]``.
        labels: bool ``[n]``, those of the inputs under the support.
        support: k ascending positions, int64 ``[k]``.
    """
    k, T = len(support), inputs.shape[1]
    for dropped in range(k):
        rest = np.delete(support, dropped)
        edges = [-1, *rest, T]
        bits = inputs[:, rest] @ 2 ** np.arange(k - 1)
        for role in range(k):  # of the new position among the others, which decides its place in the truth table
            fits = truth_table.reshape(-1, 2, 2**role).swapaxes(1, 2).reshape(-1, 2)[bits] == labels[:, None]
            columns = inputs[:, edges[role] + 1 : edges[role + 1]]
            complies = columns[~fits[:, 0]].all(axis=0) & ~columns[~fits[:, 1]].any(axis=0)
            if np.count_nonzero(complies) > (role == dropped):  # the dropped position complies too
                return True
    return False


def _pack(samples: np.ndarray) -> np.ndarray:
    """The columns of a bool ``[n, C]`` array as bit sets, uint64 ``[W, C]``, padded with zeros."""
    n, columns = samples.shape
    padded = np.zeros((n // 64 + 1, 64, columns), dtype=bool)
    padded.reshape(-1, columns)[:n] = samples
    octets = np.packbits(padded, axis=1).swapaxes(1, 2)
    return np.ascontiguousarray(octets).view(np.uint64)[..., 0]


class _Rule(NamedTuple):
    """After this assignment to the bits of a prefix, ``bit`` leads to the label ``value``."""

    assignment: int
    bit: int
    value: int


def _settling_rules(truth_table: np.ndarray, depth: int) -> list[_Rule]:
    """Where the label is open before bit ``depth`` and settled by it: ``bit`` makes g constant."""

    def constant(bits: int) -> np.ndarray:
        restrictions = truth_table.reshape(-1, 2**bits)
        return restrictions.all(axis=0) == restrictions.any(axis=0)

    # A label settled earlier was enforced then, except that nothing comes before the first bit.
    is_open = ~constant(depth) if depth else np.array([True])
    settled = np.flatnonzero(constant(depth + 1) & np.tile(is_open, 2))
    return [_Rule(int(entry) % 2**depth, int(entry) >> depth, int(truth_table[entry])) for entry in settled]


def _completion_rules(truth_table: np.ndarray, depth: int) -> list[_Rule]:
    """Where the label is open before bit ``depth``: it is ``value`` if all bits from there on are ``bit``."""
    zeros, *_, ones = restrictions = truth_table.reshape(-1, 2**depth)
    is_open = np.flatnonzero(restrictions.any(axis=0) & ~restrictions.all(axis=0))
    return [_Rule(int(a), bit, int(values[a])) for a in is_open for bit, values in enumerate((zeros, ones))]


class _PrunedSearch:
    """Depth-first search over supports in ascending order, for any truth table.

    A prefix of a support sorts the samples into cells by their bits at its positions. Where one more bit makes g
    constant, the samples of the cell with the other label demand the opposite bit of the next column. A column that
    does not comply is pruned with all its extensions, one that complies with the demands on the last bit completes a
    consistent support. Where the label stays open, the samples that the all-ones (all-zeros) completion of g would
    mislabel need a 0 (a 1) in at least one of the columns to come, which bounds how many of them a column may miss.
    """

    def __init__(self, truth_table: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> None:
        self.k = len(truth_table).bit_length() - 1
        self.columns = _pack(inputs)
        # mislabelled[:, v] are the samples whose label is not v.
        self.mislabelled = _pack(np.stack([labels, ~labels], axis=1))
        self.settling = [_settling_rules(truth_table, depth) for depth in range(self.k)]
        self.completions = [_completion_rules(truth_table, depth) for depth in range(self.k)]
        admissible = np.array([self._admissible(truth_table, depth) for depth in range(self.k)])
        self.candidates = np.flatnonzero(admissible.any(axis=0))
        self.candidate_columns = self.columns[:, self.candidates]
        self.admissible = admissible[:, self.candidates]

    def supports(self) -> Iterator[np.ndarray]:
        """The consistent supports in lexicographic order, as blocks int64 ``[m, k]``."""
        return self._extensions(np.empty((1, 0), dtype=np.int64))

    def _admissible(self, truth_table: np.ndarray, depth: int) -> np.ndarray:
        """Which positions can hold bit ``depth`` whatever the others hold, bool ``[T]``."""
        with_bit_first = truth_table.reshape(-1, 2, 2**depth).swapaxes(1, 2).reshape(-1)
        demands = self._needs(_settling_rules(with_bit_first, 0), np.empty((1, 0), dtype=np.int64))
        positions = np.arange(self.columns.shape[1])
        _, compliant = _compliant(demands, self.columns, np.ones((1, len(positions)), dtype=bool))
        return np.isin(positions, compliant)

    def _needs(self, rules: list[_Rule], prefixes: np.ndarray) -> np.ndarray:
        """The samples that need a 0, and those that need a 1, after each prefix, uint64 ``[2, W, P]``.

        A sample that is in a rule's cell and would get the wrong label by the rule's bit needs the opposite bit.
        """
        needs = np.zeros((2, len(self.columns), len(prefixes)), dtype=np.uint64)
        chosen = self.columns[:, prefixes.T]
        for assignment, bit, value in rules:
            cell = self.mislabelled[:, [value]]
            for j in range(prefixes.shape[1]):
                cell = cell & (chosen[:, j] if assignment >> j & 1 else ~chosen[:, j])
            needs[1 - bit] |= cell
        return needs

    def _coverable(self, prefixes: np.ndarray, ascending: np.ndarray) -> np.ndarray:
        """Whether the columns after each candidate could serve the needs that it misses, bool ``[P, C]``.

        Each of them serves at most as many samples as the best one does.
        """
        depth = prefixes.shape[1]
        needs = self._needs(self.completions[depth], prefixes)[:, :COUNTED_WORDS, :, None]
        columns = self.candidate_columns[:COUNTED_WORDS, None]
        served = np.bitwise_count(needs & np.stack([~columns, columns])).sum(axis=1, dtype=np.int32)
        best = np.max(served, axis=2, keepdims=True, where=ascending, initial=0)
        missed = np.bitwise_count(needs).sum(axis=1, dtype=np.int32) - served
        return (missed <= best * (self.k - depth - 1)).all(axis=0)

    def _extensions(self, prefixes: np.ndarray) -> Iterator[np.ndarray]:
        """The consistent supports that begin with one of the prefixes, int64 ``[P, depth]``, as blocks."""
        depth = prefixes.shape[1]
        if depth == self.k:
            yield prefixes
            return
        size = BLOCK_PAIRS // (len(self.candidates) + 1) + 1
        for block in (prefixes[start : start + size] for start in range(0, len(prefixes), size)):
            allowed = self.candidates > block.max(axis=1, initial=-1, keepdims=True)
            if depth < self.k - 1:
                allowed &= self._coverable(block, allowed)
            demands = self._needs(self.settling[depth], block)
            prefix, candidate = _compliant(demands, self.candidate_columns, allowed & self.admissible[depth])
            yield from self._extensions(np.column_stack([block[prefix], self.candidates[candidate]]))


def _compliant(demands: np.ndarray, columns: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The allowed (prefix, column) pairs, in order, in which the column meets the prefix's demands.

    Args:
        demands: the samples with a 0, and with a 1, demanded by each prefix, uint64 ``[2, W, P]``.
        columns: the packed columns, uint64 ``[W, C]``.
        allowed: bool, broadcasts to ``[P, C]``.
    """
    zeros, ones = demands
    # A sample with both demands (g is constant) is in ``ones`` but not in ``either``: no column complies.
    either = zeros ^ ones
    prefix, column = np.nonzero(allowed & (columns[0] & either[0, :, None] == ones[0, :, None]))
    for word in range(1, len(columns)):
        complies = columns[word, column] & either[word, prefix] == ones[word, prefix]
        prefix, column = prefix[complies], column[complies]
    return prefix, column


def _linear_supports(k: int, inputs: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """The supports S of size k whose columns XOR to the labels, in lexicographic order, as blocks int64 ``[m, k]``."""
    T = inputs.shape[1]
    if len(inputs) >= T:  # the columns may be independent
        echelon = _reduced_row_echelon(np.column_stack([inputs, labels]))
        if not echelon[:, :T].any(axis=1).all():
            return  # a row reads 0 = 1
        if len(echelon) == T:
            if np.count_nonzero(echelon[:, T]) == k:
                yield np.flatnonzero(echelon[:, T])[None]
            return
    yield from _meet_in_the_middle(k, _pack(inputs), _pack(labels[:, None]))


def _reduced_row_echelon(matrix: np.ndarray) -> np.ndarray:
    """The non-zero rows of the reduced row echelon form over GF(2), bool ``[rank, columns]``."""
    rows = np.packbits(matrix, axis=1, bitorder="little")
    rank = 0
    for column in range(matrix.shape[1]):
        if rank == len(rows):
            break
        ones = np.flatnonzero(rows[:, column // 8] >> (column % 8) & 1)
        pivot = ones[-1] if len(ones) else -1
        if pivot >= rank:
            rows[ones[:-1]] ^= rows[pivot]
            rows[[rank, pivot]] = rows[[pivot, rank]]
            rank += 1
    return np.unpackbits(rows[:rank], axis=1, count=matrix.shape[1], bitorder="little").astype(bool)


def _subsets(size: int, population: int) -> np.ndarray:
    """All subsets of ``range(population)``, in lexicographic order, int64 ``[C(population, size), size]``."""
    count = comb(population, size)
    members = chain.from_iterable(combinations(range(population), size))
    return np.fromiter(members, dtype=np.int64, count=count * size).reshape(count, size)


def _xor(columns: np.ndarray, subsets: np.ndarray) -> np.ndarray:
    """The XOR of the columns in each subset, for columns ``[..., T]`` and subsets ``[m, size]``: ``[..., m]``."""
    return np.bitwise_xor.reduce(columns[..., subsets], axis=-1)


def _meet_in_the_middle(k: int, columns: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """The k-subsets of the packed columns ``[W, T]`` that XOR to the labels ``[W, 1]``, as blocks int64 ``[m, k]``.

    A support is a head and a tail. Tails are all subsets of ⌊k/2⌋ positions; heads are the same subsets, each after
    a first position if k is odd. So the heads, in lexicographic order, are runs at the end of the list of tails. The
    tail of a head is looked up by the first word of its XOR, which has to be that of the labels and the head; the
    matches are then compared in all words.
    """
    size, T = k // 2, columns.shape[1]
    tails = _subsets(size, T)
    words = _xor(columns[0], tails)
    order = np.argsort(words, kind="stable")  # equal words keep their lexicographic order
    keys = words[order]
    sieve = _Sieve(keys)
    for first in combinations(range(T), k % 2):
        rest = labels[0] ^ _xor(columns[0], np.array(first, dtype=np.int64))
        begin = len(tails) - comb(T - 1 - first[0], size) if first else 0
        for block in range(begin, len(tails), BLOCK_PAIRS):
            wanted = rest ^ words[block : block + BLOCK_PAIRS]
            passed = sieve.passed(wanted)
            start, stop = (np.searchsorted(keys, wanted[passed], side=side) for side in ("left", "right"))
            for found in np.flatnonzero(start < stop):
                head = [*first, *tails[block + passed[found]]]
                matches = tails[order[start[found] : stop[found]]]
                matches = matches[(matches > head[-1]).all(axis=1)]
                supports = np.column_stack([np.broadcast_to(head, (len(matches), len(head))), matches])
                yield supports[(_xor(columns, supports) == labels).all(axis=0)]


class _Sieve:
    """Passes every word that is a key, and few others: a Bloom filter of two tables, for two parts of the word."""

    def __init__(self, keys: np.ndarray) -> None:
        bits = min(len(keys).bit_length() + SIEVE_BITS, MAX_SIEVE_BITS)
        self.shift, self.mask = np.uint64(bits), np.uint64(2**bits - 1)
        self.low, self.high = np.zeros((2, 2**bits), dtype=bool)
        self.low[self._entry(keys)] = True
        self.high[self._entry(keys >> self.shift)] = True

    def passed(self, words: np.ndarray) -> np.ndarray:
        """The indices of the words that pass, ascending."""
        passed = np.flatnonzero(self.low[self._entry(words)])
        return passed[self.high[self._entry(words[passed] >> self.shift)]]

    def _entry(self, words: np.ndarray) -> np.ndarray:
        return (words & self.mask).view(np.int64)  # without a copy, the type of an index
