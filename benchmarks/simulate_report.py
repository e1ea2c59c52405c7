"""Shows what the simulation of scaling laws found: tables of coverage and of verdicts, a page and two figures."""

import json
from datetime import date
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures import style
from pipeline.figures.laws import LAWS
from pipeline.publish import publish
from pipeline.statistics.law_verdict import UNDECIDED
from pipeline.storage import write_frame
from report import markdown

COMMAND = "make simulate"
NOMINAL = 0.95
CASE = ["truth", "last", "runs", "correlation", "falling"]
BOOTSTRAPS = {"parametric": "parametric bootstrap", "case": "case bootstrap"}
SINGLE = {"alone": "each T alone", "joint": "all T together"}


def write(simulated: list[pd.DataFrame], results: Path, target: Path) -> str:
    """Summarises the rows of all conditions, draws the figures, keeps all of it, and returns the page ``table.md``.

    Args:
        simulated: the rows of each condition that is done, as ``simulate.run`` keeps them.
        results: where tables and figures are made.
        target: where they are kept, with a manifest.
    """
    by_kind = {kind: pd.concat(group) for kind, group in _grouped(simulated).items()}
    covered = pd.concat([coverage(by_kind[kind]) for kind in ("coverage", "single_T")], ignore_index=True)
    decided = verdicts(by_kind["verdict"])
    for name, table in {"coverage": covered, "verdicts": decided, "judged": by_kind["verdict"]}.items():
        write_frame(table, results / f"tables/{name}.parquet")
    style.save(coverage_chart(covered), results / "figures", "coverage")
    style.save(power_chart(decided), results / "figures", "power")
    publish(results, target, COMMAND)
    page = "\n\n".join([_origin(target), *_sections(covered, decided, by_kind["verdict"])]) + "\n"
    (target / "table.md").write_text(page, encoding="utf-8")
    return page


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """How often the intervals of each quantity cover the truth, with the standard error of that rate.

    An open end, null, bounds nothing; a row without an estimate (a censored size) is left out and counted.
    """
    known = rows.dropna(subset="estimate")
    low, high = known["low"].fillna(-np.inf), known["high"].fillna(np.inf)
    known = known.assign(covers=(low <= known["true"]) & (known["true"] <= high), width=high - low)
    groups = known.groupby(["kind", *CASE, "quantity", "bootstrap"], sort=False)
    table = groups.agg(
        true=("true", "first"),
        mean_estimate=("estimate", "mean"),
        median_width=("width", "median"),
        coverage=("covers", "mean"),
        repetitions=("covers", "size"),
    ).reset_index()
    table["standard_error"] = np.sqrt(NOMINAL * (1 - NOMINAL) / table["repetitions"])
    return table


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each condition, how often the verdict was right, undecided and wrong, and which law was best by each."""
    right = rows["verdict"] == rows["truth"]
    undecided = rows["verdict"] == UNDECIDED
    marked = rows.assign(right=right, undecided=undecided, wrong=~right & ~undecided)
    criteria = [f"best_{name}" for name in ("aic", "bic", "held_out")]
    marked[criteria] = marked[criteria].eq(marked["truth"], axis=0)
    outcomes = ["right", "undecided", "wrong", *criteria]
    groups = marked.groupby(CASE, sort=False)
    return groups[outcomes].mean().assign(repetitions=groups.size()).reset_index()


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each test rejects what is true, at the level 0.05, over all tables simulated without overdispersion."""
    log, power = rows[rows["truth"] == "log"], rows[rows["truth"] == "power"]
    tests = {
        "overdispersion (Pearson against simulated tables)": rows["p_overdispersion"],
        "the law against a size of its own for every T": rows["p_free"],
        "log against power, under log": log["p_log"],
        "power against log, under power": power["p_power"],
    }
    shares = [((p < 1 - NOMINAL).mean(), len(p)) for p in tests.values()]
    return pd.DataFrame(shares, columns=["rejected", "tables"]).assign(test=list(tests))


def _grouped(simulated: list[pd.DataFrame]) -> dict[str, list[pd.DataFrame]]:
    kinds: dict[str, list[pd.DataFrame]] = {}
    for rows in simulated:
        kinds.setdefault(rows["kind"].iloc[0], []).append(rows)
    return kinds


def _origin(target: Path) -> str:
    made = json.loads((target / "manifest.json").read_text())
    changes = " with uncommitted changes" if made["uncommitted_changes"] else ""
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    return (
        f"# Simulated {date.today()}\n\n`{COMMAND}` at commit {made['commit'][:9]}{changes}; {machine}. "
        "[README.md](README.md) says what was simulated and what it means."
    )


