"""Panels of critical sample sizes side by side: series in colours, censored sizes as open marks."""

from collections.abc import Iterable

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures import style
from pipeline.figures.sizes import ABOVE_GRID, BELOW_GRID, FITTED, MARKS, SMALLEST, Looks, layers

COLUMNS = 4  # panels of a row
MIN_WIDTH, HEIGHT = 220, 300
SEQUENCE = ("#440154", "#3B528B", "#21908C", "#4CAF50")  # viridis up to a green that is still readable on white
DODGE = 7  # pixels between series at the same place


def by_learner(points: pd.DataFrame) -> pd.DataFrame:
    """The points of :func:`pipeline.figures.sizes.points` with the look of a series for each learner."""
    colours = style.learner_colours(points["model"].unique())
    return _series(points, points["model"].map(style.learner_label), points["model"].map(colours))


def by_length(points: pd.DataFrame, x: str, panel: list[str]) -> pd.DataFrame:
    """The points of :func:`pipeline.figures.sizes.points` with the look of a series for each T, from dark to light.

    A T that has but one value of ``x`` in a panel is left out of it, unless that is so for all.
    """
    several = points.groupby([*panel, "T"])[x].transform("nunique") > 1
    points = (points[several] if several.any() else points).sort_values("T", kind="stable")
    lengths = points["T"].unique()
    colours = dict(zip(lengths, colours_in_sequence(len(lengths)), strict=True))
    return _series(points, "T = " + points["T"].astype(str), points["T"].map(colours))


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
    lines = alt.Legend(title=None, orient="bottom", columns=4, symbolType="stroke", symbolStrokeWidth=3)
    symbols = alt.Legend(title=None, orient="bottom", values=censored, symbolFillColor="white") if censored else None
    return {
        alt.Stroke: alt.Stroke("series:N", legend=lines, scale=_scale(colours["series"], colours["colour"])),
        alt.Fill: alt.Fill("fill:N", scale=None),
        alt.Shape: alt.Shape("mark:N", legend=symbols, scale=_scale(marks, shapes)),
        alt.Size: alt.Size("mark:N", legend=symbols, scale=_scale(marks, areas)),
    }


def _scale(values: Iterable, looks: Iterable) -> alt.Scale:
    return alt.Scale(type="ordinal", domain=list(values), range=list(looks))


def joined_layers(points: pd.DataFrame, x: alt.X, y: alt.Y, looks: Looks) -> list[alt.Chart]:
    """The layers of one panel of :func:`by_length`: its series a few pixels apart, their fitted points joined."""
    shift = {name: DODGE * place for place, name in enumerate(looks[alt.Stroke]["scale"]["domain"])}
    middle = DODGE * (len(shift) - 1) / 2
    drawn = []
    for name, own in points.groupby("series"):
        offset = shift[name] - middle
        line = alt.Chart(own[own["mark"] == FITTED]).mark_line(strokeWidth=1.2, xOffset=offset)
        drawn += [line.encode(x, y, looks[alt.Stroke]), *layers(own, x, y, looks, offset)]
    return drawn + last_rates(points, x, y)


def last_rates(points: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The success rate at the largest n, under each size that is censored above; of several at one place, in rows."""
    above = points[points["mark"] == ABOVE_GRID]
    row = above.groupby([x["shorthand"].removesuffix(":Q"), "n"]).cumcount()
    texts = [alt.Chart(own).mark_text(dy=17 + 13 * place, fontSize=12) for place, own in above.groupby(row)]
    colour = alt.Color("colour:N", scale=None)
    return [text.encode(x, y, colour, alt.Text("last_rate:Q", format=".0%")) for text in texts]


def wrap(panels: list[alt.LayerChart], points: pd.DataFrame, title: str, columns: int = COLUMNS) -> alt.ConcatChart:
    """The panels in rows under one title, with a note on what :func:`last_rates` writes, if it does."""
    note = "Under an open triangle: share of the runs that succeed at the largest n of the grid."
    heading = alt.Title(title, **({"subtitle": note} if ABOVE_GRID in set(points["mark"]) else {}))
    width = max(MIN_WIDTH, style.WIDTH // min(len(panels), columns))
    height = HEIGHT if len(panels) > 1 else style.HEIGHT
    return alt.concat(
        *(panel.properties(width=width, height=height) for panel in panels), columns=columns, title=heading
    )


def heading(text: str) -> alt.Title:
    """The title of one panel, above its left edge."""
    return alt.Title(text, frame="group", fontSize=15, offset=8)
