"""Step of the transition against context length.

Question: When do sparse parities, learned from fresh samples, leave their plateau?

The training step at which a run first classifies the holdout correctly, against the context length on log axes: every
run, the median with its interval, and the fitted power law. Runs and medians stand at the evaluation that found them,
which is late by up to the steps between two; the law is of the step itself. Open triangles are runs that had not
learned when they ended, a bar to the panel's edge an interval that is open.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.families import FAMILY, rows_of
from pipeline.figures.parts import sizes, style
from pipeline.labels import learner_label, panel_title, task_label

RUN, CENSORED = "one run", "one run, censored at its end"
MEDIAN, LAW = "median with interval", "fitted power law"
_SUCCEEDED, _FAILED = style.OUTCOMES[style.SUCCEEDED], style.OUTCOMES[style.FAILED]
# Shape, size, opacity and whether filled.
MARKS = {
    RUN: (_SUCCEEDED[0], 22, 0.6, _SUCCEEDED[1]),
    CENSORED: (_FAILED[0], 45, 1, _FAILED[1]),
    MEDIAN: ("circle", 100, 1, True),
    LAW: ("stroke", 300, 1, True),
}
PANEL_WIDTH, PANEL_HEIGHT = 400, 320  # of two beside each other

_TITLE = "Transition against context length"
_NOTE = "Dots: the evaluation that found a step. Law: of the step itself. An interval to an edge is open."
_PANEL = ["experiment", "function", "k"]


def chart(runs: pd.DataFrame, transitions: pd.DataFrame, fits: pd.DataFrame) -> alt.LayerChart | alt.ConcatChart:
    """Draws the steps of the transitions against T, both on log axes: a panel for each experiment, function and k.

    Every run is a small dot or, if it is censored, an open triangle at the step where it ended. They stand beside their
    T, in a place that depends on the seed, and the models of a panel side by side. The panels have the same axes, so
    that the slopes of the fitted laws compare.

    Args:
        runs: experiment, function, model, k, T, seed, success_step (null if censored) and steps.
        transitions: experiment, function, model, k, T, median, ci_low and ci_high.
        fits: experiment, function, model, k, exponent, exponent_low, exponent_high, constant, runs, censored_runs.

    Raises:
        ValueError: ``runs`` is empty.
    """
    if runs.empty:
        raise ValueError("there are no transitions to draw")
    top = 1.15 * runs["steps"].max()
    points = _points(runs, transitions)
    lines = _lines(runs, fits)
    looks, axes = _looks(points, lines), _axes(points, lines, top)
    groups, panels = points.groupby(_PANEL), []
    for panel, own in groups:
        experiment, function, k = panel
        task = task_label(function, k)
        title = f"{_TITLE}, {task}" if len(groups) == 1 else panel_title(task, experiment)
        laws = [_words(fit) for fit in rows_of(fits, _PANEL, panel).itertuples()]
        layers = _panel(own, rows_of(lines, _PANEL, panel), looks, axes)
        note = [_NOTE] if len(groups) == 1 else []
        panels.append(layers.properties(title=alt.Title(title, subtitle=laws + note)))
    if len(panels) == 1:
        return panels[0]
    panels = [panel.properties(width=PANEL_WIDTH, height=PANEL_HEIGHT) for panel in panels]
    return alt.concat(*panels, columns=2, title=alt.Title(_TITLE, subtitle=_NOTE))


def _points(runs: pd.DataFrame, transitions: pd.DataFrame) -> pd.DataFrame:
    """One row for each mark: its panel, model, series, seed, T, place on the axis of T, step, and low and high.

    A median of which nothing is known, neither itself nor an end of its interval, has none.
    """
    step = runs["success_step"].astype("Float64").astype(float)
    single = runs.assign(mark=np.where(step.isna(), CENSORED, RUN), step=step.fillna(runs["steps"]))
    median = transitions.rename(columns={"ci_low": "low", "ci_high": "high"})
    median = median.assign(mark=MEDIAN, step=median["median"])
    points = pd.concat([single, median.dropna(subset=["median", "low"], how="all")], ignore_index=True)
    points["series"] = points["model"].map(learner_label) + ", " + points["mark"]
    models = sorted(points["model"].unique())
    scatter = style.scattered(points["seed"]).fillna(0)
    points["place"] = style.beside(points["T"], points["model"].map(models.index), len(models), scatter)
    return points[[*_PANEL, "model", "mark", "series", "seed", "T", "place", "step", "low", "high"]]


def _lines(runs: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """The two ends of each fitted law, a straight line on the log axes."""
    spans = runs.groupby(FAMILY)["T"].agg(["min", "max"]).stack().rename("T").reset_index(FAMILY)
    ends = fits.dropna(subset="exponent").merge(spans, on=FAMILY)
    step = ends["constant"] * ends["T"] ** ends["exponent"]
    return ends.assign(place=ends["T"], step=step, series=ends["model"].map(learner_label) + ", " + LAW)


def _words(fit: tuple) -> str:
    """A law in words, such as ``Transformer: step = 5.47 · T^1.90 [1.75, 2.06], 3 of 60 censored``."""
    law = f"step = {fit.constant:.3g} · T^{fit.exponent:.2f} [{fit.exponent_low:.2f}, {fit.exponent_high:.2f}]"
    law = "too few transitions for a fit" if pd.isna(fit.exponent) else law
    return f"{learner_label(fit.model)}: {law}, {fit.censored_runs} of {fit.runs} censored"


def _looks(points: pd.DataFrame, lines: pd.DataFrame) -> dict[type, alt.SchemaBase]:
    """The look of the series that occur, the same in all panels."""
    present = set(points["series"]) | set(lines["series"])
    colours = style.learner_colours(points["model"])
    pairs = [(model, mark, f"{learner_label(model)}, {mark}") for model in colours for mark in MARKS]
    models, marks, names = zip(*(pair for pair in pairs if pair[-1] in present), strict=True)
    colour = [colours[model] for model in models]
    shape, size, opacity, filled = map(list, zip(*(MARKS[mark] for mark in marks), strict=True))
    fill = [own if solid else "white" for own, solid in zip(colour, filled, strict=True)]
    ranges = {alt.Stroke: colour, alt.Fill: fill, alt.Shape: shape, alt.Size: size, alt.Opacity: opacity}
    return style.looks("series", list(names), ranges)


def _axes(points: pd.DataFrame, lines: pd.DataFrame, top: float) -> tuple[alt.X, alt.Y]:
    """The axes of all panels; of laws that lie below all runs, down to half of the first."""
    axis = alt.Axis(values=sizes.ticks(points["T"]), format="d", grid=False)
    scale = alt.Scale(type="log", nice=False, domain=style.log_ends(points["place"]))
    x = alt.X("place:Q", title="Context length T (log scale)", scale=scale, axis=axis)
    first = points["step"].min()
    lowest = min(first / 1.15, top / 10, max(lines["step"].min() / 1.15, first / 2) if len(lines) else top)
    steps = [digit * 10**exponent for exponent in range(9) for digit in (1, 2, 5)]
    ticks = alt.Axis(values=[step for step in steps if lowest <= step <= top], format="d")
    scale = alt.Scale(type="log", nice=False, domain=[lowest, top])
    return x, alt.Y("step:Q", title="Step of the transition (log scale)", scale=scale, axis=ticks)


def _panel(
    points: pd.DataFrame, lines: pd.DataFrame, looks: dict[type, alt.SchemaBase], axes: tuple[alt.X, alt.Y]
) -> alt.LayerChart:
    """The runs, the laws, the intervals and the medians of one panel, in this order."""
    x, y = axes
    median = points["mark"] == MEDIAN
    single = ["series:N", "seed:Q", "T:Q", "step:Q"]
    runs = alt.Chart(points[~median]).mark_point(strokeWidth=1.2)
    law = alt.Chart(lines).mark_line(strokeWidth=2, clip=True)
    bars = sizes.intervals(points[median], y, strokeWidth=2.5)
    middle = alt.Chart(points[median].dropna(subset="step")).mark_point(strokeWidth=2)
    interval = ["series:N", "T:Q", *(alt.Tooltip(f"{field}:Q", format=".0f") for field in ("step", "low", "high"))]
    return alt.layer(
        runs.encode(x, y, *looks.values(), tooltip=single),
        law.encode(x, y, looks[alt.Stroke], tooltip=["series:N", "exponent:Q", "constant:Q"]),
        *(bar.encode(x, looks[alt.Stroke]) for bar in bars),
        middle.encode(x, y, *looks.values(), tooltip=interval),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``transitions.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "runs", "transitions", "fits"), argv)
    figure = chart(arguments.runs, arguments.transitions, arguments.fits)
    style.save(figure, arguments.output_folder, "transitions")


if __name__ == "__main__":
    main()
