"""The results in a few lines of text."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from pipeline.claims.ledger import parted
from pipeline.families import FAMILY, rows_of
from pipeline.labels import exponent_label, learner_label, percent, task_label

NEARLY_ALL = 0.9  # a success rate below this at the largest n suggests that more samples alone do not help


def summary(
    critical: pd.DataFrame,
    fits: pd.DataFrame,
    verdicts: pd.DataFrame,
    runs: pd.DataFrame,
    share: float,
    confidence: float,
    transitions: pd.DataFrame | None = None,
    growth: pd.DataFrame | None = None,
    claims: Sequence[Mapping] = (),
    figures: bool = True,
) -> str:
    """Critical sample sizes with their intervals, the fitted law, and what to know of the runs behind them.

    Args:
        critical: the table critical_sample_size.
        fits: the table scaling_fits.
        verdicts: the table law_verdicts.
        runs: the table runs.
        share: the share of successful runs that defines the critical size.
        confidence: the intervals' coverage.
        transitions: the table transitions, if there are experiments on fresh samples.
        growth: the table transition_fits, likewise.
        claims: the entries of the ledger of claims.
        figures: whether the config draws any.
    """
    lines = []
    if len(critical):
        reached = f"the n at which {percent(share)} of the runs succeed"
        lines.append(f"Critical sample size: {reached}, with {percent(confidence)} intervals.")
    for key, rows in critical.groupby(FAMILY):
        mine, law, judged = (rows_of(table, FAMILY, key) for table in (runs, fits, verdicts))
        experiment, function, model, k = key
        lines += ["", f"{experiment}: {task_label(function, k)}, {learner_label(model)}, {len(mine)} runs"]
        lines += [*_sizes(rows), *_laws(law), *_judgement(judged), *_plateaus(rows, mine), *_counts(mine)]
    if transitions is not None:
        lines += [
            "",
            "Transitions: the step at which a run on fresh samples succeeds, "
            f"medians with {percent(confidence)} intervals.",
        ]
        lines += _transitions(transitions, growth)
    lines += _verdicts(claims)
    drawn = " Figures: results/figures/." if figures else ""
    lines += ["", f"All on one page: results/index.html.{drawn} Tables: results/tables/."]
    return "\n".join(lines).lstrip("\n") + "\n"


def _sizes(rows: pd.DataFrame) -> Iterator[str]:
    for row in rows.sort_values("T").itertuples():
        if row.censored:
            side = {"below": "at or below the smallest", "above": "above the largest"}[row.censored_side]
            yield f"  T = {row.T:<6} {side} n of the grid"
        else:
            interval = f"[{_end(row.ci_low)}, {_end(row.ci_high)}]"
            smallest = f"smallest n reaching the share: {row.n_grid}"
            yield f"  T = {row.T:<6} n = {row.n_critical:6.1f}   {interval}   {smallest}"


def _end(value: float) -> str:
    return "beyond the grid" if math.isnan(value) else f"{value:.1f}"


def _transitions(transitions: pd.DataFrame, growth: pd.DataFrame) -> Iterator[str]:
    for key, rows in transitions.groupby(FAMILY):
        experiment, function, model, k = key
        yield from ("", f"{experiment}: {task_label(function, k)}, {learner_label(model)}, {rows['runs'].sum()} runs")
        for row in rows.sort_values("T").itertuples():
            median = "not reached by half" if row.censored else f"step {row.median:.0f}"
            interval = ", ".join("open" if pd.isna(end) else f"{end:.0f}" for end in (row.ci_low, row.ci_high))
            yield f"  T = {row.T:<6} {median}   [{interval}]   {row.reached} of {row.runs} runs"
        for fit in rows_of(growth, FAMILY, key).dropna(subset="exponent").itertuples():
            yield f"  fit: step proportional to T^{fit.exponent:.2f} [{fit.exponent_low:.2f}, {fit.exponent_high:.2f}]"


def _verdicts(claims: Sequence[Mapping]) -> Iterator[str]:
    """The verdict on each claim; those on what the config does not run are counted."""
    if claims:
        yield from ("", "Claims, each with its numbers and runs in results/claims.md:")
    told, absent = parted(claims)
    yield from (f"  {one['verdict']:<14} {one['statement']}" for one in told)
    if absent:
        yield f"  {'undecided':<14} and {len(absent)} more, on what this config does not run"


def _laws(fits: pd.DataFrame) -> Iterator[str]:
    for fit in fits.dropna(subset="a").itertuples():
        slope = f"{fit.a:.1f} [{fit.a_low:.1f}, {fit.a_high:.1f}]"
        yield f"  fit: n = {slope} · ln T {'+' if fit.b >= 0 else '-'} {abs(fit.b):.1f}, R² = {fit.r_squared:.3f}"


def _judgement(verdicts: pd.DataFrame) -> Iterator[str]:
    """Which law it is, where the laws could be compared."""
    for one in verdicts.dropna(subset="best_aic").itertuples():
        yield f"  law: {one.verdict.replace('_', ' ')} ({one.reason})"
        yield f"  with an offset: {exponent_label(one.c, one.c_low, one.c_high, one.c_p_free)}"


def _plateaus(rows: pd.DataFrame, runs: pd.DataFrame) -> Iterator[str]:
    """Where the success rate seems to level off below 1, which the fitted curve does not know."""
    runs = runs[runs["T"].isin(rows.loc[~rows["censored"], "T"])]
    last = runs[runs["n"] == runs.groupby("T")["n"].transform("max")].groupby("T")["success"].mean()
    low = last[last < NEARLY_ALL]
    if len(low):
        lengths = ", ".join(f"{T} ({1 - rate:.0%})" for T, rate in low.items())
        yield f"  even at the largest n runs fail, at T = {lengths}: if for other reasons than the sample, the fitted"
        yield "  n, on a curve that rises to 100%, is too large; compare the smallest n reaching the share"


def _counts(runs: pd.DataFrame) -> Iterator[str]:
    """What else a reader should know before trusting the numbers."""
    ambiguous, diverged = int((runs["unique"] == False).sum()), int((runs["status"] == "diverged").sum())  # noqa: E712
    if ambiguous:
        yield f"  runs whose training set fits more than one support, after all redraws: {ambiguous}"
    if diverged:
        yield f"  runs that diverged, which count as failures: {diverged}"
