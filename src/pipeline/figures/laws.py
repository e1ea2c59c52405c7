"""Laws of the critical sample size.

Question: Which law does the critical sample size follow as T grows: log T, a power, or another?

Critical sample sizes with their intervals against context length on log axes, with the fitted laws continued beyond
the data, and beside them the evidence for each law. Laws whose evidence cannot be told apart are left undecided.
"""

import textwrap
from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.families import FAMILY, rows_of
from pipeline.figures.parts import sizes, style
from pipeline.labels import exponent_label, learner_label, task_label

LAWS = {  # name in words, formula, colour, dashes
    "constant": ("constant", "n = b", "#777777", [2, 3]),
    "proportional_log": ("proportional log", "n = a ln T", "#56B4E9", [8, 3]),
    "log": ("log", "n = a ln T + b", "#0072B2", [1, 0]),
    "power": ("power", "n = a T^b", "#E69F00", [1, 0]),
    "linear": ("linear", "n = a T + b", "#009E73", [5, 3]),
}
BANDS = ("log", "power")  # of all five they would hide each other
JOINT, ALONE = "all T together, with interval", "each T alone, curve rising to 1"
COLUMNS = ("ΔAIC", "held-out", "p")
ROOM = 1.2
WIDTH, HEIGHT, CELL = 560, 330, 74
NOTE = (
    "Bands: log and power. ΔAIC to the best law; log-likelihood of the held-out largest T, less the best law's; p: how",
    "often runs under the law would speak against it, and for the best law, as clearly as these do (bootstrap).",
)


def chart(
    verdicts: pd.DataFrame, fits: pd.DataFrame, points: pd.DataFrame, curves: pd.DataFrame, critical: pd.DataFrame
) -> alt.VConcatChart:
    """Draws a row for each family: critical sizes and laws against T on log axes, and a table of the evidence.

    A family with too few T has its sizes alone and the reason.

    Args:
        verdicts: the table law_verdicts.
        fits: the table law_fits.
        points: the table law_sizes.
        curves: the table law_curves.
        critical: the table critical_sample_size.

    Raises:
        ValueError: ``verdicts`` is empty.
    """
    if verdicts.empty:
        raise ValueError("there is no verdict to draw")
    rows = []
    for address, own in verdicts.groupby(FAMILY):
        tables = (rows_of(table, FAMILY, address) for table in (fits, points, curves, critical))
        rows.append(_row(own.iloc[0], *tables))
    title = alt.Title("Which law does the critical sample size follow?", subtitle=list(NOTE))
    return alt.vconcat(*rows, title=title, spacing=36).resolve_scale(color="shared")


def _row(
    verdict: pd.Series, fits: pd.DataFrame, points: pd.DataFrame, curves: pd.DataFrame, critical: pd.DataFrame
) -> alt.HConcatChart:
    """One family."""
    name = f"{task_label(verdict['function'], verdict['k'])}, {learner_label(verdict['model'])}"
    judged = f"{name} ({verdict['experiment']}): {verdict['verdict'].replace('_', ' ')}"
    found = textwrap.wrap(verdict["reason"], 120)
    if len(curves):
        found.append("With an offset: " + exponent_label(*verdict[["c", "c_low", "c_high", "c_p_free"]]))
    title = alt.Title(judged, subtitle=found, fontSize=16)
    parts = [_data(verdict, points, curves, critical)]
    if len(curves):
        parts.append(_evidence(fits))
    return alt.hconcat(*parts, title=title, spacing=30)


