"""Critical sample size of each learner.

Question: What would other learners need to learn the same functions from the same samples?

Critical sample size against context length on log axes, a panel for each function and sparsity, a series for each
learner. The dashed line is the information floor, below which no learner can identify the support. An open triangle
is a size beyond its grid of n, a bar to the panel's edge an interval that is open. Pick a learner below to bring it
out.
"""

from collections.abc import Sequence
from itertools import cycle

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import sizes, style
from pipeline.labels import learner_label, task_label
from pipeline.statistics.information import information_floor

FLOOR = "information floor"
GREY = "#777777"
# Shapes of the learners that LEARNERS names, and of others; triangles that point up or down mean censored.
SHAPES = {
    "transformer": "circle",
    "mlp": "square",
    "lstm": "diamond",
    "logistic_regression": "cross",
    "decision_tree": "M-.5,-1L.5,-1L1,0L.5,1L-.5,1L-1,0Z",  # hexagon
    "consistent": "M0,-1L.3,-.3L1,0L.3,.3L0,1L-.3,.3L-1,0L-.3,-.3Z",  # star of four rays
}
SPARE_SHAPES = (
    "triangle-left",
    "triangle-right",
    "M-1,-1L1,-1L-1,1L1,1Z",  # hourglass
    "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",  # x
    "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",  # pentagon
)

_TITLE = "Critical sample size of each learner"
_NOTE = "Open triangles at the edge of the grid of n: the size lies beyond it. Bars: intervals, open ones to the edge."
_PANEL = ["function", "k"]
_SMALL = {"width": 380, "height": 300}  # of a panel that is not alone
_SPREAD = 0.04  # of the axis's width, between marks that would hide each other
_CLOSE = 0.03  # of the axis's height, between marks of one T that would


def chart(critical: pd.DataFrame, rates: pd.DataFrame) -> alt.LayerChart | alt.ConcatChart:
    """Draws n_critical against T, both on log axes, a series for each model, above the information floor.

    A model's sizes are joined by a thin line, and an interval that its grid of n leaves open reaches the panel's edge.
    Marks of several models that would hide each other stand side by side around their T. The panels have the same axis
    of n. The parameter ``learner`` is the one that a reader picks.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high and censored_side.
        rates: experiment, function, model, k, T, n and rate, which give each grid's range.

    Raises:
        ValueError: ``critical`` is empty, a censored row has no rates, or two experiments have a model's size at the
            same T.
    """
    _check_distinct(critical)
    points = _points(critical, rates)
    looks, y = _looks(points["model"].unique()), _y(points)
    pick = style.choice("learner", "Learner ", looks[alt.Stroke]["scale"]["domain"])
    panels = []
    for (function, k), own in points.groupby(_PANEL, sort=False):
        title = alt.Title(task_label(function, k), fontSize=15)
        panels.append(_panel(own, k, looks, y).properties(title=title, **_SMALL))
    if len(panels) == 1:
        title = alt.Title(f"{_TITLE}, {title.text}", subtitle=_NOTE)
        return panels[0].properties(title=title, width=style.WIDTH, height=style.HEIGHT).add_params(pick)
    return alt.concat(*panels, columns=2, title=alt.Title(_TITLE, subtitle=_NOTE)).add_params(pick)


def _check_distinct(critical: pd.DataFrame) -> None:
    repeated = critical[critical.duplicated([*_PANEL, "model", "T"], keep=False)]
    if not repeated.empty:
        first = repeated.iloc[0]
        same = repeated[(repeated[[*_PANEL, "model"]] == first[[*_PANEL, "model"]]).all(axis=1)]
        names = ", ".join(sorted(same["experiment"].unique()))
        task = task_label(first["function"], first["k"])
        raise ValueError(f"{first['model']} learns {task} at T = {first['T']} in {names}; show one of them")


