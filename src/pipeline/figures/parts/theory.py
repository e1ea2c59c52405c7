"""What the figures of the theory share: log axes, and marks with a line through their means."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
from scipy.stats import gmean

from pipeline.figures.parts import style

PANEL_WIDTH, PANEL_HEIGHT = 380, 280


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
