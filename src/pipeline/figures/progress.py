"""Hidden progress through the plateau.

Question: What moves while the loss still stands on its plateau?

Loss, accuracy, distance from initialisation, attention on the support and Fourier coefficient against the training
step, a column for each context length: single runs thin, the median bold, a dot at the end of a run. Move the slider
to step through the training, and pick a run to follow it alone.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.families import FAMILY
from pipeline.figures.parts import style
from pipeline.figures.parts.curves import LOSS_FLOOR, MEDIAN, line_looks, runs_and_median
from pipeline.labels import learner_label, panel_title, task_label

LENGTHS_SHOWN = 4
RUNS_SHOWN = 10
EVALUATIONS_SHOWN = 60  # of a run; a column is about three pixels wide for each
ROW_HEIGHT = 120
LABELS_WIDTH = 50  # of the y axes, so that their titles stand in one line

# The rows from above, with the two lines of their axis titles.
ROWS = {
    "train_loss": ["Training loss", "(log)"],
    "holdout_accuracy": ["Holdout", "accuracy"],
    "distance": ["Distance from", "initialisation"],
    "support_mass": ["Attention on", "the support"],
    "fourier_coefficient": ["Fourier", "coefficient"],
}
# Each axis spans at least these values, so that a plateau looks flat and has labels.
_SCALES = {
    "train_loss": alt.Scale(type="log", nice=False, domain=alt.DomainUnionWith(unionWith=[0.3, 1])),
    "holdout_accuracy": alt.Scale(zero=False, domain=alt.DomainUnionWith(unionWith=[0.5, 1])),
    "support_mass": alt.Scale(domain=alt.DomainUnionWith(unionWith=[0, 1])),
    "fourier_coefficient": alt.Scale(domain=alt.DomainUnionWith(unionWith=[0, 1])),
}
_LOSSES = [digit * 10.0**exponent for exponent in range(-6, 3) for digit in (1, 3)]
_AXES = {
    "train_loss": alt.Axis(values=_LOSSES, format="~g", labelOverlap="greedy", labelFlush=True),
    "holdout_accuracy": alt.Axis(format="%", tickCount=3),
}
_PICKED = f"run == null || datum.seed == run || datum.curve == '{MEDIAN}'"
_STEPS = "datum.value < 1000 ? datum.label : datum.value / 1000 + 'k'"
_NOTE = "A dot is the end of a run: its transition or, if it has none, its last step."


def chart(progress: pd.DataFrame) -> alt.VConcatChart:
    """Draws loss, accuracy and the measures of hidden progress against the step: a block for each series.

    A block has a column for each of at most ``LENGTHS_SHOWN`` context lengths, evenly chosen. Up to ``RUNS_SHOWN`` runs
    of each are thin lines that end in a dot, and the median of all its runs is bold; a run that has stopped counts
    with its last values. At most ``EVALUATIONS_SHOWN`` evaluations of a run are drawn, and its last. Losses below
    ``LOSS_FLOOR`` are drawn there. The attention's row is left out of a block whose model has none. The parameter
    ``until`` is the step up to which a reader sees the curves, ``run`` the seed of the one run that is picked.

    Args:
        progress: experiment, function, model, k, T, n, seed, step, train_loss, holdout_accuracy, distance (the norm of
            the parameters' change over that of the initial parameters), support_mass (null without attention) and
            fourier_coefficient.

    Raises:
        ValueError: ``progress`` is empty, or a series has several n.
    """
    if progress.empty:
        raise ValueError("there is no progress to draw")
    looks, end = line_looks(progress["model"].unique()), int(progress["step"].max())
    shown = sorted(progress["seed"].unique())[:RUNS_SHOWN]
    slider = alt.binding_range(min=0, max=end, step=int(progress["step"].min()) or 1, name="Training step ")
    steps = alt.param(name="until", value=end, bind=slider)
    run = style.choice("run", "Run of seed ", map(int, shown))
    progress = progress.assign(train_loss=progress["train_loss"].clip(lower=LOSS_FLOOR))
    groups, blocks = progress.groupby(FAMILY), []
    for series, own in groups:
        experiment, function, model, k = series
        if own["n"].nunique() > 1:
            raise ValueError(f"{experiment}: the progress of runs with several n cannot share a block")
        name = f"Progress through the plateau, {task_label(function, k)}, {learner_label(model)}"
        title = name if len(groups) == 1 else panel_title(name, experiment)
        blocks.append(_block(own, looks).properties(title=alt.Title(title, subtitle=_NOTE)))
    return alt.vconcat(*blocks, params=[steps.param, run.param])  # add_params would copy all, which takes seconds


def _block(progress: pd.DataFrame, looks: dict[type, alt.SchemaBase]) -> alt.VConcatChart:
    """The rows of one series, each with a column for every shown T; the cells of a column have the same steps."""
    values = [value for value in ROWS if progress[value].notna().any()]
    lengths = style.evenly(progress["T"], LENGTHS_SHOWN)
    lines = {T: _thinned(runs_and_median(progress[progress["T"] == T], values, RUNS_SHOWN)) for T in lengths}
    [colour] = style.learner_colours(progress["model"]).values()
    rows = []
    for value in values:
        last = value == values[-1]
        cells = [_cell(own, value, place == 0, last, looks, colour) for place, own in enumerate(lines.values())]
        if value == values[0]:
            cells = [cell.properties(title=style.heading(f"T = {T}")) for cell, T in zip(cells, lengths, strict=True)]
        cells = [cell.properties(width=style.WIDTH // len(lengths), height=ROW_HEIGHT) for cell in cells]
        rows.append(alt.hconcat(*cells, spacing=14).resolve_scale(y="shared"))
    return alt.vconcat(*rows, spacing=8)


def _thinned(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines at the evaluations that are shown; ``end`` tells the last of each run."""
    end = lines.groupby("seed")["step"].transform("max") == lines["step"]
    shown = lines["step"].isin(style.evenly(lines["step"], EVALUATIONS_SHOWN))
    return lines.assign(end=end)[shown | end]


def _cell(
    lines: pd.DataFrame, value: str, first: bool, last: bool, looks: dict[type, alt.SchemaBase], colour: str
) -> alt.LayerChart:
    """One value of the runs of one T; the first column has the labels of y, the last row those of the steps."""
    steps = alt.Axis(tickCount=3, labels=last, labelFlush=True, labelExpr=_STEPS)
    x = alt.X("step:Q", title="Training step" if last else None, axis=steps)
    axis = _AXES.get(value, alt.Axis(tickCount=3)).copy()
    axis.labels, axis.minExtent = first, LABELS_WIDTH if first else 0
    y = alt.Y(f"{value}:Q", title=ROWS[value] if first else None, scale=_SCALES.get(value, alt.Undefined), axis=axis)
    tooltip = ["curve:N", "seed:Q", "step:Q", alt.Tooltip(f"{value}:Q", format=".3g")]
    line = alt.Chart().mark_line().encode(x, y, *looks.values(), detail="seed:N", tooltip=tooltip)
    dots = alt.Chart().mark_circle(size=18, opacity=1, color=colour, aria=False).transform_filter("datum.end")
    curves = (layer.transform_filter(_PICKED) for layer in (line, dots.encode(x, y, tooltip=tooltip)))
    return alt.layer(*curves, _curtain(int(lines["step"].max())), data=lines)


def _curtain(end: int) -> alt.Chart:
    """What hides the steps after the one that a reader chose; nothing at first."""
    curtain = alt.Chart(pd.DataFrame({"end": [end]})).transform_calculate(step=f"min(until, {end})")
    return curtain.mark_rect(color="white", opacity=0.9, aria=False).encode(alt.X("step:Q"), alt.X2("end"))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``progress.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "progress"), argv)
    style.save(chart(arguments.progress), arguments.output_folder, "progress")


if __name__ == "__main__":
    main()
