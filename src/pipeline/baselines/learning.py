"""What a baseline takes, a sample, and what it gives, a hypothesis."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.data.datasets import Address, TrainingSet
from pipeline.randomness import Stream


@dataclass(frozen=True)
class Sample:
    """A run's training samples, and what identifies the run.

    Attributes:
        address: the cell.
        seed: the run's seed.
        inputs: bool [n, T].
        labels: bool [n].
        truth_table: bool [2**k], see :mod:`pipeline.data.functions`; for a learner that is to know the function.
    """

    address: Address
    seed: int
    inputs: np.ndarray
    labels: np.ndarray
    truth_table: np.ndarray

    @classmethod
    def of(cls, address: Address, one: TrainingSet) -> "Sample":
        """The sample of a training set, without its support and holdout labels."""
        return cls(address, one.seed, one.inputs.unpack(), one.labels, one.truth_table)

    def random_state(self, purpose: str) -> int:
        """The run's seed for a foreign generator, 32 bits of the named stream."""
        uniform = Stream(purpose, **self.address._asdict(), seed=self.seed).uniform(())
        return int(uniform * 2**32) % 2**32


@dataclass(frozen=True)
class Hypothesis:
    """What was learned.

    Attributes:
        predict: the labels of inputs, bool [N, T] -> bool [N].
        train_loss: mean cross-entropy on the training samples, in nats; None for a learner without probabilities.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    train_loss: float | None = None


def constant(label: bool, train_loss: float | None = None) -> Hypothesis:
    """The hypothesis that gives every input this label."""
    return Hypothesis(lambda inputs: np.full(len(inputs), label), train_loss)
