"""Sparse parities learned from fresh samples: whether, how suddenly, how long it takes and what moves before."""

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from pipeline.claims.evidence import Evidence, Series, require_count
from pipeline.claims.proportions import median, share
from pipeline.claims.rule import rule
from pipeline.claims.verdicts import Estimate, Finding, Part, conclude, difference
from pipeline.config.sections import Count, ListOf, Share, unique

CHANCE = float(np.log(2))  # the cross-entropy of a coin, in nats


def _of_different_k(series: tuple[Series, ...]) -> tuple[Series, ...]:
    unique(tuple(one.k for one in series))
    return series


@rule(
    "runs",
    criterion="""
    The share of runs that meet the success rule within their steps: supported if its interval lies above
    {at_least:.0%}, not supported if it lies below. Undecided otherwise, or with fewer than {runs} runs at some T.
    """,
)
def is_learned(evidence: Evidence, series: Series, at_least: Share, runs: Count) -> Finding:
    """Whether most runs learn the function."""
    evidence.require(series, runs)
    own = evidence.rows("runs", series)
    shares = [
        share(f"successful runs{where}", part["success"], evidence.confidence)
        for where, part in [("", own), *((f" at T = {T}", part) for T, part in own.groupby("T"))]
    ]
    return conclude([Part(shares[0], low=at_least)], *shares[1:])


@rule(
    "progress",
    "runs",
    criterion="""
    Of each successful run, the last evaluation whose loss is at least {level:.0%} of ln 2, as a share of the steps
    to its transition: supported if the interval of the median lies above {at_least:.0%}, so that the plateau takes
    most of the time and the fall little, not supported if it lies below. Undecided otherwise, or with fewer than
    {runs} runs that have {evaluations} evaluations up to their transition.
    """,
)
def has_plateau(
    evidence: Evidence, series: Series, level: Share, at_least: Share, evaluations: Count, runs: Count
) -> Finding:
    """Whether the loss stays on a plateau and then falls suddenly."""
    curves = _curves_to_transition(evidence, series, evaluations, runs)
    on_plateau = curves["train_loss"] >= level * CHANCE
    left = curves["step"].where(on_plateau).groupby(curves["run"]).max().fillna(0)
    ends = curves.groupby("run")["step"].max()
    shares = median("plateau, as a share of the steps to the transition", left / ends, evidence.confidence)
    steps = median("steps to the transition", ends, evidence.confidence)
    return conclude([Part(shares, low=at_least)], steps)


@rule(
    "progress",
    "runs",
    criterion="""
    Of each successful run, from its first evaluation to half of the steps to its transition, the loss over ln 2 at
    the end of that time and the factor by which the distance from initialisation grows in it: supported if the
    intervals of the medians lie above {loss:.0%} and above {growth:g}, not supported if one of them lies below.
    Undecided otherwise, or with fewer than {runs} runs that have {evaluations} evaluations up to their transition.
    """,
)
def moves_before_loss(
    evidence: Evidence,
    series: Series,
    loss: Share,
    growth: Annotated[float, Field(gt=1)],
    evaluations: Annotated[int, Field(ge=2)],
    runs: Count,
) -> Finding:
    """Whether the distance from initialisation moves while the loss does not."""
    curves = _curves_to_transition(evidence, series, evaluations, runs)
    first = curves.groupby("run").first()
    half = curves[curves["step"] <= curves.groupby("run")["step"].transform("max") / 2].groupby("run").last()
    losses = median("loss over ln 2, half way to the transition", half["train_loss"] / CHANCE, evidence.confidence)
    name = "growth of the distance from initialisation until then"
    grown = median(name, half["distance"] / first["distance"], evidence.confidence)
    return conclude([Part(losses, low=loss), Part(grown, low=growth)])


@rule(
    "transition_fits",
    criterion="""
    The exponents of the power laws step = constant · T^exponent: supported if each is larger than that of the k
    before it and at most {per_bit:g}·k, by their intervals; not supported if the interval of one difference or of
    one exponent lies on the other side. Undecided otherwise, with fewer than {contexts} context lengths, or with
    fewer than {runs} runs at some T.
    """,
)
def exponent_grows_with_k(
    evidence: Evidence,
    series: Annotated[ListOf[Series], Field(min_length=2), AfterValidator(_of_different_k)],
    per_bit: Annotated[float, Field(gt=0)],
    contexts: Count,
    runs: Count,
) -> Finding:
    """Whether steps grow like T^O(k)."""
    exponents = {}
    for one in sorted(series, key=lambda one: one.k):
        evidence.require(one, runs)
        fit = evidence.rows("transition_fits", one).iloc[0]
        require_count(fit["points"], contexts, "context lengths")
        ends = fit[["exponent", "exponent_low", "exponent_high"]]
        exponents[one.k] = Estimate(f"exponent at k = {one.k}", *ends)
    rises = [
        difference(f"rise of the exponent from k = {k} to {above}", exponents[above], exponents[k])
        for k, above in zip(list(exponents), list(exponents)[1:], strict=False)
    ]
    bounded = [Part(one, high=per_bit * k) for k, one in exponents.items()]
    return conclude(bounded + [Part(one, low=0) for one in rises])


def _curves_to_transition(evidence: Evidence, series: Series, evaluations: int, runs: int) -> pd.DataFrame:
    """The curves of successful runs up to their transitions, by ``run`` and step, of those with enough evaluations."""
    address = ["T", "n", "seed"]
    curves = evidence.rows("progress", series)
    ends = evidence.rows("runs", series).dropna(subset="success_step").set_index(address)["success_step"]
    curves = curves.join(ends.rename("transition"), on=address, how="inner").sort_values("step")
    curves = curves[curves["step"] <= curves["transition"]]
    curves = curves.assign(run=curves.groupby(address).ngroup())
    curves = curves[curves.groupby("run")["step"].transform("size") >= evaluations]
    require_count(curves["run"].nunique(), runs, f"successful runs with {evaluations} evaluations")
    return curves
