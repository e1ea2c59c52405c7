"""How far a change of one setting moves the critical sample size."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.statistics.intervals import difference_interval
from pipeline.statistics.pairing import correlations

COLUMNS = ["experiment", "factor", "value", "base_value", "T", "base_n", "ratio", "ratio_low", "ratio_high"]
CENSORED = ["censored", "censored_side", "edge"]
SIZE = ["n_critical", "ci_low", "ci_high"]


def sensitivity(
    critical: pd.DataFrame, runs: pd.DataFrame, base: str, variants: Mapping[str, Mapping[str, str]], share: float
) -> pd.DataFrame:
    """Critical sample sizes of variants over that of the base experiment at the same T.

    The interval is that of a ratio of correlated estimates, from the intervals of the two sizes
    (:func:`pipeline.statistics.intervals.difference_interval`) and the correlation of their errors, which the runs that
    both have in common tell (:func:`pipeline.statistics.pairing.correlations`). Without such runs it is that of
    independent estimates.

    Args:
        critical: the table of critical sample sizes, of one function and k.
        runs: the table of runs, which gives each grid's range too.
        base: name of the base experiment.
        variants: of each variant, by name, its ``factor``, ``value`` and ``base_value``, as text.
        share: the success rate that defines the critical size, in (0, 1).

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
    theirs = _experiment(base, critical, runs)
    parts = [
        _compared(name, _experiment(name, critical, runs), theirs, share).assign(**settings)
        for name, settings in variants.items()
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS + CENSORED]


class _Experiment(NamedTuple):
    """The critical sizes of an experiment, indexed by T, and its runs, each with the curve of its T."""

    sizes: pd.DataFrame
    runs: pd.DataFrame


def _experiment(name: str, critical: pd.DataFrame, runs: pd.DataFrame) -> _Experiment:
    sizes, own = (table[table["experiment"] == name] for table in (critical, runs))
    sizes = sizes.set_index("T")
    return _Experiment(sizes, own.join(sizes[["n_critical", "slope"]], on="T"))


def _compared(name: str, variant: _Experiment, base: _Experiment, share: float) -> pd.DataFrame:
    """The rows of one variant."""
    lengths = variant.sizes.index.intersection(base.sizes.index).sort_values()
    if lengths.empty:
        raise ValueError(f"{name} has no critical sample size at a T of the base experiment")
    own, theirs = (one.sizes.loc[lengths] for one in (variant, base))
    sizes = (np.log(one[SIZE].to_numpy(float)).T for one in (own, theirs))
    correlation = correlations(variant.runs, base.runs, share).loc[lengths].to_numpy()
    ratio, low, high = np.exp(difference_interval(*sizes, correlation))
    grid = variant.runs.groupby("T")["n"].agg(["min", "max"]).loc[lengths]
    side, base_n = own["censored_side"].to_numpy(), theirs["n_critical"].to_numpy()
    edge = np.select([side == "below", side == "above"], [grid["min"], grid["max"]], np.nan) / base_n
    return pd.DataFrame(
        {"experiment": name, "T": lengths, "base_n": base_n}
        | {"ratio": ratio, "ratio_low": low, "ratio_high": high}
        | {"censored": own["censored"].to_numpy(), "censored_side": side, "edge": edge}
    )
