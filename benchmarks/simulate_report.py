"""Shows what the simulation of scaling laws found: tables of coverage and of verdicts, a page and two figures."""

from datetime import date
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.laws import LAWS
from pipeline.figures.parts import style
from pipeline.statistics.law_verdict import UNDECIDED
from pipeline.storage import write_frame
from report import keep_all, markdown, origin

COMMAND = "make simulate"
NOMINAL = 0.95
CASE = ["truth", "last", "runs", "correlation", "falling"]
INTERVALS = {  # name in words, colour, shape
    "profile": ("profile likelihood", "#0072B2", "circle"),
    "joint": ("profile likelihood", "#0072B2", "circle"),
    "alone": ("each T alone", "#CC79A7", "square"),
    "parametric": ("parametric bootstrap", "#E69F00", "triangle-up"),
    "case": ("case bootstrap", "#009E73", "diamond"),
}


def write(simulated: list[pd.DataFrame], results: Path, target: Path) -> str:
    """Summarises the rows of all conditions, draws the figures, keeps all of it, and returns the page ``table.md``.

    Args:
        simulated: the rows of each condition that is done, as ``simulate.run`` keeps them.
        results: where tables and figures are made.
        target: where they are kept, with a manifest.
    """
    by_kind = {kind: pd.concat(group) for kind, group in _grouped(simulated).items()}
    judged, without_size = by_kind.pop("verdict"), by_kind.pop("no_size")
    covered = pd.concat(map(coverage, by_kind.values()), ignore_index=True)
    decided, named = verdicts(judged), laws_named(without_size)
    for name, table in {"coverage": covered, "verdicts": decided, "judged": judged, "no_size": named}.items():
        write_frame(table, results / f"tables/{name}.parquet")
    style.save(coverage_chart(covered), results / "figures", "coverage")
    style.save(power_chart(decided), results / "figures", "power")
    keep_all(results, target, COMMAND)
    page = "\n\n".join([_heading(target), *_sections(covered, decided, judged, named)]) + "\n"
    (target / "table.md").write_text(page, encoding="utf-8")
    return page


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """How often the intervals of each quantity cover the truth, with the standard error of that rate.

    An open end, null, bounds nothing; a row without an estimate (a censored size) is left out and counted.
    """
    known = rows.dropna(subset="estimate")
    low, high = known["low"].fillna(-np.inf), known["high"].fillna(np.inf)
    known = known.assign(covers=(low <= known["true"]) & (known["true"] <= high), width=high - low)
    groups = known.groupby(["kind", *CASE, "quantity", "interval"], sort=False)
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