def _data(verdict: pd.Series, points: pd.DataFrame, curves: pd.DataFrame, critical: pd.DataFrame) -> alt.LayerChart:
    """Sizes and laws against T; a line marks the largest T of the data."""
    joint = points.assign(mark=JOINT).rename(columns={"n_low": "low", "n_high": "high"})
    alone = critical.rename(columns={"n_critical": "n"}).dropna(subset="n").assign(mark=ALONE)
    marks = pd.concat([alone, joint]).reindex(columns=["T", "n", "low", "high", "mark"])
    x, y = _axes(verdict, marks, curves)
    looks = style.looks("mark", [JOINT, ALONE], {alt.Shape: ["circle", "square"], alt.Fill: [style.INK, "white"]})
    bars = alt.Chart(marks.dropna(subset="low")).mark_rule(strokeWidth=1.5, color=style.INK)
    dots = alt.Chart(marks).mark_point(size=40, strokeWidth=1.2, opacity=1, stroke=style.INK)
    layers = [
        *_laws(verdict, curves, x, y),
        bars.encode(x, sizes.along(y, "low"), alt.Y2("high")),
        dots.encode(x, y, *looks.values()),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _axes(verdict: pd.Series, marks: pd.DataFrame, curves: pd.DataFrame) -> tuple[alt.X, alt.Y]:
    """Log axes over the data and over the laws drawn with bands."""
    drawn = curves[curves["law"].isin(BANDS)]
    ends = [*marks[["n", "low", "high"]].stack(), *drawn["n_high"]] or [1, 10]
    lengths = [*marks["T"], *curves["T"]] or [verdict["T_min"]]
    low, high = min(ends) / ROOM, max(ends) * ROOM
    steps = sizes.ladder(low, high, (1, 2, 3, 5) if high < 50 * low else (1,))
    y_axis = alt.Axis(**({"values": steps} if len(steps) > 2 else {"tickCount": 5}), format="d")
    x_axis = alt.Axis(values=sizes.ticks(pd.Series(lengths).round()), format="d", grid=False, labelSeparation=8)
    x_scale = alt.Scale(type="log", nice=False, domain=[min(lengths) / ROOM, max(lengths) * ROOM])
    y_scale = alt.Scale(type="log", nice=False, domain=[low, high])
    return (
        alt.X("T:Q", title="Context length T (log scale)", scale=x_scale, axis=x_axis),
        alt.Y("n:Q", title="Critical sample size n (samples, log)", scale=y_scale, axis=y_axis),
    )


def _laws(verdict: pd.Series, curves: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Bands, lines and the end of the data; nothing without curves."""
    if curves.empty:
        return []
    named = curves.assign(name=curves["law"].map(lambda law: LAWS[law][0]))
    names, _, colours, dashes = (list(column) for column in zip(*LAWS.values(), strict=True))
    looks = style.looks("name", names, {alt.Color: colours, alt.StrokeDash: dashes})
    bands = [
        alt.Chart(named[named["law"] == law])
        .mark_area(opacity=0.25, clip=True, color=LAWS[law][2])
        .encode(x, sizes.along(y, "n_low"), alt.Y2("n_high"))
        for law in BANDS
    ]
    line = alt.Chart(named).mark_line(strokeWidth=2, clip=True)
    end = alt.Chart(pd.DataFrame([{"T": verdict["T_max"], "text": "largest T of the data"}]))
    return [
        *bands,
        line.encode(x, y, *looks.values()),
        end.mark_rule(strokeDash=[2, 2], color=style.INK).encode(x),
        end.mark_text(align="left", dx=5, fontSize=12, color=style.INK).encode(
            x, alt.Text("text:N"), y=alt.value(HEIGHT - 8)
        ),
    ]


def _evidence(fits: pd.DataFrame) -> alt.LayerChart:
    """A table: a row a law, with what speaks for it; the best value of a column is bold."""
    values = {
        "ΔAIC": fits["aic"] - fits["aic"].min(),
        "held-out": fits["held_out_log_likelihood"] - fits["held_out_log_likelihood"].max(),
        "p": fits["p_bootstrap"],
    }
    cells = pd.concat([fits[["law"]].assign(column=name, value=value) for name, value in values.items()])
    cells["row"] = cells["law"].map(lambda law: f"{LAWS[law][0]}: {LAWS[law][1]}")
    cells["text"] = [_number(*cell) for cell in zip(cells["column"], cells["value"], strict=True)]
    cells["best"] = (cells["value"] == 0) | cells["value"].isna()
    order = [f"{words}: {formula}" for words, formula, *_ in LAWS.values()]
    y = alt.Y("row:N", title=None, sort=order, axis=alt.Axis(domain=False, ticks=False, labelLimit=260))
    axis = alt.Axis(orient="top", domain=False, ticks=False, labelAngle=0)
    x = alt.X("column:N", title=None, sort=list(COLUMNS), axis=axis)
    layers = [
        alt.Chart(cells[cells["best"] == bold])
        .mark_text(fontSize=14, color=style.INK, fontWeight="bold" if bold else "normal")
        .encode(x, y, alt.Text("text:N"))
        for bold in (True, False)
    ]
    return alt.layer(*layers).properties(width=len(COLUMNS) * CELL, height=len(LAWS) * 40)


def _number(column: str, value: float) -> str:
    """A cell of the table of evidence."""
    if pd.isna(value):
        return "best"
    return f"{value:.3f}" if column == "p" else f"{value:.1f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``laws.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "verdicts", "fits", "points", "curves", "critical"), argv)
    tables = (getattr(arguments, name) for name in arguments.tables)
    style.save(chart(*tables), arguments.output_folder, "laws")


if __name__ == "__main__":
    main()
