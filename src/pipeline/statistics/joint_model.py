"""A joint binomial model of all runs of an experiment: success probability as a function of n and T.

.. math::

    p(n, T) = λ(T) · expit(s(T) · ln(n / n_c(T)) + logit(share / λ(T)))

n_c(T) is the critical sample size, at which p is the share; it follows a :class:`~pipeline.statistics.laws.Law`. The
asymptote λ, what is reached with samples in plenty, is 1, constant, or changes with T;
``λ = share + (1 − share) · expit(c0 + c1·x)`` lies above the share, so that the critical size exists. The steepness s
is constant or ``exp(d0 + d1·x)``. x is ln T less the middle of its range.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import expit, gammaln, log_expit

from pipeline.statistics.laws import Law

_STEEPEST = 50.0  # of ln s: a step beyond would overflow
_START = {"steepness": np.log(4), "asymptote": 3.0}


class Shape(NamedTuple):
    """How many terms the steepness (1 or 2) and the asymptote (0, 1 or 2) have: a constant, a slope in ln T."""

    steepness: int
    asymptote: int


SHAPES = tuple(Shape(steepness, asymptote) for asymptote in range(3) for steepness in (1, 2))


@dataclass(frozen=True)
class Counts:
    """A table of cells, each [G]: context length, sample size, trials and successes; any grid, any trials."""

    T: np.ndarray
    n: np.ndarray
    trials: np.ndarray
    successes: np.ndarray

    @cached_property
    def lengths(self) -> np.ndarray:
        """The context lengths, ascending."""
        return np.unique(self.T)

    def log_coefficients(self, successes: np.ndarray) -> np.ndarray:
        """The sum of the logarithms of the binomial coefficients of tables of successes [..., G]."""
        return (gammaln(self.trials + 1) - gammaln(successes + 1) - gammaln(self.trials - successes + 1)).sum(axis=-1)

    def where(self, chosen: np.ndarray) -> "Counts":
        """Some of the cells."""
        return Counts(self.T[chosen], self.n[chosen], self.trials[chosen], self.successes[chosen])


@dataclass(frozen=True)
class Model:
    """The model of a table's cells under one law and one shape.

    Its parameters are the law's, the steepness's and the asymptote's, in this order.
    """

    law: Law
    shape: Shape
    share: float

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.law.size + sum(self.shape)

    def start(self, n: np.ndarray) -> np.ndarray:
        """Where the search starts and the ridge pulls, [size]."""
        slopes = [[_START[name], 0.0][:terms] for name, terms in self.shape._asdict().items()]
        return np.concatenate([np.full(self.law.size, np.log(n).mean()), *slopes])

    def split(self, parameters: np.ndarray) -> list[np.ndarray]:
        """Those of the law, of the steepness and of the asymptote, of parameters [B, size]."""
        return np.split(parameters, np.cumsum([self.law.size, self.shape.steepness]), axis=1)

    def asymptote(self, parameters: np.ndarray, T: np.ndarray) -> np.ndarray:
        """λ [B, G] of parameters [B, size] at T [G]."""
        _, _, asymptote = self.split(parameters)
        if not self.shape.asymptote:
            return np.ones((len(parameters), len(T)))
        return self.share + (1 - self.share) * expit(asymptote @ self._terms(T, self.shape.asymptote).T)

    def rates(self, parameters: np.ndarray, T: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Success and failure probabilities, each [B, G], and the derivatives of the former [B, G, size]."""
        of_law, of_steepness, of_asymptote = self.split(parameters)
        ln_size, by_law = self.law.ln_n(of_law, T)
        terms = self._terms(T, 2)
        steepness = np.exp(np.minimum(of_steepness @ terms[:, : self.shape.steepness].T, _STEEPEST))
        distance = np.log(n) - ln_size
        linear = steepness * distance + np.log(self.share / (1 - self.share))
        above = 1.0  # (λ − share) / (1 − share)
        if self.shape.asymptote:
            height = of_asymptote @ terms[:, : self.shape.asymptote].T
            above, linear = expit(height), linear - log_expit(height)
        asymptote = self.share + (1 - self.share) * above
        rise, fall = expit(linear), expit(-linear)
        density = asymptote * rise * fall
        jacobian = np.empty((*distance.shape, self.size))
        pieces = np.split(jacobian, np.cumsum([self.law.size, self.shape.steepness]), axis=2)
        by_size = -density * steepness
        np.multiply(by_size[:, :, None], by_law, out=pieces[0])
        np.multiply((-by_size * distance)[:, :, None], terms[:, : self.shape.steepness], out=pieces[1])
        if self.shape.asymptote:
            by_height = (1 - above) * ((1 - self.share) * above * rise - density)
            np.multiply(by_height[:, :, None], terms[:, : self.shape.asymptote], out=pieces[2])
        return asymptote * rise, (1 - self.share) * (1 - above) + asymptote * fall, jacobian

    def _terms(self, T: np.ndarray, count: int) -> np.ndarray:
        """The constant and x, [G, count]."""
        middle = np.log(self.law.lengths[[0, -1]]).mean()
        return np.stack([np.ones(len(T)), np.log(T) - middle], axis=1)[:, :count]
