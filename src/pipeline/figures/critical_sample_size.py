"""The main figure: the critical sample size against the context length, beside the paper's."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures import style
from pipeline.figures.style import SERIES

PAPER = "paper, digitised (drawn beside)"
PAPER_FUNCTION, PAPER_K = "and", 3
PAPER_SHIFT = 8  # pixels, so that the paper's points do not hide ours at the same T
FITTED, SMALLEST = "fitted with interval", "smallest n reaching the share"
BELOW, ABOVE = "below the grid", "above the grid"
# Shape, size and whether filled.
MARKS = {
    FITTED: ("circle", 100, True),
    SMALLEST: ("square", 50, False),
    BELOW: ("triangle-down", 170, False),
    ABOVE: ("triangle-up", 170, False),
    PAPER: ("diamond", 80, True),
}

_TITLE = "Critical sample size against context length"
_PANEL = ["experiment", "function", "k"]


def chart(
    critical: pd.DataFrame, fits: pd.DataFrame, rates: pd.DataFrame, paper: pd.DataFrame | None = None
) -> alt.LayerChart | alt.VConcatChart:
    """Draws n_critical against T on a log axis with the fitted log law: a panel for each experiment, function and k.

    The smallest n of the grid that reaches the share of successes is a small open square. A T whose critical size
    lies outside its grid is an open triangle at the grid's edge. The paper's points join the panels of its task,
    shifted a few pixels to the right.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        fits: experiment, function, model, k, law, a, a_low, a_high, b and r_squared; only the law ``log`` is drawn.
        rates: experiment, function, model, k, T and n, which give each grid's range.
        paper: context_length, critical_sample_size, bar_low and bar_high.

    Raises:
        ValueError: ``critical`` is empty, or a censored row has no rates.
    """
    if critical.empty:
        raise ValueError("there is no critical sample size to draw")
    points = _points(critical, rates)
    if paper is not None:
        points = pd.concat([points, _paper_points(critical, paper)], ignore_index=True)
    laws = fits[fits["law"] == "log"]
    laws = laws.assign(equation=[_equation(law) for law in laws.itertuples()])
    lines = _lines(critical, laws)
    looks = _looks(points)
    groups, panels = points.groupby(_PANEL), []
    for panel, own in groups:
        experiment, function, k = panel
        task = style.task_label(function, k)
        title = f"{_TITLE}, {task}" if len(groups) == 1 else f"{task}, {experiment}"
        equations = list(style.rows_of(laws, _PANEL, panel)["equation"])
        layers = _panel(own, style.rows_of(lines, _PANEL, panel), looks)
        panels.append(layers.properties(title=alt.Title(title, subtitle=equations)))
    return panels[0] if len(panels) == 1 else alt.vconcat(*panels, title=_TITLE)


def _points(critical: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """One row for each mark of ours: the panel, series, mark, T, n, and low and high where there is an interval."""
    grid = rates.groupby([*SERIES, "T"])["n"].agg(lowest="min", highest="max")
    table = critical.join(grid, on=[*SERIES, "T"])
    if table.loc[table["censored_side"] != "", "lowest"].isna().any():
        raise ValueError("a censored critical sample size has no success rates to show its grid's edge")
    values = {
        FITTED: table["n_critical"],
        BELOW: table["lowest"].where(table["censored_side"] == "below"),
        ABOVE: table["highest"].where(table["censored_side"] == "above"),
        SMALLEST: table["n_grid"],
    }
    marks = [table.assign(mark=mark, n=n.astype(float)) for mark, n in values.items()]
    points = pd.concat(marks, ignore_index=True).dropna(subset="n")
    points[["low", "high"]] = points[["ci_low", "ci_high"]].where(points["mark"] == FITTED)
    points["series"] = points["model"] + ", " + points["mark"]
    return points[[*_PANEL, "model", "mark", "series", "T", "n", "low", "high"]]


def _paper_points(critical: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's points as ``_points`` gives ours, once for each panel of the paper's task."""
    panels = critical[_PANEL].drop_duplicates()
    panels = panels[(panels["function"] == PAPER_FUNCTION) & (panels["k"] == PAPER_K)]
    names = {"context_length": "T", "critical_sample_size": "n", "bar_low": "low", "bar_high": "high"}
    return panels.merge(paper.rename(columns=names), how="cross").assign(model=PAPER, mark=PAPER, series=PAPER)


