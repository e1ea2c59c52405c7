"""What the figures of curves over training steps share: thin lines for runs and a bold one for their median."""

import altair as alt
import pandas as pd

from pipeline.figures.parts import style
from pipeline.labels import learner_label

MEDIAN = "median of all runs"
LOSS_FLOOR = 1e-6  # a loss of 0 has no place on a log axis


def runs_and_median(curves: pd.DataFrame, values: list[str], runs_shown: int) -> pd.DataFrame:
    """The first runs and, last and so on top, the median of each value over all runs at each step.

    A run that has stopped counts in the median with its last values.

    Args:
        curves: model, seed, step and the values, of one cell.
        values: the columns.
        runs_shown: how many runs are kept.

    Returns:
        The columns curve (the name in the legend), seed, step and the values.
    """
    shown = curves[curves["seed"].isin(sorted(curves["seed"].unique())[:runs_shown])]
    carried = curves.pivot(index="step", columns="seed", values=values).ffill()
    median = carried.stack("seed").groupby("step")[values].median().reset_index()
    runs = shown[["seed", "step", *values]].assign(curve=_run_label(shown["model"]))
    return pd.concat([runs, median.assign(curve=MEDIAN)])


def line_looks(models: pd.Series) -> dict[type, alt.SchemaBase]:
    """The look of the runs of each model and of medians, in one legend."""
    colours = style.learner_colours(models)
    runs = list(_run_label(pd.Series(colours.keys())))
    ranges = {
        alt.Color: [*colours.values(), style.INK],
        alt.StrokeWidth: [1.2] * len(runs) + [3],
        alt.Opacity: [0.5] * len(runs) + [1],
    }
    return style.looks("curve", [*runs, MEDIAN], ranges)


def _run_label(models: pd.Series) -> pd.Series:
    """What the legend calls a run of each model."""
    return models.map(learner_label) + ", one run"