def _points(critical: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """One row for each size: the panel, model, learner, T, n, where it is censored, and the interval's ends.

    The functions come by name, the models in the order in which they are drawn, the Transformer on top.
    """
    table = sizes.with_grid(critical, rates)
    others = sorted(set(table["model"]) - style.LEARNERS.keys())
    order = {name: rank for rank, name in enumerate([*others, *reversed(style.LEARNERS)])}
    table = table.sort_values([*_PANEL, "model"], key=lambda column: column.replace(order), ignore_index=True)
    known = table["censored_side"] == ""
    return table.assign(
        learner=table["model"].map(learner_label),
        n=table["n_critical"].where(known, table["edge"]),
        low=table["ci_low"].where(known),
        high=table["ci_high"].where(known),
    )[[*_PANEL, "model", "learner", "T", "n", "low", "high", "censored_side"]]


def _looks(models: Sequence[str]) -> dict[type, alt.SchemaBase]:
    """Colour and shape of each learner, those with a colour of their own first."""
    colours = style.learner_colours(models)
    known = [model for model in style.LEARNERS if model in colours]
    others = [model for model in colours if model not in style.LEARNERS]
    shapes = SHAPES | dict(zip(others, cycle(SPARE_SHAPES), strict=False))
    colour, shape = ([look[model] for model in known + others] for look in (colours, shapes))
    names = [learner_label(model) for model in known + others]
    return style.looks("learner", names, {alt.Stroke: colour, alt.Fill: colour, alt.Shape: shape})


def _y(points: pd.DataFrame) -> alt.Y:
    """The axis of n that all panels share."""
    floors = [information_floor(one.T, one.k) for one in points[["T", "k"]].itertuples()]
    ends = points[["n", "low", "high"]]
    low, high = min(ends.min(axis=None), *floors) / 1.8, ends.max(axis=None) * 1.2
    scale = alt.Scale(type="log", nice=False, domain=[low, high])
    axis = alt.Axis(values=sizes.ladder(low, high, (1, 2, 5)), format="d")
    return alt.Y("n:Q", title="Critical sample size n (log scale)", scale=scale, axis=axis)


def _panel(points: pd.DataFrame, k: int, looks: dict[type, alt.SchemaBase], y: alt.Y) -> alt.LayerChart:
    """The floor, the lines, the intervals and the marks of one panel, in this order."""
    points = points.assign(place=_places(points, y["scale"]["domain"]))
    domain = style.log_ends(points["place"])
    scale = alt.Scale(type="log", nice=False, domain=domain)
    axis = alt.Axis(values=sizes.ticks(points["T"]), format="d", grid=False)
    x = alt.X("place:Q", title="Context length T (log scale)", scale=scale, axis=axis)
    known, stroke = points[points["censored_side"] == ""], looks[alt.Stroke]
    tooltip = ["learner:N", "T:Q", *(alt.Tooltip(f"{field}:Q", format=".1f") for field in ("n", "low", "high"))]
    line = alt.Chart(known).mark_line(strokeWidth=1).encode(x, y, stroke)
    bars = [bar.encode(x, stroke) for bar in sizes.intervals(known, y, strokeWidth=2)]
    mark = alt.Chart(known).mark_point(size=80).encode(x, y, *looks.values(), tooltip=tooltip)
    triangles = [
        alt.Chart(points[points["censored_side"] == side])
        .mark_point(shape=shape, size=130, fill="white", strokeWidth=2)
        .encode(x, y, stroke, tooltip=tooltip)
        for side, shape in sizes.TRIANGLES.items()
    ]
    picked = alt.condition("learner == null || datum.learner == learner", alt.value(1), alt.value(style.FADED))
    own = (layer.encode(opacity=picked) for layer in (line, *bars, mark, *triangles))
    return alt.layer(_floor(domain, k, x, y), *own)


def _places(points: pd.DataFrame, heights: list[float]) -> pd.Series:
    """Where on the axis of T each point stands: at its T or, where marks are close, beside it but near it.

    Args:
        points: model, T and n, of one panel.
        heights: the ends of the axis of n.
    """
    close = _CLOSE * np.log(heights[1] / heights[0])
    below = np.log(points.sort_values(["T", "n"])["n"]).groupby(points["T"]).diff()
    same = points.groupby((~(below < close)).cumsum())["model"]
    count = same.transform("size")
    low, high = style.log_ends(points["T"])
    apart = np.minimum(_SPREAD * np.log(high / low), 2 / 3 * points["T"].map(_nearest(points["T"])) / count)
    return points["T"] * np.exp(apart * (same.cumcount() - (count - 1) / 2))


def _nearest(lengths: pd.Series) -> pd.Series:
    """How far in ln T each length is from the nearest other one."""
    ordered = pd.Series(np.sort(lengths.unique()))
    ln = np.log(ordered)
    gaps = pd.concat([ln.diff(), -ln.diff(-1)], axis=1).min(axis=1).fillna(np.inf)
    return gaps.set_axis(ordered)


def _floor(domain: list[float], k: int, x: alt.X, y: alt.Y) -> alt.Chart:
    """The information floor as a dashed line from end to end of the axis of T.

    Its name is in a legend: beside the line it would meet the intervals of learners that come near the floor.
    """
    T = np.unique(np.geomspace(max(k, domain[0] / 1.1), domain[1] * 1.1, 60).round().astype(int))
    floor = pd.DataFrame({"place": T, "n": [information_floor(int(one), k) for one in T], "line": FLOOR})
    legend = alt.Legend(title=None, orient="bottom", symbolType="stroke", symbolStrokeColor=GREY, symbolSize=500)
    dash = alt.StrokeDash("line:N", scale=alt.Scale(range=[[6, 4]]), legend=legend)
    return alt.Chart(floor).mark_line(color=GREY, strokeWidth=2, clip=True).encode(x, y, dash)


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``learners.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "critical", "rates"), argv)
    style.save(chart(arguments.critical, arguments.rates), arguments.output_folder, "learners")


if __name__ == "__main__":
    main()
