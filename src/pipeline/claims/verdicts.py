"""Estimates with intervals, and the verdicts that follow from where they lie."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.statistics.intervals import sum_interval

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"


class Undecided(Exception):
    """The tables do not allow a verdict; the message says why."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    An end at infinity, or at 0 of what is positive, is one that the data do not bound; a value of NaN is known by its
    interval only, and ends of NaN belong to a number that has no interval.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Finding:
    """What a rule found: the verdict, why in a few words, and the numbers behind it."""

    verdict: str
    reason: str
    numbers: list[Estimate] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """A part of a claim: that a number lies in a band."""

    number: Estimate
    low: float = -math.inf
    high: float = math.inf

    @property
    def verdict(self) -> str:
        """Supported if the whole interval lies in the band, not supported if all of it lies outside.

        Raises:
            ValueError: the interval's ends are in the wrong order; it would lie in any band.
        """
        if self.number.low > self.number.high:
            raise ValueError(f"{self.number.name}: an interval from {self.number.low:g} to {self.number.high:g}")
        if self.low <= self.number.low and self.number.high <= self.high:
            return SUPPORTED
        return NOT_SUPPORTED if self.number.high < self.low or self.number.low > self.high else UNDECIDED


def conclude(parts: Iterable[Part], *others: Estimate) -> Finding:
    """The finding on a claim of several parts: supported if all are, not supported if one is not, otherwise undecided.

    Args:
        parts: at least one.
        others: further numbers, which decide nothing.
    """
    parts = list(parts)
    verdicts = [part.verdict for part in parts]
    verdict = next((one for one in (NOT_SUPPORTED, UNDECIDED) if one in verdicts), SUPPORTED)
    names = [part.number.name for part in parts if part.verdict == verdict]
    return Finding(verdict, f"{_REASONS[verdict]}: {'; '.join(names)}", [*(part.number for part in parts), *others])


_REASONS = {SUPPORTED: "borne out", NOT_SUPPORTED: "contradicted", UNDECIDED: "left open"}


def difference(name: str, one: Estimate, other: Estimate) -> Estimate:
    """``one − other``, of independent estimates."""
    return _sum(name, [1.0, -1.0], [one, other])


def ratio(name: str, one: Estimate, other: Estimate) -> Estimate:
    """``one / other`` of positive independent estimates; an unknown value leaves what the two intervals bound."""
    return _exponential(difference(name, _logarithm(one), _logarithm(other)))


def geometric_mean(name: str, estimates: list[Estimate]) -> Estimate:
    """The geometric mean of positive independent estimates."""
    return _exponential(_sum(name, [1 / len(estimates)] * len(estimates), [_logarithm(one) for one in estimates]))


def _sum(name: str, weights: list[float], estimates: list[Estimate]) -> Estimate:
    values, lows, highs = np.array([(one.value, one.low, one.high) for one in estimates]).T
    if np.isnan(values).any():  # of a part only the interval is known
        ends = zip(weights, lows, highs, strict=True)
        low, high = zip(*((w * a, w * b) if w > 0 else (w * b, w * a) for w, a, b in ends), strict=True)
        return Estimate(name, math.nan, float(sum(low)), float(sum(high)))
    return Estimate(name, *map(float, sum_interval(np.array(weights), values, lows, highs)))


def _logarithm(estimate: Estimate) -> Estimate:
    logs = (math.log(number) if number else -math.inf for number in (estimate.value, estimate.low, estimate.high))
    return Estimate(estimate.name, *logs)


def _exponential(estimate: Estimate) -> Estimate:
    return Estimate(estimate.name, *(math.exp(number) for number in (estimate.value, estimate.low, estimate.high)))
