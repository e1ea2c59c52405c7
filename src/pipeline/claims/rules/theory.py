"""The theorem: how the norms of constructed heads and the capacity bounds grow (docs/theory.md).

The intervals are those of least squares. What is fitted is computed and not drawn, but for the random supports and
position vectors, so they say how well a law describes it.
"""

from typing import Annotated

import pandas as pd
from pydantic import Field
from scipy.special import stdtrit

from pipeline.claims.evidence import Evidence, require_count, require_span
from pipeline.claims.rule import rule
from pipeline.claims.verdicts import Estimate, Finding, Part, Undecided, conclude, difference
from pipeline.config.sections import Count, ListOf
from pipeline.labels import function_label
from pipeline.theory.growth import Law, query_key_in_power_of_log_T, readout_in_k, samples_in_T

Positive = Annotated[float, Field(gt=0)]


@rule(
    "representation",
    criterion="""
    The exponent of ln T in the norm of W_QK of heads constructed for an AND: supported if its interval lies below
    {below:g}, not supported if it lies above. Undecided otherwise, with fewer than {contexts} context lengths, or with
    a range of T below a factor of {span:g}.
    """,
)
def query_key_norm_grows_like_log(evidence: Evidence, below: Positive, contexts: Count, span: Positive) -> Finding:
    """Whether the query-key norm of an exact head grows no faster than log T."""
    table = _table(evidence, "representation", "length", contexts, "T")
    require_span(set(table["T"]), span)
    law = query_key_in_power_of_log_T(table)
    return conclude([Part(_slope("exponent of ln T in the norm of W_QK", law, evidence), high=below)])


@rule(
    "representation",
    criterion="""
    The readout's norm against k: supported if for each of {symmetric} the exponent of k lies below {exponent:g}, and
    for {general} the doublings for each bit lie above {at_least:g} and below {at_most:g}, by their whole intervals; not
    supported if one interval lies on the other side. Undecided otherwise, or with fewer than {sparsities} values of k.
    """,
)
def readout_norm_grows_with_k(
    evidence: Evidence,
    symmetric: ListOf[str],
    general: str,
    exponent: Positive,
    at_least: Positive,
    at_most: Positive,
    sparsities: Count,
) -> Finding:
    """Whether the norm of an exact readout is a power of k for symmetric functions and exponential in general."""
    table = _table(evidence, "representation", "sparsity", sparsities, "k")
    if missing := {*symmetric, general} - set(table["function"]):
        raise Undecided(f"no constructions for {', '.join(sorted(missing))}")
    parts = [
        Part(
            _slope(f"exponent of k for {function_label(name)}", readout_in_k(table, name)["power"], evidence),
            high=exponent,
        )
        for name in symmetric
    ]
    doublings = _slope(
        f"doublings for each bit for {function_label(general)}", readout_in_k(table, general)["exponential"], evidence
    )
    return conclude([*parts, Part(doublings, low=at_least, high=at_most)])


@rule(
    "capacity",
    criterion="""
    The exponents of T in the samples that the bounds ask for: supported if that of the norm bound, at constructed
    heads, lies below {below:g} and below that of parameter counting, by whole intervals; not supported if one of them
    lies above. A power of log T is not told from a small power of T. Undecided otherwise, with fewer than {contexts}
    context lengths, or with a range of T below a factor of {span:g}.
    """,
)
def norm_bound_grows_slower(evidence: Evidence, below: Positive, contexts: Count, span: Positive) -> Finding:
    """Whether the norm bound grows with T like a power of log T, and parameter counting faster."""
    table = _rows(evidence, "capacity")
    lengths = set(table.loc[table["source"] == "constructed", "T"])
    require_count(len(lengths), contexts, "context lengths")
    require_span(lengths, span)
    laws = samples_in_T(table)
    norms, counting = (
        _slope(f"exponent of T, {name}", laws[key], evidence)
        for name, key in (("norm bound", "norms"), ("parameter counting", "parameters"))
    )
    slower = difference("counting's exponent less the norm bound's", counting, norms)
    return conclude([Part(norms, high=below), Part(slower, low=0)], counting)


def _rows(evidence: Evidence, name: str) -> pd.DataFrame:
    if name not in evidence.tables:
        raise Undecided(f"no table {name}: the section theory of the config is off")
    return evidence.tables[name]


def _table(evidence: Evidence, name: str, sweep: str, needed: int, column: str) -> pd.DataFrame:
    """The rows of a sweep whose constructions exist; a construction that is not exact would be no evidence."""
    table = _rows(evidence, name)
    table = table[(table["sweep"] == sweep) & table["feasible"]]
    if not table["certified"].all():
        raise Undecided("some constructions are not exact")
    require_count(table.loc[table["function"] == "and", column].nunique(), needed, f"values of {column}")
    return table


def _slope(name: str, law: Law, evidence: Evidence) -> Estimate:
    reach = stdtrit(law.points - 2, (1 + evidence.confidence) / 2) * law.error
    return Estimate(name, law.slope, law.slope - reach, law.slope + reach)
