"""The printed summary."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.claims.claims import load
from pipeline.claims.evidence import Evidence
from pipeline.claims.rules import RULES
from pipeline.summary import summary

ROOT = Path(__file__).parents[1]
SERIES = {"experiment": "and3", "function": "and", "model": "transformer", "k": 3}


def test_the_summary_says_what_was_found_and_what_to_know():
    found = {"ci_low": 35.0, "ci_high": 41.0, "n_grid": 40, "censored": False, "censored_side": ""}
    nothing = {"n_critical": None, "ci_low": None, "ci_high": None, "censored": True, "censored_side": "above"}
    critical = pd.DataFrame(
        [
            {**SERIES, "T": 300, "n_critical": 50.0, **found, "ci_high": None, "n_grid": 60},
            {**SERIES, "T": 100, "n_critical": 38.25, **found},
            {**SERIES, "T": 1100, **nothing},
        ]
    ).astype({"n_grid": "Int64"})
    fits = pd.DataFrame([{**SERIES, "a": 10.7, "a_low": 8.0, "a_high": 12.0, "b": -11.0, "r_squared": 1.0}])
    runs = pd.DataFrame(
        [
            {**SERIES, "T": 100, "n": 80, "success": True, "unique": True, "status": "succeeded"},
            {**SERIES, "T": 300, "n": 40, "success": False, "unique": False, "status": "diverged"},
            {**SERIES, "T": 300, "n": 80, "success": True, "unique": None, "status": "succeeded"},
            {**SERIES, "T": 300, "n": 80, "success": False, "unique": True, "status": "failed"},
        ]
    )
    verdicts = pd.DataFrame([{**SERIES, "verdict": "undecided", "reason": "log and power both fit", "best_aic": "log"}])
    verdicts = verdicts.assign(c=np.nan, c_low=1.046, c_high=np.nan, c_p_free=0.5)
    lines = summary(critical, fits, verdicts, runs, share=0.5, confidence=0.95).splitlines()
    assert lines[0] == "Critical sample size: the n at which 50% of the runs succeed, with 95% intervals."
    assert lines[2:13] == [
        "and3: 3-way AND, Transformer, 4 runs",
        "  T = 100    n =   38.2   [35.0, 41.0]   smallest n reaching the share: 40",
        "  T = 300    n =   50.0   [35.0, beyond the grid]   smallest n reaching the share: 60",
        "  T = 1100   above the largest n of the grid",
        "  fit: n = 10.7 [8.0, 12.0] · ln T - 11.0, R² = 1.000",
        "  law: undecided (log and power both fit)",
        "  with an offset: n = a T^c + b, c open [1.046, open] (0 is log T, 1 linear; goodness of fit p = 0.5)",
        "  even at the largest n runs fail, at T = 300 (50%): if for other reasons than the sample, the fitted",
        "  n, on a curve that rises to 100%, is too large; compare the smallest n reaching the share",
        "  runs whose training set fits more than one support, after all redraws: 1",
        "  runs that diverged, which count as failures: 1",
    ]


def test_shares_are_not_rounded_to_whole_per_cents():
    row = {
        **SERIES,
        "T": 10,
        "n_critical": None,
        "ci_low": None,
        "ci_high": None,
        "censored": True,
        "censored_side": "above",
    }
    nothing, runs = (
        pd.DataFrame(columns=[*SERIES, "T"]),
        pd.DataFrame(columns=[*SERIES, "T", "n", "success", "unique", "status"]),
    )
    critical = pd.DataFrame([row])
    fits, verdicts = nothing.assign(a=None), nothing.assign(best_aic=None)
    first = summary(critical, fits, verdicts, runs, 0.125, 0.999).splitlines()[0]
    assert first == "Critical sample size: the n at which 12.5% of the runs succeed, with 99.9% intervals."


def theory_off() -> str:
    """Why a claim on the theory is undecided without it."""
    claim = load(ROOT / "config/claims.yaml")["query_key_norm_grows_like_log_t"]
    return RULES[claim.rule].apply(Evidence({}, 0.5, 0.95), claim.parameters).reason


def test_the_summary_has_the_verdicts_on_claims():
    nothing = pd.DataFrame(columns=[*SERIES, "T"])
    some, none, theory = (
        {"count": count, "experiments": names} for count, names in ((5, ["and3"]), (0, ["and3"]), (0, []))
    )
    claims = [
        {"statement": "A grows.", "verdict": "supported", "runs": some},
        {"statement": "B.", "verdict": "undecided", "runs": none},
        {"statement": "C.", "verdict": "undecided", "runs": some},
        {"statement": "D.", "verdict": "not supported", "runs": none},
        {"statement": "E.", "verdict": "undecided", "runs": theory, "reason": "2 lengths; 3 are needed"},
        {"statement": "F.", "verdict": "undecided", "runs": theory, "reason": theory_off()},
    ]
    lines = summary(nothing, nothing, nothing, nothing, 0.5, 0.95, claims=claims).splitlines()
    assert lines[:7] == [
        "Claims, each with its numbers and runs in results/claims.md:",
        "  supported      A grows.",
        "  undecided      C.",
        "  not supported  D.",
        "  undecided      E.",
        "  undecided      and 2 more, on what this config does not run",
        "",
    ]
    assert not any("Claims" in line for line in summary(nothing, nothing, nothing, nothing, 0.5, 0.95).splitlines())


def test_the_summary_has_the_transitions_of_runs_on_fresh_samples():
    series = {**SERIES, "experiment": "online", "function": "parity"}
    reached = {"runs": 10, "reached": 9, "median": 750.0, "ci_low": 600.0, "ci_high": None, "censored": False}
    missed = {"runs": 10, "reached": 3, "median": None, "ci_low": 4000.0, "ci_high": None, "censored": True}
    transitions = pd.DataFrame([{**series, "T": 20, **missed}, {**series, "T": 10, **reached}])
    growth = pd.DataFrame([{**series, "exponent": 2.5, "exponent_low": 1.75, "exponent_high": 3.25}])
    critical = pd.DataFrame(columns=[*SERIES, "T"])
    lines = summary(critical, growth, critical, critical, 0.5, 0.95, transitions, growth).splitlines()
    assert lines[:6] == [
        "Transitions: the step at which a run on fresh samples succeeds, medians with 95% intervals.",
        "",
        "online: 3-way parity, Transformer, 20 runs",
        "  T = 10     step 750   [600, open]   9 of 10 runs",
        "  T = 20     not reached by half   [4000, open]   3 of 10 runs",
        "  fit: step proportional to T^2.50 [1.75, 3.25]",
    ]


def test_without_figures_the_summary_names_no_folder_of_them():
    nothing = pd.DataFrame(columns=[*SERIES, "T"])
    tables = [nothing] * 4
    assert summary(*tables, 0.5, 0.95) == (
        "All on one page: results/index.html. Figures: results/figures/. Tables: results/tables/.\n"
    )
    assert summary(*tables, 0.5, 0.95, figures=False) == (
        "All on one page: results/index.html. Tables: results/tables/.\n"
    )
