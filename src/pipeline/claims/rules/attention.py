"""What the trained attention looks at."""

from pipeline.claims.evidence import Evidence, Series, require_count
from pipeline.claims.proportions import median, share
from pipeline.claims.rule import rule
from pipeline.claims.verdicts import Finding, Part, conclude
from pipeline.config.sections import Count, Share


@rule(
    "attention",
    criterion="""
    Of the successful runs, the share in which the k positions of largest mean attention of [CLS] are the support:
    supported if its interval lies above {at_least:.0%}, not supported if it lies below. Undecided otherwise, or
    with fewer than {runs} successful runs.
    """,
)
def attends_to_support(evidence: Evidence, series: Series, at_least: Share, runs: Count) -> Finding:
    """Whether attention singles out the support where learning succeeded."""
    rows = evidence.rows("attention", series)
    learned, failed = rows[rows["success"]], rows[~rows["success"]].dropna(subset="support_recovered")
    require_count(len(learned), runs, "successful runs")
    found = share("successes that attend to the support", learned["support_recovered"], evidence.confidence)
    mass = median(
        "best head's attention on the support, successes", learned["best_head_support_mass"], evidence.confidence
    )
    beside = [share("failures that do", failed["support_recovered"], evidence.confidence)] if len(failed) else []
    return conclude([Part(found, low=at_least)], mass, *beside)
