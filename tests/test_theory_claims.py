"""The rules on the theorem, on made tables whose outcome is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from pipeline.claims.evidence import Evidence
from pipeline.claims.rules import RULES
from pipeline.claims.verdicts import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Finding

LENGTHS = (100, 300, 1000, 3000, 10_000)
IN_T = {"below": 1.0, "contexts": 5, "span": 100.0}
IN_K = {"symmetric": ["and"], "general": "junta", "exponent": 3.0, "at_least": 1.0, "at_most": 4.0, "sparsities": 5}


def decided(rule: str, parameters: dict, **tables: pd.DataFrame) -> Finding:
    evidence = Evidence(tables, share=0.5, confidence=0.95)
    return RULES[rule].apply(evidence, RULES[rule].parameters.model_validate(parameters))


def length_sweep(exponent: float, lengths=LENGTHS, noise: float = 0.02) -> pd.DataFrame:
    """Norms that are a power of ln T, alternately a little above and below."""
    rows = [
        {"T": T, "qk_frobenius": 3 * np.log(T) ** exponent * (1 + noise * (-1) ** i)} for i, T in enumerate(lengths)
    ]
    return pd.DataFrame(rows).assign(sweep="length", function="and", k=3, feasible=True, certified=True)


def sparsity_sweep(exponent: float, doublings: float) -> pd.DataFrame:
    k = np.arange(1, 8)
    wobble = 1 + 0.02 * (-1.0) ** k
    norms = {"and": 2.0 * k**exponent * wobble, "junta": 2.0 ** (doublings * k) * wobble}
    rows = [pd.DataFrame({"k": k, "readout_frobenius": norm}).assign(function=name) for name, norm in norms.items()]
    table = pd.concat(rows, ignore_index=True).assign(sweep="sparsity", feasible=True, certified=True)
    return table.assign(symmetric=table["function"] == "and")


def bounds(norms: float, counting: float) -> pd.DataFrame:
    rows = [
        {"bound": bound, "source": source, "T": T, "samples": 5.0 * T**exponent * (1 + 0.02 * (-1) ** i)}
        for bound, source, exponent in (("norms", "constructed", norms), ("parameters", "formula", counting))
        for i, T in enumerate(LENGTHS)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("exponent", "noise", "verdict"),
    [(0.8, 0.01, SUPPORTED), (1.5, 0.01, NOT_SUPPORTED), (1.0, 0.05, UNDECIDED)],
)
def test_the_query_key_norm(exponent, noise, verdict):
    finding = decided("query_key_norm_grows_like_log", IN_T, representation=length_sweep(exponent, noise=noise))
    assert finding.verdict == verdict
    assert finding.numbers[0].low < exponent < finding.numbers[0].high


def test_the_interval_of_an_exponent_is_student_s_with_two_parameters_fitted():
    table = length_sweep(0.8)
    own = decided("query_key_norm_grows_like_log", IN_T, representation=table).numbers[0]
    found = linregress(np.log(np.log(table["T"])), np.log(table["qk_frobenius"]))
    reach = 3.182446 * found.stderr  # 97.5 % of t with 3 degrees of freedom
    assert (own.value, own.low, own.high) == pytest.approx((found.slope, found.slope - reach, found.slope + reach))


@pytest.mark.parametrize(
    ("exponent", "doublings", "verdict"),
    [
        (1.2, 2.0, SUPPORTED),
        (4.0, 2.0, NOT_SUPPORTED),  # too large a power
        (1.2, 0.5, NOT_SUPPORTED),  # not exponential in general
        (1.2, 6.0, NOT_SUPPORTED),  # too fast
        (3.0, 2.0, UNDECIDED),
    ],
)
def test_the_readout_norm(exponent, doublings, verdict):
    table = sparsity_sweep(exponent, doublings)
    assert decided("readout_norm_grows_with_k", IN_K, representation=table).verdict == verdict


@pytest.mark.parametrize(
    ("norms", "counting", "verdict"),
    [(0.2, 0.9, SUPPORTED), (0.8, 0.9, NOT_SUPPORTED), (0.4, 0.2, NOT_SUPPORTED), (0.2, 0.2, UNDECIDED)],
)
def test_the_bounds(norms, counting, verdict):
    finding = decided("norm_bound_grows_slower", IN_T | {"below": 0.5}, capacity=bounds(norms, counting))
    assert finding.verdict == verdict


def test_what_is_missing_is_named():
    rule = "query_key_norm_grows_like_log"
    assert decided(rule, IN_T).reason == "no table representation: the section theory of the config is off"
    assert decided(rule, IN_T, representation=length_sweep(1, (100, 300))).reason == "2 values of T; 5 are needed"
    narrow = length_sweep(1, (100, 200, 300, 400, 500))
    assert decided(rule, IN_T, representation=narrow).reason == "T from 100 to 500; a factor of 100 is needed"
    broken = length_sweep(0.8).assign(certified=False)
    assert decided(rule, IN_T, representation=broken).reason == "some constructions are not exact"
    some = sparsity_sweep(1, 2).query("function == 'and'")
    assert decided("readout_norm_grows_with_k", IN_K, representation=some).reason == "no constructions for junta"