def _lines(critical: pd.DataFrame, laws: pd.DataFrame) -> pd.DataFrame:
    """The two ends of each fitted law, a straight line on the log axis, over the T it was fitted to."""
    fitted = critical.dropna(subset="n_critical")
    spans = fitted.groupby(SERIES)["T"].agg(["min", "max"]).stack().rename("T").reset_index(SERIES)
    ends = laws.dropna(subset="a").merge(spans, on=SERIES)
    return ends.assign(n=ends["a"] * np.log(ends["T"]) + ends["b"], series=ends["model"] + ", " + FITTED)


def _equation(law: tuple) -> str:
    """A law in words, such as ``transformer fit: n = 22.0 ln T − 60.1, R² = 0.97``."""
    if pd.isna(law.a):
        return f"{law.model}: too few points for a fit"
    sign = "−" if law.b < 0 else "+"
    return f"{law.model} fit: n = {law.a:.1f} ln T {sign} {abs(law.b):.1f}, R² = {law.r_squared:.2f}"


def _looks(points: pd.DataFrame) -> dict[type, alt.SchemaBase]:
    """The look of the series that occur, the same in all panels."""
    series = points.drop_duplicates("series")
    colours = style.learner_colours(set(series["model"]) - {PAPER}) | {PAPER: style.PAPER}
    colour = [colours[model] for model in series["model"]]
    shape, size, filled = map(list, zip(*(MARKS[mark] for mark in series["mark"]), strict=True))
    fill = [own if solid else "white" for own, solid in zip(colour, filled, strict=True)]
    ranges = {alt.Stroke: colour, alt.Fill: fill, alt.Shape: shape, alt.Size: size}
    return style.looks("series", list(series["series"]), ranges)


def _panel(points: pd.DataFrame, lines: pd.DataFrame, looks: dict[type, alt.SchemaBase]) -> alt.LayerChart:
    """The laws, the intervals and the marks of one panel, in this order."""
    scale = alt.Scale(type="log", nice=False, domain=[points["T"].min() / 1.1, points["T"].max() * 1.1])
    axis = alt.Axis(values=style.length_ticks(points["T"]), format="d", grid=False)
    x = alt.X("T:Q", title="Context length T (log scale)", scale=scale, axis=axis)
    line = alt.Chart(lines).mark_line(strokeWidth=2)
    law = line.encode(x, _y("n"), looks[alt.Stroke], tooltip=["equation:N", "a_low:Q", "a_high:Q"])
    marks = [
        layer
        for published, own in points.groupby(points["model"] == PAPER)
        for layer in _marks(own, x, looks, PAPER_SHIFT if published else 0)
    ]
    return alt.layer(law, *marks)


def _marks(points: pd.DataFrame, x: alt.X, looks: dict[type, alt.SchemaBase], shift: int) -> list[alt.Chart]:
    """The bars and, on top, the marks of some points, shifted to the right by a few pixels."""
    bar = alt.Chart(points.dropna(subset="low")).mark_rule(strokeWidth=2, xOffset=shift)
    mark = alt.Chart(points).mark_point(strokeWidth=2, opacity=1, xOffset=shift)
    tooltip = ["series:N", "T:Q", *(alt.Tooltip(f"{field}:Q", format=".1f") for field in ("n", "low", "high"))]
    return [
        bar.encode(x, _y("low"), alt.Y2("high"), looks[alt.Stroke]),
        mark.encode(x, _y("n"), *looks.values(), tooltip=tooltip),
    ]


def _y(field: str) -> alt.Y:
    """The common y axis, for one of its columns."""
    return alt.Y(f"{field}:Q", title="Critical sample size n (samples)", axis=alt.Axis(tickCount=6))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``critical_sample_size.{svg,png,html}`` in the output folder."""
    parser = style.parser(main.__doc__, "critical", "fits", "rates")
    parser.add_argument("--paper", type=pd.read_csv, metavar="CSV", help="the paper's digitised figure")
    arguments = style.parse(parser, argv)
    figure = chart(arguments.critical, arguments.fits, arguments.rates, arguments.paper)
    style.save(figure, arguments.output_folder, "critical_sample_size")


if __name__ == "__main__":
    main()
