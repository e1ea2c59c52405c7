"""Learning curves below, at and above the critical sample size.

Question: What happens in training below, at and above the critical sample size?

Training loss (above) and holdout accuracy (below) against the training step, a column for each sample size: single
runs thin, the median of all bold.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.families import FAMILY
from pipeline.figures.parts import style
from pipeline.figures.parts.curves import LOSS_FLOOR, line_looks, runs_and_median
from pipeline.labels import learner_label, panel_title, task_label

RUNS_SHOWN = 20
SIZES_SHOWN = 4
ROW_HEIGHT, COLUMN_WIDTH = 220, 200  # the latter at least, for a column's heading

_CELL = [*FAMILY, "T"]
_VALUES = ["train_loss", "holdout_accuracy"]


def chart(curves: pd.DataFrame) -> alt.VConcatChart:
    """Draws loss (above) and accuracy (below) against the step: a block for each experiment, function, model, k and T.

    A block has a column for each sample size, of many for ``SIZES_SHOWN`` from the smallest to the largest, headed by
    the share of its runs that end at 100 % holdout accuracy. Up to ``RUNS_SHOWN`` runs of each are thin lines, and the
    median of all its runs is bold. Losses below ``LOSS_FLOOR`` are drawn there.

    Args:
        curves: experiment, function, model, k, T, n, seed, step, train_loss and holdout_accuracy.

    Raises:
        ValueError: ``curves`` is empty.
    """
    if curves.empty:
        raise ValueError("there are no learning curves to draw")
    looks = line_looks(curves["model"].unique())
    curves = curves.assign(train_loss=curves["train_loss"].clip(lower=LOSS_FLOOR))
    groups, blocks = curves.groupby(_CELL), []
    for cell, own in groups:
        experiment, function, model, k, T = cell
        name = f"Learning curves, {task_label(function, k)}, T = {T}, {learner_label(model)}"
        title = name if len(groups) == 1 else panel_title(name, experiment)
        shown = style.evenly(own["n"], SIZES_SHOWN)
        if len(shown) < (count := own["n"].nunique()):
            title = alt.Title(title, subtitle=f"{len(shown)} of {count} sample sizes")
        blocks.append(_block(own[own["n"].isin(shown)], looks).properties(title=title))
    return alt.vconcat(*blocks)


def _block(curves: pd.DataFrame, looks: dict[type, alt.SchemaBase]) -> alt.VConcatChart:
    """The two rows of one cell over the same steps, a column for each of its sizes."""
    sizes = {_size_label(n, own): own for n, own in curves.groupby("n")}
    lines = pd.concat([runs_and_median(own, _VALUES, RUNS_SHOWN).assign(size=label) for label, own in sizes.items()])
    column = alt.Column("size:N", title=None, sort=list(sizes))
    tooltip = ["curve:N", "seed:Q", "step:Q", *(alt.Tooltip(f"{value}:Q", format=".3g") for value in _VALUES)]
    line = alt.Chart(lines, width=max(style.WIDTH // len(sizes), COLUMN_WIDTH), height=ROW_HEIGHT).mark_line()
    line = line.encode(*looks.values(), detail="seed:N", tooltip=tooltip)
    powers = alt.Axis(values=[10.0**exponent for exponent in range(-6, 7)], format=".0e")
    loss = line.encode(
        alt.X("step:Q", title=None, axis=alt.Axis(tickCount=4, labels=False)),
        alt.Y("train_loss:Q", title="Training loss (log)", scale=alt.Scale(type="log"), axis=powers),
    )
    accuracy = line.encode(
        alt.X("step:Q", title="Training step", axis=alt.Axis(tickCount=4, format="d")),
        alt.Y("holdout_accuracy:Q", title="Holdout accuracy", scale=alt.Scale(zero=False), axis=alt.Axis(format="%")),
    )
    return alt.vconcat(loss.facet(column=column), accuracy.facet(column=column.header(None))).resolve_scale(x="shared")


def _size_label(n: int, curves: pd.DataFrame) -> str:
    """A column's heading, such as ``n = 60: 4 of 10 end at 100 %``."""
    last = curves.loc[curves.groupby("seed")["step"].idxmax(), "holdout_accuracy"]
    return f"n = {n}: {(last == 1).sum()} of {len(last)} end at 100 %"


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``learning_curves.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "curves"), argv)
    style.save(chart(arguments.curves), arguments.output_folder, "learning_curves")


if __name__ == "__main__":
    main()
