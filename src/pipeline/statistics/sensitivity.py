"""How far a change of one setting moves the critical sample size."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.statistics.intervals import sum_interval

COLUMNS = ["experiment", "factor", "value", "base_value", "T", "base_n", "ratio", "ratio_low", "ratio_high"]
CENSORED = ["censored", "censored_side", "edge"]
SIZE = ["n_critical", "ci_low", "ci_high"]


def sensitivity(
    critical: pd.DataFrame, rates: pd.DataFrame, base: str, variants: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """Critical sample sizes of variants over that of the base experiment at the same T.

    The interval is that of a ratio of independent estimates, from the intervals of the two sizes
    (:func:`pipeline.statistics.intervals.sum_interval`). It leaves aside that runs of the same seed may share their
    samples, so it is rather too wide than too narrow.

    Args:
        critical: the table of critical sample sizes, of one function and k.
        rates: the table of success rates, which gives each grid's range.
        base: name of the base experiment.
        variants: of each variant, by name, its ``factor``, ``value`` and ``base_value``, as text.

    Returns:
        One row per variant and T of the base, in the variants' order, with the columns

        - ``experiment``, ``factor``, ``value``, ``base_value``, ``T``.
        - ``base_n``: the base's critical size; null if it is censored.
        - ``ratio``, ``ratio_low``, ``ratio_high``: the ratio and its interval, whose end is null where one that it
          needs is open; all null if a size is censored.
        - ``censored``, ``censored_side``: whether the variant's size lies outside its grid, and on which side of it.
        - ``edge``: the edge of the grid beyond which a censored size lies, over ``base_n``; otherwise null.

    Raises:
        ValueError: there is no row of a variant at a T of the base.
    """
    sizes = critical.set_index("experiment")
    bases = sizes.loc[[base]].set_index("T")
    parts = [
        _compared(name, sizes.loc[[name]] if name in sizes.index else sizes.head(0), bases, rates).assign(**settings)
        for name, settings in variants.items()
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS + CENSORED]


def _compared(name: str, own: pd.DataFrame, bases: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """The rows of one variant."""
    own = own[own["T"].isin(bases.index)].sort_values("T")
    if own.empty:
        raise ValueError(f"{name} has no critical sample size at a T of the base experiment")
    theirs = bases.loc[own["T"]]
    sizes = np.log([one[SIZE].to_numpy(float) for one in (own, theirs)])
    ratio, low, high = np.exp(sum_interval(np.array([1, -1]), *np.moveaxis(sizes, 2, 0)))
    grid = rates[rates["experiment"] == name].groupby("T")["n"].agg(["min", "max"]).loc[own["T"]]
    side, base_n = own["censored_side"].to_numpy(), theirs["n_critical"].to_numpy()
    edge = np.select([side == "below", side == "above"], [grid["min"], grid["max"]], np.nan) / base_n
    return pd.DataFrame(
        {"experiment": name, "T": own["T"].to_numpy(), "base_n": base_n}
        | {"ratio": ratio, "ratio_low": low, "ratio_high": high}
        | {"censored": own["censored"].to_numpy(), "censored_side": side, "edge": edge}
    )
