"""Critical sample sizes as marks, intervals and fitted laws, for the figures that show them."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from pipeline.families import FAMILY

FITTED, SMALLEST = "fitted with interval", "smallest n reaching the share"
BELOW, ABOVE = "below", "above"  # as in the table's column censored_side
BELOW_GRID, ABOVE_GRID = "below the grid", "above the grid"
TRIANGLES = {BELOW: "triangle-down", ABOVE: "triangle-up"}  # open, at the edge of the grid
# Shape, size and whether filled.
MARKS = {
    FITTED: ("circle", 100, True),
    SMALLEST: ("square", 50, False),
    BELOW_GRID: (TRIANGLES[BELOW], 170, False),
    ABOVE_GRID: (TRIANGLES[ABOVE], 170, False),
}
TITLE = "Critical sample size n (samples)"

Looks = Mapping[type, alt.SchemaBase]


def with_grid(critical: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """The critical sample sizes with ``lowest`` and ``highest`` of each grid of n, ``last_rate`` and ``edge``.

    ``last_rate`` is the success rate at the largest n; ``edge`` is the end beyond which a censored size lies, and null
    where the size is known.

    Raises:
        ValueError: ``critical`` is empty, or a censored row has no rates.
    """
    if critical.empty:
        raise ValueError("there is no critical sample size to draw")
    ends = {"lowest": ("n", "first"), "highest": ("n", "last"), "last_rate": ("rate", "last")}
    table = critical.join(rates.sort_values("n").groupby([*FAMILY, "T"]).agg(**ends), on=[*FAMILY, "T"])
    if table.loc[table["censored_side"] != "", "lowest"].isna().any():
        raise ValueError("a censored critical sample size has no success rates to show its grid's edge")
    side = table["censored_side"]
    return table.assign(edge=table["lowest"].where(side == BELOW, table["highest"].where(side == ABOVE)))


def points(critical: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """One row for each mark: what is fitted, the smallest size that reaches the share, and the censored sizes.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        rates: experiment, function, model, k, T, n and rate, which give each grid's range.

    Returns:
        experiment, function, model, k, T, mark, n (a censored size's at its grid's edge), low and high (null where
        there is no interval), and last_rate, the success rate at the largest n of the grid.

    Raises:
        ValueError: as :func:`with_grid`.
    """
    table = with_grid(critical, rates)
    values = {
        FITTED: table["n_critical"],
        BELOW_GRID: table["edge"].where(table["censored_side"] == BELOW),
        ABOVE_GRID: table["edge"].where(table["censored_side"] == ABOVE),
        SMALLEST: table["n_grid"],
    }
    marks = [table.assign(mark=mark, n=n.astype(float)) for mark, n in values.items()]
    drawn = pd.concat(marks, ignore_index=True).dropna(subset="n")
    drawn[["low", "high"]] = drawn[["ci_low", "ci_high"]].where(drawn["mark"] == FITTED)
    return drawn[[*FAMILY, "T", "mark", "n", "low", "high", "last_rate"]]


def log_laws(critical: pd.DataFrame, fits: pd.DataFrame, count: int = 2) -> pd.DataFrame:
    """The fitted log laws at ``count`` T each, over the range they were fitted to: the columns of ``fits``, T and n.

    Two T give a straight line where the axis of T is logarithmic and that of n is not.

    Args:
        critical: experiment, function, model, k, T and n_critical.
        fits: experiment, function, model, k, law, a and b, with further columns that are kept.
        count: number of T for each law.
    """
    laws = fits[fits["law"] == "log"].dropna(subset="a")
    spans = critical.dropna(subset="n_critical").groupby(FAMILY)["T"].agg(first="min", last="max")
    lines = laws.join(spans, on=FAMILY, how="inner").merge(pd.Series(np.linspace(0, 1, count), name="way"), how="cross")
    lines["T"] = lines["first"] ** (1 - lines["way"]) * lines["last"] ** lines["way"]
    return lines.assign(n=lines["a"] * np.log(lines["T"]) + lines["b"]).drop(columns=["first", "last", "way"])


def log_T(lengths: pd.Series, room: float = 1.1) -> alt.X:
    """The x axis of context lengths, logarithmic, from the smallest over ``room`` to the largest times ``room``."""
    scale = alt.Scale(type="log", nice=False, domain=[lengths.min() / room, lengths.max() * room])
    axis = alt.Axis(values=ticks(lengths), format="d", grid=False, labelSeparation=8)
    return alt.X("T:Q", title="Context length T (log scale)", scale=scale, axis=axis)


def log_n(points: pd.DataFrame, *, titled: bool = True) -> alt.Y:
    """The y axis of critical sample sizes, logarithmic, over all marks and intervals; within a row without labels."""
    ends = points[["n", "low", "high"]]
    low, high = ends.min(axis=None) / 1.25, ends.max(axis=None) * 1.25
    values = ladder(low, high / 1.1, (1, 2, 5))  # a label at the upper edge would push the panel's title up
    chosen = {"values": values} if len(values) > 2 else {"tickCount": 5}  # Vega has finer ones
    axis = alt.Axis(**chosen, format="d", labels=titled, ticks=titled)
    title = "Critical sample size n (samples, log)" if titled else None
    return alt.Y("n:Q", title=title, scale=alt.Scale(type="log", nice=False, domain=[low, high]), axis=axis)


def ticks(lengths: pd.Series) -> list[int]:
    """The context lengths themselves if they are few, otherwise 1, 2, 3 and 5 times the powers of ten among them."""
    values = sorted(int(length) for length in lengths.unique())
    return values if len(values) <= 6 else ladder(values[0], values[-1], (1, 2, 3, 5))


def ladder(low: float, high: float, digits: tuple[int, ...]) -> list[int]:
    """The digits' multiples of the powers of ten from ``low`` to ``high``."""
    steps = [digit * 10**exponent for exponent in range(7) for digit in digits]
    return [step for step in steps if low <= step <= high]


