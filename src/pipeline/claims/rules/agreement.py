"""The critical sample sizes found here beside the paper's own, read off its main figure."""

from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.claims.evidence import Evidence, Series, require_count
from pipeline.claims.rule import rule
from pipeline.claims.sizes import TABLES, critical_sizes
from pipeline.claims.verdicts import Estimate, Finding, Part, conclude, geometric_mean, ratio
from pipeline.config.sections import Count

PAPER = "paper_critical_sample_size"
Tolerance = Annotated[float, Field(gt=0)]


@rule(
    *TABLES,
    PAPER,
    criterion="""
    Our critical size over the paper's point, as the geometric mean over their common T: supported if its interval
    lies within {tolerance:.0%} of 1, not supported if all of it lies outside. Undecided otherwise, with fewer than
    {contexts} common T, or with fewer than {runs} runs at some T. The points count as exact, since it is not known
    what the paper's bars are.
    """,
)
def agrees_with_points(
    evidence: Evidence, series: Series, tolerance: Tolerance, contexts: Count, runs: Count
) -> Finding:
    """Whether our critical sizes are the paper's."""
    evidence.require(series, runs)
    paper = evidence.tables[PAPER].set_index("context_length")
    ours = {T: size for T, size in critical_sizes(evidence, series).items() if T in paper.index}
    require_count(len(ours), contexts, "common context lengths")
    points = {T: Estimate("", *[paper.loc[T, "critical_sample_size"]] * 3) for T in ours}
    ratios = [ratio(f"ours over the paper's at T = {T}", size, points[T]) for T, size in ours.items()]
    mean = geometric_mean("ours over the paper's, mean", ratios)
    met = sum(size.low <= paper.loc[T, "bar_high"] and paper.loc[T, "bar_low"] <= size.high for T, size in ours.items())
    meeting = Estimate(f"T, of {len(ours)}, at which our interval meets the paper's bar", met)
    return conclude([Part(mean, 1 / (1 + tolerance), 1 + tolerance)], meeting, *ratios)


@rule(
    "scaling_fits",
    PAPER,
    criterion="""
    a and b of n = a·ln T + b, beside those of the same least-squares fit to the paper's points, by their relative
    difference: supported if the intervals of both lie within {tolerance:.0%} of 0, not supported if all of one lies
    outside. Undecided otherwise, with fewer than {contexts} T in our fit, or with fewer than {runs} runs at some T.
    The points count as exact.
    """,
)
def agrees_with_law(evidence: Evidence, series: Series, tolerance: Tolerance, contexts: Count, runs: Count) -> Finding:
    """Whether the log law fitted to our critical sizes is the paper's."""
    evidence.require(series, runs)
    fit = evidence.rows("scaling_fits", series).set_index("law").loc["log"]
    require_count(fit["points"], contexts, "context lengths in our fit")
    paper = evidence.tables[PAPER]
    papers = np.polyfit(np.log(paper["context_length"]), paper["critical_sample_size"], 1)
    gaps, numbers = [], []
    for name, theirs in zip(("a", "b"), papers, strict=True):
        ours = fit[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        gaps.append(Estimate(f"{name}, relative difference", *((ours - theirs) / abs(theirs))))
        numbers += [Estimate(f"{name}, ours", *ours), Estimate(f"{name}, the paper's", theirs)]
    return conclude([Part(gap, -tolerance, tolerance) for gap in gaps], *numbers)
