"""Panels of critical sample sizes side by side: series in colours, censored sizes as open marks."""

from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import style
from pipeline.figures.parts.sizes import ABOVE_GRID, BELOW_GRID, FITTED, MARKS, SMALLEST, Looks, layers
from pipeline.labels import learner_label

COLUMNS = 4  # panels of a row
MIN_WIDTH, HEIGHT = 220, 300
SEQUENCE = ("#440154", "#3B528B", "#21908C", "#4CAF50")  # viridis up to a green that is still readable on white
LENGTHS_SHOWN = 6  # of a panel; more colours and places could not be told apart
DODGE, LEAST = 7, 3  # the most and the fewest pixels between series at the same place
LABEL, LINE = 34, 13  # pixels that a rate takes, across and up

_RATES = "Under an open triangle: share of the runs that succeed at the largest n of the grid."


def by_learner(points: pd.DataFrame) -> pd.DataFrame:
    """The points of :func:`pipeline.figures.parts.sizes.points` with the look of a series for each learner."""
    colours = style.learner_colours(points["model"].unique())
    return _series(points, points["model"].map(learner_label), points["model"].map(colours))


def by_length(points: pd.DataFrame, x: str, panel: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The points of :func:`.sizes.points` with the look of a series for each T, from dark to light.

    A T that has but one value of ``x`` in a panel is left out of it, unless that is so for all. Of the others a panel
    has at most ``LENGTHS_SHOWN``, evenly chosen.

    Returns:
        The points, and a note if not all T are shown.
    """
    several = points.groupby([*panel, "T"])[x].transform("nunique") > 1
    points = (points[several] if several.any() else points).sort_values("T", kind="stable")
    shown = points.groupby(panel)["T"].transform(lambda own: own.isin(style.evenly(own, LENGTHS_SHOWN)))
    points, lengths = points[shown], points.loc[shown, "T"].unique()
    colours = dict(zip(lengths, colours_in_sequence(len(lengths)), strict=True))
    note = [] if shown.all() else [f"Of the context lengths T, a panel shows {LENGTHS_SHOWN}, evenly chosen."]
    return _series(points, "T = " + points["T"].astype(str), points["T"].map(colours)), note


def _series(points: pd.DataFrame, names: pd.Series, colours: pd.Series) -> pd.DataFrame:
    """The points with ``series``, ``colour`` and ``fill``, white for what is censored; without ``SMALLEST``."""
    looks = {"series": names, "colour": colours, "fill": colours.where(points["mark"] == FITTED, "white")}
    return points.assign(**looks)[points["mark"] != SMALLEST]


def colours_in_sequence(count: int) -> list[str]:
    """Colours from dark to light, evenly between those of ``SEQUENCE``."""
    channels = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in SEQUENCE]).T
    places = np.linspace(0, len(SEQUENCE) - 1, count) if count > 1 else [1]
    mixed = np.stack([np.interp(places, range(len(SEQUENCE)), channel) for channel in channels], axis=1)
    return ["#{:02X}{:02X}{:02X}".format(*map(round, rgb)) for rgb in mixed]


def looks(points: pd.DataFrame) -> Looks:
    """Looks of points with series: colours tell series, shapes and open marks tell what is censored."""
    colours = points.drop_duplicates("series")
    marks = [mark for mark in MARKS if mark in set(points["mark"])]
    shapes, areas, _ = map(list, zip(*(MARKS[mark] for mark in marks), strict=True))
    censored = [mark for mark in marks if mark in (BELOW_GRID, ABOVE_GRID)]
    columns = style.legend_columns(colours["series"], 4)
    lines = alt.Legend(title=None, orient="bottom", columns=columns, symbolType="stroke", symbolStrokeWidth=3)
    symbols = alt.Legend(title=None, orient="bottom", values=censored, symbolFillColor="white") if censored else None
    return {
        alt.Stroke: alt.Stroke("series:N", legend=lines, scale=_scale(colours["series"], colours["colour"])),
        alt.Fill: alt.Fill("fill:N", scale=None),
        alt.Shape: alt.Shape("mark:N", legend=symbols, scale=_scale(marks, shapes)),
        alt.Size: alt.Size("mark:N", legend=symbols, scale=_scale(marks, areas)),
    }


def _scale(values: Iterable, looks: Iterable) -> alt.Scale:
    return alt.Scale(type="ordinal", domain=list(values), range=list(looks))


def width(panels: int, columns: int = COLUMNS) -> int:
    """Width in pixels of each of so many panels."""
    return max(MIN_WIDTH, style.WIDTH // min(panels, columns))


def series_layers(
    points: pd.DataFrame, x: alt.X, y: alt.Y, looks: Looks, width: int, *, joined: bool = True
) -> list[alt.Chart]:
    """The layers of one panel: its series a few pixels apart, and the last rates of what is censored above.

    Args:
        points: with the look of a series, of one panel.
        x: the x axis, which has a domain.
        y: the y axis.
        looks: from :func:`looks`.
        width: of the panel, in pixels.
        joined: whether a line joins the fitted points of a series.
    """
    shifts, drawn = _shifts(points, x, looks, width), []
    for name, own in points.groupby("series"):
        if joined:
            line = alt.Chart(own[own["mark"] == FITTED]).mark_line(strokeWidth=1.2, xOffset=shifts[name])
            drawn.append(line.encode(x, y, looks[alt.Stroke]))
        drawn += layers(own, x, y, looks, shifts[name])
    return drawn + _last_rates(points, x, y, shifts, width)


def _shifts(points: pd.DataFrame, x: alt.X, looks: Looks, width: int) -> dict[str, float]:
    """Pixels by which each series of a panel stands beside its place, so that series do not hide each other.

    They are ``DODGE`` apart, or as near as neighbouring places and the panel's edges ask for, but never less than
    ``LEAST``.
    """
    present = set(points["series"])
    names = [name for name in looks[alt.Stroke]["scale"]["domain"] if name in present]
    places = np.unique(_pixels(points, x, width))
    edges = 2 * min(places.min(initial=width), width - places.max(initial=0))
    apart = float(np.clip(np.diff(places).min(initial=edges) / max(len(names), 1), LEAST, DODGE))
    return {name: apart * (rank - (len(names) - 1) / 2) for rank, name in enumerate(names)}


def _pixels(points: pd.DataFrame, x: alt.X, width: int) -> pd.Series:
    """How far from the panel's left edge the points stand."""
    scale = x["scale"].to_dict()
    measure = np.log if scale.get("type") == "log" else np.asarray
    low, high = measure(scale["domain"])
    return width * (measure(points[x["shorthand"].removesuffix(":Q")]) - low) / (high - low)


def _last_rates(points: pd.DataFrame, x: alt.X, y: alt.Y, shifts: dict[str, float], width: int) -> list[alt.Chart]:
    """The success rate at the largest n, under each size that is censored above, in rows where they are too close."""
    above = points[points["mark"] == ABOVE_GRID]
    above = above.assign(centre=_pixels(above, x, width) + above["series"].map(shifts).astype(float)).sort_values(
        "centre"
    )
    rows = above.groupby("n")["centre"].transform(_rows)
    colour, rate = alt.Color("colour:N", scale=None), alt.Text("last_rate:Q", format=".0%")
    return [
        alt.Chart(own).mark_text(dy=17 + LINE * row, xOffset=shifts[name], fontSize=12).encode(x, y, colour, rate)
        for (row, name), own in above.groupby([rows, "series"])
    ]


def _rows(centres: pd.Series) -> pd.Series:
    """For each label, from the left, the first row in which it does not touch the one before."""
    last: list[float] = []  # centre of the last label of each row
    rows = []
    for centre in centres:
        row = next((row for row, before in enumerate(last) if centre - before >= LABEL), len(last))
        last[row : row + 1] = [centre]
        rows.append(row)
    return pd.Series(rows, index=centres.index)


def wrap(
    panels: list[alt.LayerChart], points: pd.DataFrame, title: str, columns: int = COLUMNS, notes: Sequence[str] = ()
) -> alt.ConcatChart:
    """The panels in rows under one title and notes, with one more on the last rates, if they are written."""
    rates = [_RATES] if ABOVE_GRID in set(points["mark"]) else []
    subtitle = {"subtitle": [*notes, *rates]} if notes or rates else {}
    height = HEIGHT if len(panels) > 1 else style.HEIGHT
    sized = (panel.properties(width=width(len(panels), columns), height=height) for panel in panels)
    return alt.concat(*sized, columns=columns, title=alt.Title(title, **subtitle))


def heading(text: str) -> alt.Title:
    """The title of one panel, above its left edge."""
    return alt.Title(text, frame="group", fontSize=15, offset=8)