def laws_named(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each condition without a critical size at the largest T, how often a law is named all the same."""
    groups = rows.assign(named=rows["verdict"] != UNDECIDED).groupby(CASE, sort=False)["named"]
    return groups.agg(named="mean", repetitions="size").reset_index()


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each test rejects what is true, at the level 0.05, over all tables simulated without overdispersion.

    A law that is best itself is not rejected, and has no p-value against the best.
    """
    log, power = rows[rows["truth"] == "log"], rows[rows["truth"] == "power"]
    against_best = pd.Series([row[f"p_best_{row['truth']}"] for _, row in rows.iterrows()], rows.index, float)
    of_one = rows["truth"].isin(["constant", "proportional_log"])
    tests = {
        "overdispersion (Pearson against simulated tables)": rows["p_overdispersion"],
        "the law against a size of its own for every T": rows["p_free"],
        "log against power, under log": log["p_log"],
        "power against log, under power": power["p_power"],
        "a law of two coefficients against the best by AIC": against_best[~of_one],
        "a law of one coefficient against the best by AIC": against_best[of_one],
    }
    shares = [((p < 1 - NOMINAL).mean(), len(p)) for p in tests.values()]
    return pd.DataFrame(shares, columns=["rejected", "tables"]).assign(test=list(tests))


def _grouped(simulated: list[pd.DataFrame]) -> dict[str, list[pd.DataFrame]]:
    kinds: dict[str, list[pd.DataFrame]] = {}
    for rows in simulated:
        kinds.setdefault(rows["kind"].iloc[0], []).append(rows)
    return kinds


def _heading(target: Path) -> str:
    explained = "[README.md](README.md) says what was simulated and what it means."
    return f"# Simulated {date.today()}\n\n{origin(target)}. {explained}"


def _sections(covered: pd.DataFrame, decided: pd.DataFrame, judged: pd.DataFrame, named: pd.DataFrame) -> list[str]:
    two, three = "{:.2f}".format, "{:.3f}".format
    columns = {"truth": str, "runs": str, "correlation": str, "quantity": str, "interval": str}
    columns |= {
        "true": "{:.4g}".format,
        "mean_estimate": "{:.4g}".format,
        "median_width": "{:.3g}".format,
        "coverage": three,
    }
    outcome = {"truth": str, "last": str, "runs": str, "falling": str} | dict.fromkeys(
        ("right", "undecided", "wrong", "best_aic", "best_bic", "best_held_out"), two
    )
    return [
        "## Coverage of the intervals, nominally 0.95",
        markdown(covered, columns | {"standard_error": three, "repetitions": str}),
        "## Verdicts",
        markdown(decided, outcome | {"repetitions": str}),
        "## Laws named where no critical size exists at the largest T",
        markdown(named, {"truth": str, "last": str, "runs": str, "named": two, "repetitions": str}),
        "## Levels of the tests, nominally 0.05",
        markdown(levels(judged), {"test": str, "rejected": three, "tables": str}),
    ]


def coverage_chart(covered: pd.DataFrame) -> alt.HConcatChart:
    """A mark for each interval's coverage with two standard errors, against the nominal rate.

    On the left the coefficients of the laws, on the right the critical sizes of single T.
    """
    shown = covered.assign(
        name=covered["interval"].map(lambda kind: INTERVALS[kind][0]),
        what=[_what(row) for row in covered.itertuples()],
        low=(covered["coverage"] - 2 * covered["standard_error"]).clip(0, 1),
        high=(covered["coverage"] + 2 * covered["standard_error"]).clip(0, 1),
    )
    drawn = list(dict.fromkeys(look for kind, look in INTERVALS.items() if kind in set(shown["interval"])))
    names, colours, shapes = (list(column) for column in zip(*drawn, strict=True))
    looks = style.looks("name", names, {alt.Color: colours, alt.Shape: shapes})
    single = shown["kind"] == "single_T"
    panels = {"Coefficients of a law": shown[~single], "Critical sizes, log law": shown[single]}
    return alt.hconcat(
        *(_coverage_panel(rows, title, looks) for title, rows in panels.items()),
        title=alt.Title("Do 95 % intervals cover the truth?", subtitle="bars: two standard errors; dashed: 95 %"),
    ).resolve_scale(yOffset="independent")


def _coverage_panel(shown: pd.DataFrame, title: str, looks: dict) -> alt.LayerChart:
    order, names = (list(dict.fromkeys(shown[column])) for column in ("what", "name"))
    x = alt.X("coverage:Q", title="Coverage", scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(format="%"))
    y = alt.Y("what:N", title=None, sort=order, axis=alt.Axis(labelLimit=320, grid=True))
    base = alt.Chart(shown).encode(y, alt.YOffset("name:N", sort=names, scale=alt.Scale(paddingOuter=0.3)))
    nominal = alt.Chart(pd.DataFrame({"coverage": [NOMINAL]})).mark_rule(strokeDash=[4, 3], color=style.INK)
    layers = [
        nominal.encode(x),
        base.mark_rule(strokeWidth=2).encode(alt.X("low:Q"), alt.X2("high"), looks[alt.Color]),
        base.mark_point(size=60, filled=True, opacity=1).encode(x, *looks.values()),
    ]
    height = alt.Step(20, **{"for": "position"})
    return alt.layer(*layers, title=style.heading(title)).properties(width=330, height=height)


def _what(row: tuple) -> str:
    """The name of a covered quantity."""
    if row.kind == "single_T":
        return f"T = {row.quantity.removeprefix('n(').removesuffix(')')}"
    runs = f", {row.runs} runs" if row.runs != 50 else ""
    more = f", ρ = {row.correlation:g}" if row.correlation else ""
    return f"{LAWS[row.truth][0]}{runs}{more}: {row.quantity}"


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
