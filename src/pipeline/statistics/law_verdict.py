"""Which law it is, if the evidence says so, and otherwise why it does not.

A law is named if, at the level 1 − confidence,

1. at every T the runs from some n of the grid on succeed significantly more often than the share: elsewhere the
   critical size may be larger than the grid, or not exist, which the joint model takes for excluded;
2. it is the best of the five by AIC and by BIC;
3. no critical sizes of their own for every T fit significantly better: the law describes the data;
4. every other law is far less likely (relative likelihood exp(−ΔAIC / 2) at most the level) and rejected by the
   bootstrap likelihood ratio (p below the level);
5. laws that contain it (a constant is a log law with a = 0) cannot be rejected, so they must instead agree with it: the
   intervals of their n at the smallest and the largest T lie within a tenth of its n;
6. fitted to the smaller T, no other law predicts the held-out largest T far better (by the same factor of likelihood).

Otherwise the verdict is "undecided", with the first reason that holds.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.statistics.law_evidence import Evidence
from pipeline.statistics.laws import NESTED
from pipeline.statistics.profile_likelihood import interval

UNDECIDED = "undecided"
MARGIN = 0.1  # of n: a larger law is the same for all purposes if it stays this close


def verdict(evidence: Evidence, confidence: float) -> tuple[str, str]:
    """The verdict, a law's name or ``UNDECIDED``, and its reason in plain words."""
    level = 1 - confidence
    best = evidence.best("aic")
    for reason in _doubts(evidence, best, level):
        return UNDECIDED, reason
    largest = max(evidence.rejects[name, best] for name in _rivals(evidence, best))
    return best, f"every other law is refuted (largest p = {largest:.3f}), and none predicts the largest T far better"


def relative_likelihood(evidence: Evidence, name: str) -> float:
    """exp(−ΔAIC / 2) of a law, Δ being to the best."""
    return float(np.exp((evidence.laws[evidence.best("aic")].aic - evidence.laws[name].aic) / 2))


def _doubts(evidence: Evidence, best: str, level: float) -> Iterator[str]:
    """The reasons against naming the law that is best by AIC."""
    if (unsure := evidence.no_size >= level).any():
        lengths = ", ".join(map(str, evidence.counts.lengths[unsure]))
        yield f"at T = {lengths} no n surely exceeds the share: the critical size may be above the grid, or not exist"
    if evidence.fits_free[best] < level:
        yield f"no law fits the critical sizes of the single T (best: {best}, p = {evidence.fits_free[best]:.3f})"
    if open_ones := [name for name in _rivals(evidence, best) if not _refuted(evidence, name, best, level)]:
        found = " and ".join(_standing(evidence, name, best) for name in open_ones)
        yield f"{best} is best by AIC, but too little speaks against {found}"
    for name in NESTED.get(best, ()):
        if not _agrees(evidence, name, best):
            yield f"{best} is best by AIC, but {name}, which contains it, may differ by more than {MARGIN:.0%}"
    if (other := evidence.best("bic")) != best:
        yield f"{best} is best by AIC, {other} by BIC"
    other = evidence.best("held_out")
    if evidence.laws[other].held_out - evidence.laws[best].held_out > -np.log(level):
        yield f"{best} is best by AIC, but {other} predicts the largest T better from the smaller"


def _rivals(evidence: Evidence, best: str) -> list[str]:
    """The other laws, without those that contain the best."""
    return [name for name in evidence.laws if name != best and name not in NESTED.get(best, ())]


def _standing(evidence: Evidence, name: str, best: str) -> str:
    """What is known against a law, in words."""
    likelihood = relative_likelihood(evidence, name)
    return f"{name} (p = {evidence.rejects[name, best]:.3f}, relative likelihood {likelihood:.2f})"


def _refuted(evidence: Evidence, name: str, best: str, level: float) -> bool:
    return evidence.rejects[name, best] < level and relative_likelihood(evidence, name) <= level


def _agrees(evidence: Evidence, larger: str, best: str) -> bool:
    """Whether the larger law's intervals at the ends of the range of T are within the margin of the best law's n."""
    ends = evidence.counts.lengths[[0, -1]]
    one, other = evidence.laws[best], evidence.laws[larger]
    ln_n = one.model.law.ln_n(one.model.split(one.parameters)[0], ends)[0]
    found = np.stack(interval(other.candidates, evidence.counts, other.model.law.weights(ends)))
    ln_ends = found if other.model.law.in_logarithms else np.log(found)
    return bool((np.abs(ln_ends - ln_n) <= np.log1p(MARGIN)).all())
