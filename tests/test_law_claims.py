"""The rules that decide claims of laws, on made tables whose outcome is known."""

import numpy as np
import pandas as pd
import pytest

from made_evidence import AND, LENGTHS, MLP, decided, number, runs_of, together
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Estimate,
)

Ends = tuple[float, float, float]


def laws(series: dict, verdict: str, exponent: Ends = (0.3, 0.2, 0.4), c: Ends = (0.1, -0.2, 0.5), **changes) -> dict:
    """The tables of the fitted laws and of their comparison, of one series."""
    compared = {"verdict": verdict, "p_log": 0.4, "p_power": 0.01, "contexts": 10, "T_min": 100, "T_max": 1100}
    compared |= dict(zip(("c", "c_low", "c_high"), c, strict=True))
    fits = [
        series | {"law": "log", "a": 15.0, "a_low": 14.0, "a_high": 16.0, "b": -30.0, "b_low": -40.0, "b_high": -20.0},
        series | {"law": "power"} | dict(zip(("b", "b_low", "b_high"), exponent, strict=True)),
    ]
    return {
        "law_verdicts": pd.DataFrame([series | compared | {"reason": "two laws fit as well"} | changes]),
        "law_fits": pd.DataFrame(fits).assign(aic_weight=[0.9, 0.1], p_free=[0.7, 0.2]),
        "success_rates": pd.DataFrame([series | {"T": T} for T in LENGTHS]),
    }


C = "exponent c of n = a T^c + b (0 is log T, 1 linear)"
GROWTH = {"series": AND, "contexts": 4, "span": 8, "runs": 100}


@pytest.mark.parametrize(
    ("law", "verdict"), [("log", SUPPORTED), ("proportional_log", SUPPORTED), ("power", NOT_SUPPORTED)]
)
def test_the_law_that_the_comparison_decides_for(law, verdict):
    evidence = together({"runs": runs_of(AND)}, laws(AND, law))
    found = decided("growth_law", evidence, laws=["log", "proportional_log"], **GROWTH)
    assert (found.verdict, found.reason) == (verdict, f"the comparison decides for the law {law}")
    assert number(found, "exponent of the power law") == Estimate("exponent of the power law", 0.3, 0.2, 0.4)
    assert number(found, C) == Estimate(C, 0.1, -0.2, 0.5)
    assert number(found, "AIC weight of the log law").value == 0.9
    assert number(found, "goodness of fit of the log law, p").value == 0.7
    assert number(found, "goodness of fit of the power law, p").value == 0.2
    assert number(found, "the log law against the power law, p").value == 0.4
    assert number(found, "the power law against the log law, p").value == 0.01


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (laws(AND, "undecided"), "two laws fit as well"),
        (laws(AND, "log", contexts=3), "3 context lengths; 4 are needed"),
        (laws(AND, "log", T_max=700), "T from 100 to 700; a factor of 8 is needed"),
        ({}, "no rows of experiment and3 in the table law_verdicts"),
    ],
)
def test_a_comparison_that_does_not_decide_or_is_too_small(made, reason):
    found = decided("growth_law", together({"runs": runs_of(AND)}, made), laws=["log"], **GROWTH)
    assert (found.verdict, found.reason) == (UNDECIDED, reason)


@pytest.mark.parametrize(
    ("exponent", "c", "verdict"),
    [
        ((0.3, 0.2, 0.4), (0.1, -0.2, 0.5), SUPPORTED),
        ((0.3, 0.2, 0.4), (-0.1, np.nan, 0.5), SUPPORTED),
        ((0.6, 0.5, 0.7), (0.9, 0.7, 1.1), UNDECIDED),  # n = a T + b looks like a power below one on a short range
        ((0.6, 0.5, 0.7), (0.4, 0.1, np.nan), UNDECIDED),
        ((1.8, 1.7, 1.9), (0.8, 0.7, 0.9), SUPPORTED),  # and n = a T^0.8 - b like one above
        ((0.6, 0.5, 0.7), (1.4, 1.1, 1.8), NOT_SUPPORTED),
        ((-0.3, -0.4, -0.2), (2.0, 1.8, 2.2), UNDECIDED),  # n falls, faster and faster
    ],
)
def test_the_exponent_beside_an_offset_is_compared_with_one(exponent, c, verdict):
    evidence = together({"runs": runs_of(AND)}, laws(AND, "log", exponent, c))
    assert decided("growth_exponent", evidence, below=1, **GROWTH).verdict == verdict


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (runs_of(MLP), "no runs of experiment and3"),
        (runs_of(AND | {"k": 2}), "no runs of experiment and3 with function and, model transformer and k = 3"),
        (runs_of(AND, count=99), "experiment and3 has 99 runs at T = 100; 100 are needed"),
        (
            pd.concat([runs_of(AND, (100, 200)), runs_of(AND, (400,), 7)]),
            "experiment and3 has 7 runs at T = 400; 100 are needed",
        ),
    ],
)
def test_without_runs_enough_a_claim_is_undecided(runs, reason):
    evidence = together({"runs": runs}, laws(AND, "log"))
    for rule, more in {"growth_law": {"laws": ["log"]}, "growth_exponent": {"below": 1}}.items():
        found = decided(rule, evidence, **GROWTH, **more)
        assert (found.verdict, found.reason) == (UNDECIDED, reason)