def layers(points: pd.DataFrame, x: alt.X, y: alt.Y, looks: Looks, shift: float = 0) -> list[alt.Chart]:
    """The intervals and, on top, the marks of some points; an end that is open reaches the edge of the panel.

    Args:
        points: the column of ``x``, mark, n, low, high, and what ``looks`` encode.
        x: the x axis.
        y: the y axis, of any field.
        looks: encodings of the marks; the intervals take their stroke.
        shift: pixels by which all is moved to the right.
    """
    mark = alt.Chart(points).mark_point(strokeWidth=2, opacity=1, xOffset=shift)
    numbers = (alt.Tooltip(f"{field}:Q", format=".1f") for field in ("n", "low", "high"))
    tooltip = ["series:N", x["shorthand"], *numbers]
    # The paper has points without bars.
    estimated = (points["mark"] == FITTED) | points[["low", "high"]].notna().any(axis=1)
    bars = [bar.encode(x, looks[alt.Stroke]) for bar in intervals(points[estimated], y, strokeWidth=2, xOffset=shift)]
    return [*bars, mark.encode(x, along(y, "n"), *looks.values(), tooltip=tooltip)]


def intervals(points: pd.DataFrame, y: alt.Y, **look: float) -> list[alt.Chart]:
    """Bars from ``low`` to ``high``, whose layers have no x yet; an end that is null is open.

    A bar reaches the panel's edge at an open end, and so through the whole panel if both are open: the estimate without
    any bound must not look exact.

    Args:
        points: low and high, of estimates only.
        y: the y axis, of any field.
        look: properties of the bars.
    """
    ends = {  # whether low and high are known
        (True, True): (along(y, "low"), alt.Y2("high")),
        (True, False): (along(y, "low"), alt.Y2Value(0)),
        (False, True): (along(y, "high"), alt.Y2Value("height")),
        (False, False): (alt.YValue("height"), alt.Y2Value(0)),
    }
    groups = points.groupby([points["low"].notna(), points["high"].notna()])
    return [alt.Chart(own).mark_rule(**look).encode(*ends[known]) for known, own in groups]


def along(y: alt.Y, field: str) -> alt.Y:
    """The same axis for another field."""
    axis = y.copy(deep=False)
    axis["shorthand"] = f"{field}:Q"
    return axis
