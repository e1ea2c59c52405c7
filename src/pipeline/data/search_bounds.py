"""Which exact searches for supports (:mod:`pipeline.data.uniqueness`) are affordable.

In a module of its own, so that another bound makes no dataset stale.
"""

from math import comb, inf

from pipeline.data.functions import FUNCTIONS

# What a search may take, by the numbers in docs/baselines.md: one or two minutes and 0.9 GiB.
MAX_SUPPORTS = {"and": inf, "or": inf, "majority": 2 * 10**11}  # monotone functions, where far more is pruned
MAX_OTHER_SUPPORTS = 10**9
MAX_PARITY_HEADS = 5 * 10**9
MAX_PARITY_TAILS = 10**7  # they are held in memory
# A parity's columns are dependent, so that elimination alone does not tell its support, in 2^(T − n) of all samples.
SPARE_SAMPLES = 30
MAX_ELIMINATION = 10**4  # the T of the largest elimination


def search_size(function: str, k: int, T: int, n: int) -> int:
    """How many candidates a search passes: the supports, for parity only their ⌈k/2⌉ first positions.

    Where elimination tells a parity's support, it is the number of entries of the linear system.
    """
    if _is_eliminated(function, T, n):
        return T * n
    return comb(T, (k + 1) // 2 if FUNCTIONS[function].linear else k)


def too_large(function: str, k: int, T: int, n: int) -> str | None:
    """Why an exact search for the supports is not affordable, or None if it is; n is the smallest sample size."""
    if _is_eliminated(function, T, n):
        return None
    bounds = [(k, MAX_SUPPORTS.get(function, MAX_OTHER_SUPPORTS), "supports")]
    if FUNCTIONS[function].linear:
        halves = (((k + 1) // 2, MAX_PARITY_HEADS), (k // 2, MAX_PARITY_TAILS))
        bounds = [(size, limit, f"{size}-subsets") for size, limit in halves]
    fewer = f" for n < {T + SPARE_SAMPLES}" if _is_eliminated(function, T, T + SPARE_SAMPLES) else ""
    for size, limit, what in bounds:
        if (count := comb(T, size)) > limit:
            return f"k = {k}, T = {T}: too large a search, {count:.1e} {what} where {limit:.0e} are allowed{fewer}"
    return None


def _is_eliminated(function: str, T: int, n: int) -> bool:
    """Whether Gaussian elimination, whatever k, tells the support."""
    return FUNCTIONS[function].linear and n >= T + SPARE_SAMPLES and T <= MAX_ELIMINATION
