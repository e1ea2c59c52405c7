"""The critical sample sizes found here beside the paper's own, read off its main figure.

Ours are those of the joint model of all runs (docs/statistics.md), whose success rate need not rise to 1. Where a
family has too few T for it they are those of each T alone, which come out too large where the rate levels off. The
numbers' names say which.
"""

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.claims.evidence import Evidence, Series, require_count
from pipeline.claims.rule import rule
from pipeline.claims.sizes import TABLES, critical_sizes
from pipeline.claims.verdicts import Estimate, Finding, Part, conclude, geometric_mean, ratio
from pipeline.config.sections import Count

PAPER = "paper_critical_sample_size"
JOINTLY, SINGLY = "joint model", "each T alone"
Tolerance = Annotated[float, Field(gt=0)]


@rule(
    *TABLES,
    "law_sizes",
    "law_verdicts",
    PAPER,
    criterion="""
    Our critical size over the paper's point, as the geometric mean over their common T: supported if its interval
    lies within {tolerance:.0%} of 1, not supported if all of it lies outside. Undecided otherwise, with fewer than
    {contexts} common T, or with fewer than {runs} runs at some T. Our sizes are those of the joint model of all runs;
    those of each T alone if that model is not fitted, if the rates at some T lie on one side of the share, or if the
    paper has no point at some T. The points count as exact, since it is not known what the paper's bars are.
    """,
)
def agrees_with_points(
    evidence: Evidence, series: Series, tolerance: Tolerance, contexts: Count, runs: Count
) -> Finding:
    """Whether our critical sizes are the paper's."""
    evidence.require(series, runs)
    paper = evidence.tables[PAPER].set_index("context_length")
    points = {T: Estimate("", size, size, size) for T, size in paper["critical_sample_size"].items()}
    jointly = _joint_sizes(evidence, series, set(points))
    ours = jointly or {T: size for T, size in critical_sizes(evidence, series).items() if T in points}
    require_count(len(ours), contexts, "common context lengths")
    ratios = [ratio(f"ours over the paper's at T = {T}", size, points[T]) for T, size in ours.items()]
    name = f"ours over the paper's, mean ({JOINTLY if jointly else SINGLY})"
    if jointly:  # its sizes are correlated, so the interval of their mean does not follow from their own
        papers = geometric_mean("", [points[T] for T in ours])
        mean = ratio(name, _joint_mean(evidence, series), papers)
    else:
        mean = geometric_mean(name, ratios)
    met = sum(size.low <= paper.loc[T, "bar_high"] and paper.loc[T, "bar_low"] <= size.high for T, size in ours.items())
    meeting = Estimate(f"T, of {len(ours)}, at which our interval meets the paper's bar", met)
    return conclude([Part(mean, 1 / (1 + tolerance), 1 + tolerance)], meeting, *ratios)


@rule(
    "law_fits",
    "scaling_fits",
    PAPER,
    criterion="""
    a and b of n = a·ln T + b, beside those of the least-squares fit to the paper's points, by their relative
    difference: supported if the intervals of both lie within {tolerance:.0%} of 0, not supported if all of one lies
    outside. Undecided otherwise, with fewer than {contexts} T in our fit, or with fewer than {runs} runs at some T.
    Our law is that of the joint model of all runs; if that is not fitted, least squares to the critical sizes of each
    T alone. The points count as exact.
    """,
)
def agrees_with_law(evidence: Evidence, series: Series, tolerance: Tolerance, contexts: Count, runs: Count) -> Finding:
    """Whether the log law fitted to our runs is the paper's."""
    evidence.require(series, runs)
    fit, count, how = _log_law(evidence, series)
    require_count(count, contexts, "context lengths in our fit")
    paper = evidence.tables[PAPER]
    papers = np.polyfit(np.log(paper["context_length"]), paper["critical_sample_size"], 1)
    gaps, numbers = [], []
    for name, theirs in zip(("a", "b"), papers, strict=True):
        ours = fit[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        gaps.append(Estimate(f"{name}, relative difference ({how})", *((ours - theirs) / abs(theirs))))
        numbers += [Estimate(f"{name}, ours", *ours), Estimate(f"{name}, the paper's", theirs)]
    return conclude([Part(gap, -tolerance, tolerance) for gap in gaps], *numbers)


def _joint_sizes(evidence: Evidence, series: Series, lengths: set[int]) -> dict[int, Estimate]:
    """The critical size of each T by the joint model; none if it is not fitted, or its mean is not over such lengths.

    A T whose rates lie on one side of the share has a size in the model too, which the runs do not bound.
    """
    rows = series.of(evidence.tables["law_sizes"]).sort_values("T")
    if not (rows["bracketed"].all() and set(rows["T"]) <= lengths):
        return {}
    return {row.T: Estimate(f"critical size at T = {row.T}", row.n, row.n_low, row.n_high) for row in rows.itertuples()}


def _joint_mean(evidence: Evidence, series: Series) -> Estimate:
    """The geometric mean of the sizes of the joint model, with its own interval."""
    compared = evidence.rows("law_verdicts", series).iloc[0]
    return Estimate("mean critical size", *compared[["n_mean", "n_mean_low", "n_mean_high"]])


def _log_law(evidence: Evidence, series: Series) -> tuple[pd.Series, int, str]:
    """The fitted log law, the number of T in it, and how it was fitted."""
    joint, least = (evidence.rows(table, series).set_index("law").loc["log"] for table in ("law_fits", "scaling_fits"))
    return (least, least["points"], SINGLY) if pd.isna(joint["a"]) else (joint, joint["contexts"], JOINTLY)
