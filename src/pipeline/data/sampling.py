"""Drawing the training sets and the holdout of a cell."""

import numpy as np

from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.uniqueness import has_neighbour, is_unique
from pipeline.randomness import Stream


def draw_holdout(function: str, k: int, T: int, size: int) -> PackedBits:
    """Holdout inputs, ``size`` rows of T bits, shared by all n and seeds of a (function, k, T)."""
    probability = FUNCTIONS[function].bit_probability(k)
    return PackedBits.pack(Stream("holdout-inputs", function=function, k=k, T=T).bernoulli(probability, (size, T)))


def draw_training_set(
    address: Address,
    seed: int,
    holdout: PackedBits,
    *,
    reject_ambiguous: bool,
    max_redraws: int,
    settled: tuple[int, bool | None] | None = None,
) -> TrainingSet:
    """Draws one run's data.

    The support is uniform among the k-subsets and stays as it is when a sample is rejected, so rejection does not
    favour any support.

    Args:
        address: the cell.
        seed: the run's seed.
        holdout: the cell's holdout inputs.
        reject_ambiguous: redraw a sample that fits more than one support of the class.
        max_redraws: after so many redraws an ambiguous sample is kept and marked.
        settled: ``redraws`` and ``unique`` of the same set drawn before; with them nothing is searched again.
    """
    function, k, T, n = address
    entry = FUNCTIONS[function]
    cell = {**address._asdict(), "seed": seed}
    support = Stream("support", **cell).subset(k, T)
    truth_table = entry.truth_table(k, Stream("truth-table", **cell))
    stream = Stream("training-inputs", **cell)
    unique = None
    for redraws in range(max_redraws + 1):
        inputs = stream.bernoulli(entry.bit_probability(k), (n, T))
        labels = evaluate(truth_table, inputs, support)
        if not reject_ambiguous:
            break
        if settled:
            unique = settled == (redraws, True)
        else:
            unique = not has_neighbour(truth_table, inputs, labels, support) and is_unique(
                truth_table, inputs, labels, linear=entry.linear
            )
        if unique:
            break
    holdout_labels = evaluate(truth_table, holdout.columns(support), np.arange(k))
    return TrainingSet(seed, support, truth_table, PackedBits.pack(inputs), labels, holdout_labels, redraws, unique)
