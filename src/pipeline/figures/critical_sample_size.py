"""Critical sample size against context length.

Question: How many training samples does a Transformer need to learn a sparse function of T bits?

The critical sample size, the n at which the share of successful runs reaches the config's threshold, against the
context length T on a log axis: fitted, with its interval, and by the paper's definition, the smallest n of the grid.
The line is the fitted log law; diamonds are the paper's own points, digitised. Each T is fitted alone, by a curve that
rises to 1: where the success rate levels off below 1 the size is too large, and the figure of the laws has a model that
lets it. An open triangle is a size beyond its grid of n, a bar to the panel's edge an interval that is open. Drag
across the figure to mark a range of T.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.families import rows_of
from pipeline.figures.parts import sizes, style
from pipeline.labels import learner_label, panel_title, task_label

PAPER = "the paper's Transformer, digitised (drawn beside)"
PAPER_FUNCTION, PAPER_K = "and", 3
PAPER_SHIFT = 8  # pixels, so that the paper's points do not hide ours at the same T
MARKS = sizes.MARKS | {PAPER: ("diamond", 80, True)}  # shape, size and whether filled

_TITLE = "Critical sample size against context length"
_PANEL = ["experiment", "function", "k"]
_WINDOW, _VIEW = alt.selection_interval(name="T_window", encodings=["x"]), "laws_"


def chart(
    critical: pd.DataFrame, fits: pd.DataFrame, rates: pd.DataFrame, paper: pd.DataFrame | None = None
) -> alt.LayerChart | alt.VConcatChart:
    """Draws n_critical against T on a log axis with the fitted log law: a panel for each experiment, function and k.

    The smallest n of the grid that reaches the share of successes is a small open square. A T whose critical size
    lies outside its grid is an open triangle at the grid's edge. The paper's points join the panels of its task,
    shifted a few pixels to the right. The range of T that a reader marks is the parameter ``T_window``.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        fits: experiment, function, model, k, law, a, a_low, a_high, b and r_squared; only the law ``log`` is drawn.
        rates: experiment, function, model, k, T and n, which give each grid's range.
        paper: context_length, critical_sample_size, bar_low and bar_high.

    Raises:
        ValueError: ``critical`` is empty, or a censored row has no rates.
    """
    points = sizes.points(critical, rates)
    points["series"] = points["model"].map(learner_label) + ", " + points["mark"]
    if paper is not None:
        points = pd.concat([points, _paper_points(critical, paper)], ignore_index=True)
    laws = fits[fits["law"] == "log"]
    laws = laws.assign(equation=[_equation(law) for law in laws.itertuples()])
    lines = sizes.log_laws(critical, laws)
    lines["series"] = lines["model"].map(learner_label) + ", " + sizes.FITTED
    looks = _looks(points)
    groups, panels = points.groupby(_PANEL), []
    for panel, own in groups:
        experiment, function, k = panel
        task = task_label(function, k)
        title = f"{_TITLE}, {task}" if len(groups) == 1 else panel_title(task, experiment)
        equations = list(rows_of(laws, _PANEL, panel)["equation"])
        layers = _panel(own, rows_of(lines, _PANEL, panel), looks, f"{_VIEW}{len(panels)}")
        panels.append(layers.properties(title=alt.Title(title, subtitle=equations)))
    if len(panels) == 1:
        return panels[0].properties(params=[_window(1)])
    return alt.vconcat(*panels, title=_TITLE, params=[_window(len(panels))])


def _window(panels: int) -> alt.TopLevelSelectionParameter:
    """The selection of a range of T, one for all panels; ``add_params`` would make one for each."""
    views = [f"{_VIEW}{place}" for place in range(panels)]
    return alt.TopLevelSelectionParameter(name=_WINDOW.name, select=_WINDOW.param.select, views=views)


def _paper_points(critical: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's points as ``sizes.points`` gives ours, once for each panel of its task."""
    panels = critical[_PANEL].drop_duplicates()
    panels = panels[(panels["function"] == PAPER_FUNCTION) & (panels["k"] == PAPER_K)]
    names = {"context_length": "T", "critical_sample_size": "n", "bar_low": "low", "bar_high": "high"}
    return panels.merge(paper.rename(columns=names), how="cross").assign(model=PAPER, mark=PAPER, series=PAPER)


def _equation(law: tuple) -> str:
    """A law in words, such as ``Transformer fit: n = 22.0 ln T − 60.1, R² = 0.97``."""
    if pd.isna(law.a):
        return f"{learner_label(law.model)}: too few points for a fit"
    sign = "−" if law.b < 0 else "+"
    return f"{learner_label(law.model)} fit: n = {law.a:.1f} ln T {sign} {abs(law.b):.1f}, R² = {law.r_squared:.2f}"


def _looks(points: pd.DataFrame) -> sizes.Looks:
    """The look of the series that occur, the same in all panels."""
    series = points.drop_duplicates("series")
    colours = style.learner_colours(set(series["model"]) - {PAPER}) | {PAPER: style.PAPER}
    colour = [colours[model] for model in series["model"]]
    shape, size, filled = map(list, zip(*(MARKS[mark] for mark in series["mark"]), strict=True))
    fill = [own if solid else "white" for own, solid in zip(colour, filled, strict=True)]
    ranges = {alt.Stroke: colour, alt.Fill: fill, alt.Shape: shape, alt.Size: size}
    return style.looks("series", list(series["series"]), ranges)


def _panel(points: pd.DataFrame, lines: pd.DataFrame, looks: sizes.Looks, name: str) -> alt.LayerChart:
    """The laws, by this name, the intervals and the marks of one panel, in this order."""
    x, y = sizes.log_T(points["T"]), alt.Y("n:Q", title=sizes.TITLE, axis=alt.Axis(tickCount=6))
    line = alt.Chart(lines, name=name).mark_line(strokeWidth=2)
    law = line.encode(x, y, looks[alt.Stroke], tooltip=["equation:N", "a_low:Q", "a_high:Q"])
    marks = [
        layer
        for published, own in points.groupby(points["model"] == PAPER)
        for layer in sizes.layers(own, x, y, looks, PAPER_SHIFT if published else 0)
    ]
    chosen = alt.condition(_WINDOW, alt.value(1), alt.value(style.FADED))
    return alt.layer(law, *(layer.encode(opacity=chosen) for layer in marks))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``critical_sample_size.{svg,png,html}`` in the output folder."""
    parser = style.parser(main.__doc__, "critical", "fits", "rates")
    parser.add_argument("--paper", type=pd.read_csv, metavar="CSV", help="the paper's digitised figure")
    arguments = style.parse(parser, argv)
    figure = chart(arguments.critical, arguments.fits, arguments.rates, arguments.paper)
    style.save(figure, arguments.output_folder, "critical_sample_size")


if __name__ == "__main__":
    main()
