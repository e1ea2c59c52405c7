"""What no learner can do without: the bits that name the support."""

from math import comb, log2


def information_floor(T: int, k: int) -> float:
    """The bits needed to name one of the k-subsets of T positions, log2 C(T, k): a floor for the sample size.

    The support is uniform among the C(T, k) subsets and independent of the inputs, and given the inputs a sample of n
    balanced labels takes one of at most 2**n values, so it says at most n bits about the support. A learner, who maps
    that value to a support, names the right one with a probability of at most 2**n / C(T, k); to be certain it needs
    ``n >= log2 C(T, k)``, also where it knows the truth table and k. For a share s of successes the same count gives
    ``n >= log2 C(T, k) + log2 s``, one sample less at one half.

    It is a floor only where the inputs are drawn without regard to the support. A sample that was redrawn until it
    fitted a single support says something by its inputs too, and then the bound is approximate. Noise in the labels
    raises it.

    Args:
        T: context length, in bits.
        k: sparsity, from 0 to T.

    Raises:
        ValueError: k is not from 0 to T.
    """
    if not 0 <= k <= T:
        raise ValueError(f"there is no {k}-subset of {T} positions; use 0 <= k <= T")
    return log2(comb(T, k))
