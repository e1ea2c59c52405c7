"""Shows what the simulation of the adaptive design says: a page of tables and a figure."""

from collections.abc import Iterator
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import style
from pipeline.storage import read_frame
from report import keep_all

COMMAND = "python benchmarks/adaptive.py"
ADAPTIVE, ANEW, FULL_GRID = "adaptive", "same sizes, drawn anew", "full grid"
LOOKS = {ADAPTIVE: ("#0072B2", "circle"), ANEW: ("#56B4E9", "diamond"), FULL_GRID: (style.INK, "square")}
PANEL = 250
COLUMNS = {"design": "{}", "rounds": "{}", "runs": "{}", "width": "{:.3f}", "coverage": "{:.3f}"} | {
    "bias": "{:+.3f}",
    "error": "{:.3f}",
    "open_ended": "{:.3f}",
}


def write(results: Path, target: Path) -> str:
    """Draws the figure, copies it with the table and a manifest, and writes and returns the page ``table.md``."""
    table = read_frame(results / "tables/simulation.parquet")
    style.save(chart(table), results / "figures", "saving")
    keep_all(results, target, COMMAND)
    page = "\n\n".join([f"# Simulation, {table['repetitions'].iloc[0]} repetitions\n\n`{COMMAND}`", *_sections(table)])
    (target / "table.md").write_text(page + "\n", encoding="utf-8")
    return page


def runs_at_width(adaptive: pd.DataFrame, width: float) -> float:
    """The runs after which the adaptive design's mean width is this one, by interpolation on log axes; NaN if never."""
    ordered = adaptive.sort_values("width")
    logs = (np.log(ordered[column]) for column in ("width", "runs"))
    return float(np.exp(np.interp(np.log(width), *logs, left=np.nan, right=np.nan)))


def savings(table: pd.DataFrame) -> pd.DataFrame:
    """One row a curve: the runs of the full grid, those of the adaptive design at equal width, and their ratio."""
    rows = []
    for curve, own in table.groupby("curve", sort=False):
        full = own[own["design"] == FULL_GRID].iloc[0]
        runs = runs_at_width(own[own["design"] == ADAPTIVE], full["width"])
        rows.append({"curve": curve, "width": full["width"], "full": full["runs"], "adaptive": runs})
    return pd.DataFrame(rows).assign(saving=lambda rows: rows["full"] / rows["adaptive"])


def _sections(table: pd.DataFrame) -> Iterator[str]:
    equal = savings(table).set_index("curve")
    for curve, own in table.groupby("curve", sort=False):
        first, saved = own.iloc[0], equal.loc[curve]
        size = f"critical size {first['critical_size']:.1f}"
        yield f"## {curve}: slope {first['slope']:.2f}, plateau {first['plateau']:.3f}, {size}"
        instead = f"{saved['adaptive']:.0f} runs instead of {saved['full']:.0f}, {saved['saving']:.1f} times fewer"
        yield f"At the full grid's width, {saved['width']:.3f}: {instead}."
        yield "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *map(_row, own.to_dict("records"))])


def _row(row: dict) -> str:
    return f"| {' | '.join(form.format(row[column]) for column, form in COLUMNS.items())} |"


def chart(table: pd.DataFrame) -> alt.VConcatChart:
    """Mean width of the interval and its coverage against the number of runs, a column for each curve."""
    columns = []
    for curve, own in table.groupby("curve", sort=False):
        first = own.iloc[0]
        title = [curve, f"slope {first['slope']:.1f}, plateau {first['plateau']:.2f}"]
        cells = [_widths(table, own, not columns), _coverages(table, own, not columns)]
        cells[0] = cells[0].properties(title=alt.Title(title, anchor="middle", fontSize=14, fontWeight="normal"))
        columns.append(alt.vconcat(*cells, spacing=12))
    title = alt.Title(
        "Intervals of the critical sample size, adaptive design and full grid",
        subtitle="Dashed: the full grid with fewer or more runs. Dotted: the nominal coverage.",
    )
    return alt.hconcat(*columns, spacing=16, title=title)


def _x(table: pd.DataFrame, title: str | None) -> alt.X:
    scale = alt.Scale(type="log", nice=False, domain=[table["runs"].min() / 1.1, table["runs"].max() * 1.15])
    axis = alt.Axis(values=[50, 100, 200, 500, 950], labels=title is not None, grid=False)
    return alt.X("runs:Q", title=title, scale=scale, axis=axis)


def _looks() -> dict[type, alt.SchemaBase]:
    colours, shapes = map(list, zip(*LOOKS.values(), strict=True))
    return style.looks("design", list(LOOKS), {alt.Color: colours, alt.Shape: shapes})


def _widths(table: pd.DataFrame, own: pd.DataFrame, first: bool) -> alt.LayerChart:
    """The widths of one curve; the full grid's by the square root of the runs."""
    full = own[own["design"] == FULL_GRID].iloc[0]
    runs = np.array([table["runs"].min(), table["runs"].max()])
    scaled = pd.DataFrame({"runs": runs, "width": full["width"] * np.sqrt(full["runs"] / runs)})
    scale = alt.Scale(
        type="log", nice=False, domain=[table["width"].min() / 1.2, table["width"].max() * 1.1], clamp=True
    )
    axis = alt.Axis(values=[0.05, 0.1, 0.2, 0.5, 1], labels=first)
    y = alt.Y("width:Q", title="Mean width, ln(high / low)" if first else None, scale=scale, axis=axis)
    line = alt.Chart(scaled).mark_line(color=style.INK, strokeDash=[6, 4], strokeWidth=1.5, clip=True)
    shown = own[own["design"] != ANEW]
    return alt.layer(line.encode(_x(table, None), y), *_marks(shown, _x(table, None), y)).properties(
        width=PANEL, height=PANEL
    )


def _coverages(table: pd.DataFrame, own: pd.DataFrame, first: bool) -> alt.LayerChart:
    """The coverages of one curve."""
    y = alt.Y(
        "coverage:Q",
        title="Coverage" if first else None,
        scale=alt.Scale(domain=[0, 1.05], nice=False),
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 0.95], labels=first),
    )
    nominal = alt.Chart(pd.DataFrame({"coverage": [0.95]})).mark_rule(strokeDash=[2, 3], color=style.INK).encode(y)
    return alt.layer(nominal, *_marks(own, _x(table, "Runs (log scale)"), y)).properties(
        width=PANEL, height=PANEL * 3 // 5
    )


def _marks(own: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    looks = _looks()
    base = alt.Chart(own)
    tooltip = ["design:N", "runs:Q", alt.Tooltip("width:Q", format=".3f"), alt.Tooltip("coverage:Q", format=".3f")]
    return [
        base.mark_line(strokeWidth=1.5).encode(x, y, looks[alt.Color]),
        base.mark_point(filled=True, size=80, opacity=1).encode(x, y, *looks.values(), tooltip=tooltip),
    ]
