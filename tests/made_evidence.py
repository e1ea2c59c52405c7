"""Made tables as evidence for claims, whose outcome is known."""

import numpy as np
import pandas as pd

from pipeline.claims.evidence import Evidence
from pipeline.claims.rules import RULES
from pipeline.claims.verdicts import (
    Estimate,
    Finding,
)

AND = {"experiment": "and3", "function": "and", "model": "transformer", "k": 3}
MLP = AND | {"experiment": "and3_mlp", "model": "mlp"}
PAPER = pd.DataFrame(
    {
        "context_length": [100, 200, 400, 800],
        "critical_sample_size": [20 * np.log(T) - 40 for T in (100, 200, 400, 800)],
    }
).assign(
    bar_low=lambda table: table["critical_sample_size"] - 3, bar_high=lambda table: table["critical_sample_size"] + 3
)
LENGTHS = tuple(PAPER["context_length"])


def runs_of(series: dict, lengths=LENGTHS, count: int = 100, success=True) -> pd.DataFrame:
    """The table of runs: at each T so many, all with the same outcome unless ``success`` says which fail."""
    outcomes = [success] * count if isinstance(success, bool) else success
    rows = [
        series | {"T": T, "n": 50, "seed": seed, "success": one, "success_step": 800 if one else None, "steps": 800}
        for T in lengths
        for seed, one in enumerate(outcomes)
    ]
    address = {"data": "standard", "training": "paper"}
    return pd.DataFrame(rows).astype({"success_step": "Int32"}).assign(**address)


def sizes_of(series: dict, sizes: dict[int, float], spread: float = 1.1) -> dict[str, pd.DataFrame]:
    """Critical sizes with intervals of a factor, and rates of a grid from 10 to 5000, 20 runs a cell, around them."""
    critical = [
        series | {"T": T, "n_critical": size, "ci_low": size / spread, "ci_high": size * spread, "censored_side": ""}
        for T, size in sizes.items()
    ]
    rates = [
        series | {"T": T, "n": n, "trials": 20, "successes": 20 if n > size else 0}
        for T, size in sizes.items()
        for n in (10, 5000)
    ]
    return {"critical_sample_size": pd.DataFrame(critical), "success_rates": pd.DataFrame(rates)}


def joint_sizes(series: dict, sizes: dict[int, float], spread: float = 1.1) -> dict[str, pd.DataFrame]:
    """The table of the joint model's sizes, with intervals of a factor."""
    rows = [
        series | {"T": T, "n": size, "n_low": size / spread, "n_high": size * spread, "bracketed": True}
        for T, size in sizes.items()
    ]
    return {"law_sizes": pd.DataFrame(rows, columns=[*series, "T", "n", "n_low", "n_high", "bracketed"])}


def together(*parts: dict[str, pd.DataFrame]) -> Evidence:
    """Evidence with the rows of several parts."""
    names = {name for part in parts for name in part}
    tables = {name: pd.concat([part[name] for part in parts if name in part], ignore_index=True) for name in names}
    return Evidence(tables, share=0.5, confidence=0.95)


def decided(rule: str, evidence: Evidence, **parameters) -> Finding:
    """What a rule finds with parameters as YAML gives them."""
    return RULES[rule].apply(evidence, RULES[rule].parameters.model_validate(parameters))


def number(finding: Finding, name: str) -> Estimate:
    return next(one for one in finding.numbers if one.name == name)
