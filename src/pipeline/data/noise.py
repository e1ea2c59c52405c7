"""Noise on training samples: labels that are flipped, and bits of the inputs that are flipped.

Label noise is that of Bhattamishra et al. (2023), feature noise that of *Trapped by simplicity* (2026).

Every flip compares a raw word, addressed by the run and not by the data protocol, with a threshold that grows with the
rate. So the noise is nested: what is flipped at 5 % is flipped at 10 % too.
"""

from dataclasses import replace

from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet
from pipeline.randomness import Stream


def add_noise(clean: TrainingSet, address: Address, *, label_noise: float, feature_noise: float) -> TrainingSet:
    """A training set with flipped labels and input bits; the holdout labels and all else are those of the clean one.

    A bit that is 1 with probability p is 1 with probability p + r·(1 − 2p) after flips at the rate r.

    Args:
        clean: the training set as it was drawn.
        address: its cell.
        label_noise: probability that a label is flipped, each independently.
        feature_noise: probability that a bit of an input is flipped, each independently.
    """
    run = {**address._asdict(), "seed": clean.seed}
    labels, inputs = clean.labels, clean.inputs
    if label_noise:
        labels = labels ^ Stream("label-noise", **run).bernoulli(label_noise, labels.shape)
    if feature_noise:
        flips = Stream("feature-noise", **run).bernoulli(feature_noise, (len(inputs), inputs.length))
        inputs = replace(inputs, data=inputs.data ^ PackedBits.pack(flips).data)
    return replace(clean, labels=labels, inputs=inputs)
