"""The learners beside each other, on the same samples at the same context lengths."""

from pipeline.claims.evidence import Evidence, Series, require_count, require_span
from pipeline.claims.rule import rule
from pipeline.claims.rules.growth import Span
from pipeline.claims.sizes import TABLES, sizes_of_learner
from pipeline.claims.verdicts import Estimate, Finding, Part, conclude, ratio
from pipeline.config.sections import Count, ListOf

JOINTLY = (
    "Sizes are those of the joint model of all runs of a learner's experiment; of each T alone where it is not fitted."
)


@rule(
    *TABLES,
    "law_sizes",
    criterion="""
    At each common T the critical size of the other learner over the Transformer's: supported if the interval lies
    above 1 at all of them, not supported if at one it lies below 1 when corrected for the number of these T
    (Bonferroni). Undecided otherwise, with fewer than {contexts} common T, or with fewer than {runs} runs at some T.
    """
    + JOINTLY,
)
def needs_fewer(
    evidence: Evidence, series: ListOf[Series], than: ListOf[Series], contexts: Count, runs: Count
) -> Finding:
    """Whether one learner needs fewer samples than another."""
    ours, theirs, common = _at_common_lengths(evidence, series, than, runs)
    require_count(len(common), contexts, "common context lengths")
    our_wide, their_wide = (_sizes(evidence, parts, tests=len(common)) for parts in (series, than))
    corrected = f", corrected for {len(common)} T" if len(common) > 1 else ""
    ratios = [ratio(f"ratio of the critical sizes at T = {T}", theirs[T], ours[T]) for T in common]
    wide = [ratio(one.name + corrected, their_wide[T], our_wide[T]) for T, one in zip(common, ratios, strict=True)]
    deciding = [one if one.low >= 1 else other for one, other in zip(ratios, wide, strict=True)]
    names = {one.name for one in deciding}
    return conclude([Part(one, low=1.0) for one in deciding], *(one for one in ratios if one.name not in names))


@rule(
    *TABLES,
    "law_sizes",
    criterion="""
    The factor by which the other learner's critical size grows from the smallest to the largest common T, over the
    factor by which the Transformer's does: supported if its interval lies above 1, not supported if it lies below.
    Undecided otherwise, with a range of common T below a factor of {span:g}, or with fewer than {runs} runs at some
    T.
    """
    + JOINTLY,
)
def grows_slower(evidence: Evidence, series: ListOf[Series], than: ListOf[Series], span: Span, runs: Count) -> Finding:
    """Whether one learner's need for samples grows more slowly than another's."""
    ours, theirs, common = _at_common_lengths(evidence, series, than, runs)
    require_count(len(common), 2, "common context lengths")
    require_span(common, span)
    first, last = common[0], common[-1]
    own = ratio(f"growth of the Transformer's from T = {first} to {last}", ours[last], ours[first])
    other = ratio(f"growth of the other's from T = {first} to {last}", theirs[last], theirs[first])
    quotient = ratio("growth of the other's over the Transformer's", other, own)
    return conclude([Part(quotient, low=1.0)], own, other)


def _at_common_lengths(
    evidence: Evidence, series: ListOf[Series], than: ListOf[Series], runs: int
) -> tuple[dict[int, Estimate], dict[int, Estimate], list[int]]:
    """The critical sizes of two learners by T, and the T that they have in common, ascending."""
    for part in (*series, *than):
        evidence.require(part, runs)
    ours, theirs = (_sizes(evidence, parts) for parts in (series, than))
    return ours, theirs, sorted(ours.keys() & theirs.keys())


def _sizes(evidence: Evidence, parts: ListOf[Series], tests: int = 1) -> dict[int, Estimate]:
    """The critical sizes of a learner by T, with intervals for so many tests."""
    return {T: size for part in parts for T, size in sizes_of_learner(evidence, part, tests).items()}
