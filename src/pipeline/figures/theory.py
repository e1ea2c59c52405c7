"""What the figures of the theory share: their command line, and marks with a line through their means."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
import pandas as pd
from scipy.stats import gmean

from pipeline.figures import messages, style
from pipeline.storage import read_frame

PANEL_WIDTH, PANEL_HEIGHT = 380, 280


def parse(
    description: str, argv: Sequence[str] | None, *tables: str, optional: Sequence[str] = ()
) -> argparse.Namespace:
    """The arguments: each table read, an optional one None if it is not given, and ``output_folder``."""
    parser = argparse.ArgumentParser(description=description)
    for table in (*tables, *optional):
        parser.add_argument(f"--{table}", type=Path, required=table in tables, metavar="PARQUET")
    parser.add_argument("--output-folder", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--log", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    if arguments.log:
        messages.log_to(arguments.log)
    for table in (*tables, *optional):
        path = getattr(arguments, table)
        setattr(arguments, table, path and read_frame(path))
    return arguments


def looks(series: Mapping[str, tuple[str, str]]) -> dict[type, alt.SchemaBase]:
    """Colour and shape of each series, in one legend below."""
    legend = alt.Legend(title=None, orient="bottom", columns=style.legend_columns(series, 2))
    colours, shapes = ([look[part] for look in series.values()] for part in (0, 1))
    return {
        alt.Color: alt.Color("series:N", legend=legend, scale=alt.Scale(domain=list(series), range=colours)),
        alt.Shape: alt.Shape("series:N", legend=legend, scale=alt.Scale(domain=list(series), range=shapes)),
    }


def points_and_means(
    points: pd.DataFrame, x: alt.X, y: alt.Y, looks: Mapping[type, alt.SchemaBase], joined: Sequence[str]
) -> alt.LayerChart:
    """A mark for each row, and for the joined series a line through the geometric means of equal x.

    Args:
        points: ``series`` and the fields of the two axes, positive.
        x: the horizontal axis.
        y: the vertical axis.
        looks: from :func:`looks`.
        joined: the series that are joined.
    """
    across, up = (axis["shorthand"].removesuffix(":Q") for axis in (x, y))
    means = points[points["series"].isin(joined)].groupby(["series", across])[up].agg(gmean).reset_index()
    marks = alt.Chart(points).mark_point(size=55, strokeWidth=1.6).encode(x, y, *looks.values())
    lines = alt.Chart(means).mark_line(strokeWidth=2).encode(x, y, looks[alt.Color])
    return alt.layer(lines, marks)


def ticks(values: pd.Series) -> list[float] | None:
    """Of values that hold fewer than two powers of ten, 1, 2 and 5 times these or, if there are too few, the ends."""
    low, high = values.min(), values.max()
    powers = [10.0**power for power in range(-6, 19)]
    if values.empty or sum(low <= power <= high for power in powers) > 1:
        return None
    finer = [tick for power in powers for tick in (power, 2 * power, 5 * power) if low <= tick <= high]
    return finer if len(finer) > 1 else sorted({float(f"{end:.3g}") for end in (low, high)})


def log_axis(
    field: str, title: str, values: Sequence[float] | None = None, channel: type = alt.X, powers: bool = False
) -> alt.SchemaBase:
    """A logarithmic axis.

    Args:
        field: what it shows.
        title: its title.
        values: where its ticks are; by default at powers of ten.
        channel: the axis.
        powers: ticks are labelled as powers of ten.
    """
    ticks = [10.0**power for power in range(-6, 19)] if values is None else list(values)
    label = {"labelExpr": "'10^' + format(log(datum.value) / LN10, '.0f')"} if powers else {"format": ",~g"}
    scale = alt.Scale(type="log", nice=False, padding=12)
    return channel(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(values=ticks, **label))
