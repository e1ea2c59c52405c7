"""The registry of sparse Boolean functions.

A function labels a context of T bits by k of them, ``f_S(x) = g(x_S)``: the support S holds the k relevant positions
in ascending order and the truth table g lists the label of each of the ``2**k`` values of ``x_S``. A truth table is
little-endian: in entry i, bit j of i is the bit at the j-th position of the support.

A new function is one more entry of ``FUNCTIONS``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.randomness import Stream

MAX_SPARSITY = 16


def _fair(k: int) -> float:
    """The bit probability of a function that is balanced on uniform bits."""
    return 0.5


@dataclass(frozen=True)
class BooleanFunction:
    """A family of Boolean functions of k bits, one (or one random draw) for each sparsity k.

    Attributes:
        truth_table: ``truth_table(k, stream)`` is the truth table, bool ``[2**k]``; only a random function draws
            from the stream.
        bit_probability: ``bit_probability(k)`` is the P(bit = 1) of independent bits that makes P(label = 1) = 1/2.
        linear: the label is the XOR of the k bits, so supports are solutions of a linear system over GF(2).
        odd_sparsity: defined for odd k only.
    """

    truth_table: Callable[[int, Stream], np.ndarray]
    bit_probability: Callable[[int], float] = _fair
    linear: bool = False
    odd_sparsity: bool = False

    def check_sparsity(self, k: int) -> str | None:
        """What is wrong with the sparsity k for this function, or None if it is defined."""
        if not 1 <= k <= MAX_SPARSITY:
            return f"k must be from 1 to {MAX_SPARSITY}, not {k}"
        if self.odd_sparsity and k % 2 == 0:
            return f"k must be odd, not {k}: an even number of bits can tie"
        return None


def _symmetric(label: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[int, Stream], np.ndarray]:
    """The truth table of a function whose label depends only on the number of ones among its k bits."""
    return lambda k, stream: label(np.bitwise_count(np.arange(2**k)), k)


def _every_bit_relevant(truth_table: np.ndarray) -> bool:
    """Whether each bit changes the label for some value of the others."""
    halves = [truth_table.reshape(-1, 2, 2**j) for j in range(len(truth_table).bit_length() - 1)]
    return all((half[:, 0] != half[:, 1]).any() for half in halves)


def _balanced_junta(k: int, stream: Stream) -> np.ndarray:
    """A truth table drawn uniformly from those with as many ones as zeros in which every bit is relevant.

    By rejection: at k = 2, the worst case, 2 of the 6 balanced tables qualify.
    """
    while True:
        truth_table = np.zeros(2**k, dtype=bool)
        truth_table[stream.subset(2**k // 2, 2**k)] = True
        if _every_bit_relevant(truth_table):
            return truth_table


FUNCTIONS: dict[str, BooleanFunction] = {
    "and": BooleanFunction(_symmetric(lambda ones, k: ones == k), lambda k: 2 ** (-1 / k)),
    "or": BooleanFunction(_symmetric(lambda ones, k: ones > 0), lambda k: 1 - 2 ** (-1 / k)),
    "parity": BooleanFunction(_symmetric(lambda ones, k: ones % 2 == 1), linear=True),
    "majority": BooleanFunction(_symmetric(lambda ones, k: 2 * ones > k), odd_sparsity=True),
    "junta": BooleanFunction(_balanced_junta),
}


def function_problem(name: str, k: int) -> str | None:
    """What is wrong with a function at the sparsity k: with k, or with its entry of ``FUNCTIONS``; None if nothing is.

    Of a random function one draw is looked at.
    """
    entry = FUNCTIONS[name]
    if wrong := entry.check_sparsity(k):
        return wrong
    try:
        wrong = _defect(entry, k)
    except Exception as error:  # a function of one's own may raise anything
        wrong = f"{type(error).__name__}: {error}"
    mend = "correct it in src/pipeline/data/functions.py"
    return wrong and f"the entry {name!r} of FUNCTIONS, at k = {k}: {wrong}; {mend}"


def _defect(entry: BooleanFunction, k: int) -> str | None:
    """What an entry says of itself that is not so, at a sparsity that it is defined for."""
    truth_table, probability = entry.truth_table(k, Stream("truth-table-check", k=k)), entry.bit_probability(k)
    if not isinstance(truth_table, np.ndarray) or (truth_table.dtype, truth_table.shape) != (bool, (2**k,)):
        return f"the truth table is no bool array of {2**k} labels"
    if not _every_bit_relevant(truth_table):
        return "a bit never changes the label, and k counts only bits that do"
    if entry.linear and (truth_table != (np.bitwise_count(np.arange(2**k)) % 2 == 1)).any():
        return "linear=True, and the label is not the XOR of the k bits"
    if not 0 < probability < 1:
        return f"the bit probability is {probability}, not between 0 and 1"
    return None


def evaluate(truth_table: np.ndarray, inputs: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The labels ``g(x_S)`` of the inputs, bool ``[...]``.

    Reads one column at a time, so it needs a few bytes per label beside the inputs.

    Args:
        truth_table: g, bool ``[2**k]`` with k up to 16.
        inputs: x, bool ``[..., T]``.
        support: S, k ascending positions in ``range(T)``, int ``[k]``.

    Raises:
        ValueError: the truth table and the support disagree on k.
        IndexError: a position lies outside the context.
    """
    if len(truth_table) != 2 ** len(support):
        raise ValueError(f"a truth table of {len(truth_table)} entries does not fit {len(support)} positions")
    entry = np.zeros(inputs.shape[:-1], dtype=np.uint16)
    for j, position in enumerate(support):
        entry |= inputs[..., position].astype(np.uint16) << j
    return truth_table[entry]
