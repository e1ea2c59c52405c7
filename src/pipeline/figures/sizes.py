"""What figures of critical sample sizes share: sizes outside their grid, and ticks."""

import pandas as pd

from pipeline.figures.style import SERIES

BELOW, ABOVE = "below", "above"  # as in the table's column censored_side
TRIANGLES = {BELOW: "triangle-down", ABOVE: "triangle-up"}  # open, at the edge of the grid


def with_grid(critical: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """The critical sample sizes with ``lowest`` and ``highest``, the ends of each grid of n, and ``edge``.

    ``edge`` is the end beyond which a censored size lies, and null where the size is known.

    Raises:
        ValueError: a censored row has no rates.
    """
    grid = rates.groupby([*SERIES, "T"])["n"].agg(lowest="min", highest="max")
    table = critical.join(grid, on=[*SERIES, "T"])
    if table.loc[table["censored_side"] != "", "lowest"].isna().any():
        raise ValueError("a censored critical sample size has no success rates to show its grid's edge")
    side = table["censored_side"]
    return table.assign(edge=table["lowest"].where(side == BELOW, table["highest"].where(side == ABOVE)))


def ticks(lengths: pd.Series) -> list[int]:
    """The context lengths themselves if they are few, otherwise 1, 2, 3 and 5 times the powers of ten among them."""
    values = sorted(int(length) for length in lengths.unique())
    return values if len(values) <= 6 else ladder(values[0], values[-1], (1, 2, 3, 5))


def ladder(low: float, high: float, digits: tuple[int, ...]) -> list[int]:
    """The digits' multiples of the powers of ten from ``low`` to ``high``."""
    steps = [digit * 10**exponent for exponent in range(7) for digit in digits]
    return [step for step in steps if low <= step <= high]
