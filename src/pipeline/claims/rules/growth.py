"""How the critical sample size grows with the context length."""

import math
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from pipeline.claims.evidence import Evidence, Series, require_count, require_span
from pipeline.claims.rule import rule
from pipeline.claims.verdicts import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Estimate, Finding, Part, conclude
from pipeline.config.sections import Count, ListOf

Law = Literal["constant", "proportional_log", "log", "power", "linear"]
Span = Annotated[float, Field(gt=1)]


@rule(
    "law_verdicts",
    "law_fits",
    criterion="""
    Supported if the comparison of laws decides for one of: {laws}; not supported if it decides for another law.
    Undecided if it does not decide, with fewer than {contexts} context lengths, with a range of T below a factor of
    {span:g}, or with fewer than {runs} runs at some T.
    """,
)
def growth_law(
    evidence: Evidence, series: Series, laws: ListOf[Law], contexts: Count, span: Span, runs: Count
) -> Finding:
    """Whether the critical size follows one of some laws."""
    evidence.require(series, runs)
    compared, fits = evidence.rows("law_verdicts", series).iloc[0], _fits(evidence, series)
    require_count(compared["contexts"], contexts, "context lengths")
    require_span((compared["T_min"], compared["T_max"]), span)
    numbers = [
        *(Estimate(f"AIC weight of the {law} law", fit["aic_weight"]) for law, fit in fits.iterrows()),
        *(Estimate(f"goodness of fit of the {law} law, p", fits.loc[law, "p_free"]) for law in ("log", "power")),
        Estimate("the log law against the power law, p", compared["p_log"]),
        Estimate("the power law against the log law, p", compared["p_power"]),
        _coefficient(fits, "log", "a", "a of n = a ln T + b"),
        _coefficient(fits, "log", "b", "b of n = a ln T + b"),
        _coefficient(fits, "power", "b", "exponent of the power law"),
        _offset_exponent(compared),
    ]
    law = compared["verdict"]
    if law == UNDECIDED:
        return Finding(UNDECIDED, compared["reason"], numbers)
    return Finding(SUPPORTED if law in laws else NOT_SUPPORTED, f"the comparison decides for the law {law}", numbers)


@rule(
    "law_fits",
    "law_verdicts",
    "success_rates",
    criterion="""
    The exponent c of n = a·T^c + b fitted to all runs, which contains the power law, as an offset bends a power:
    supported if its interval lies below {below:g}, not supported if it lies above and n grows, by the exponent of the
    power law. Undecided otherwise, with fewer than {contexts} context lengths, with a range of T below a factor of
    {span:g}, or with fewer than {runs} runs at some T.
    """,
)
def growth_exponent(
    evidence: Evidence, series: Series, below: float, contexts: Count, span: Span, runs: Count
) -> Finding:
    """Whether the critical size grows more slowly than a power of T."""
    evidence.require(series, runs)
    power = _coefficient(_fits(evidence, series), "power", "b", "exponent of the power law")
    exponent = _offset_exponent(evidence.rows("law_verdicts", series).iloc[0])
    lengths = set(evidence.rows("success_rates", series)["T"])
    require_count(len(lengths), contexts, "context lengths")
    require_span(lengths, span)
    found = conclude([Part(exponent, high=below)], power)
    if found.verdict == NOT_SUPPORTED and not power.low > 0:
        return Finding(UNDECIDED, "it is open whether the critical size grows at all", found.numbers)
    return found


def _fits(evidence: Evidence, series: Series) -> pd.DataFrame:
    """The fitted laws of a series, by name."""
    return evidence.rows("law_fits", series).set_index("law")


def _offset_exponent(compared: pd.Series) -> Estimate:
    """The exponent of T beside an offset."""
    c, low, high = compared[["c", "c_low", "c_high"]].astype(float)
    ends = -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high
    return Estimate("exponent c of n = a T^c + b (0 is log T, 1 linear)", c, *ends)


def _coefficient(fits: pd.DataFrame, law: str, coefficient: str, name: str) -> Estimate:
    """A coefficient of a law."""
    return Estimate(name, *fits.loc[law, [coefficient, f"{coefficient}_low", f"{coefficient}_high"]])