def _sections(covered: pd.DataFrame, decided: pd.DataFrame, judged: pd.DataFrame) -> list[str]:
    two, three = "{:.2f}".format, "{:.3f}".format
    columns = {"truth": str, "correlation": str, "quantity": str, "bootstrap": str, "true": "{:.4g}".format}
    columns |= {"mean_estimate": "{:.4g}".format, "median_width": "{:.3g}".format, "coverage": three}
    outcome = {"truth": str, "last": str, "runs": str, "falling": str} | dict.fromkeys(
        ("right", "undecided", "wrong", "best_aic", "best_bic", "best_held_out"), two
    )
    return [
        "## Coverage of the intervals, nominally 0.95",
        markdown(covered, columns | {"standard_error": three, "repetitions": str}),
        "## Verdicts",
        markdown(decided, outcome | {"repetitions": str}),
        "## Levels of the tests, nominally 0.05",
        markdown(levels(judged), {"test": str, "rejected": three, "tables": str}),
    ]


def coverage_chart(covered: pd.DataFrame) -> alt.LayerChart:
    """A dot for each interval's coverage with two standard errors, against the nominal rate."""
    kinds = BOOTSTRAPS | SINGLE
    shown = covered.assign(
        interval=covered["bootstrap"].map(kinds),
        what=[_what(row) for row in covered.itertuples()],
        low=covered["coverage"] - 2 * covered["standard_error"],
        high=covered["coverage"] + 2 * covered["standard_error"],
    )
    order = list(dict.fromkeys(shown["what"]))
    drawn = [name for name in kinds.values() if name in set(shown["interval"])]
    x = alt.X("coverage:Q", title="Coverage, with two standard errors", scale=alt.Scale(zero=False))
    base = alt.Chart(shown).encode(
        alt.Y("what:N", title=None, sort=order, axis=alt.Axis(labelLimit=320, grid=True)),
        alt.YOffset("interval:N", sort=drawn, scale=alt.Scale(paddingOuter=0.4)),
        alt.Color(
            "interval:N",
            scale=alt.Scale(domain=drawn, range=["#0072B2", "#E69F00", "#CC79A7", "#009E73"][: len(drawn)]),
            legend=alt.Legend(title=None, orient="bottom", columns=2),
        ),
    )
    nominal = alt.Chart(pd.DataFrame({"coverage": [NOMINAL]})).mark_rule(strokeDash=[4, 3], color=style.INK)
    bars = base.mark_rule(strokeWidth=2).encode(alt.X("low:Q"), alt.X2("high"))
    dots = base.mark_circle(size=70, opacity=1).encode(x)
    title = alt.Title("Do 95 % intervals cover the truth?", subtitle="dashed: the nominal rate")
    return alt.layer(nominal.encode(x), bars, dots, title=title).properties(width=480, height=alt.Step(14))


def _what(row: tuple) -> str:
    """The name of a covered quantity."""
    if row.kind == "single_T":
        return f"critical size at T = {row.quantity.removeprefix('n(').removesuffix(')')}"
    more = ", overdispersed" if row.correlation else ""
    return f"{LAWS[row.truth][0]}{more}: {row.quantity}"


def power_chart(decided: pd.DataFrame) -> alt.HConcatChart:
    """The share of right verdicts against the largest T, a line for each number of runs, a panel for log and power."""
    shown = decided[decided["truth"].isin(["log", "power"]) & ~decided["falling"]]
    error = np.sqrt(shown["right"] * (1 - shown["right"]) / shown["repetitions"])
    shown = shown.assign(
        low=(shown["right"] - error).clip(0, 1),
        high=(shown["right"] + error).clip(0, 1),
        cell=shown["runs"].astype(str) + " runs per cell",
    )
    order = [f"{runs} runs per cell" for runs in sorted(shown["runs"].unique())]
    return alt.hconcat(
        *(_power_panel(shown[shown["truth"] == truth], truth, order) for truth in ("log", "power")),
        title=alt.Title("How far must T reach?", subtitle="share of simulated experiments whose verdict is right"),
    )


def _power_panel(shown: pd.DataFrame, truth: str, order: list[str]) -> alt.LayerChart:
    ticks = alt.Axis(values=sorted(shown["last"].unique()), format="~s", grid=False, labelOverlap=False)
    x = alt.X("last:Q", title="Largest T (log scale)", scale=alt.Scale(type="log", nice=False), axis=ticks)
    y = alt.Y("right:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%"))
    colours = ["#56B4E9", "#0072B2", "#000000"][: len(order)]
    looks = style.looks(
        "cell", order, {alt.Color: colours, alt.Shape: ["circle", "square", "triangle-up"][: len(order)]}
    )
    base = alt.Chart(shown)
    layers = [
        base.mark_line(strokeWidth=2).encode(x, y, looks[alt.Color]),
        base.mark_rule(strokeWidth=1.5).encode(x, alt.Y("low:Q"), alt.Y2("high"), looks[alt.Color]),
        base.mark_point(size=70, filled=True, opacity=1).encode(x, y, *looks.values()),
    ]
    return alt.layer(*layers, title=style.heading(f"truth: {LAWS[truth][1]}")).properties(width=330, height=300)
