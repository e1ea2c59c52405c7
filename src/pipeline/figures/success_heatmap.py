"""Success rate over context length and sample size.

Question: Where, in the plane of T and n, do runs succeed?

A cell is the share of the runs of one T and n that succeed. A white line marks the critical sample size where it lies
within the grid; grey is a cell without runs. Hover over a cell for its runs: successes, trials, interval, and the
seeds that failed. The range of T chosen below, or marked in the critical sample sizes, stays bright.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.families import CELL, FAMILY, rows_of
from pipeline.figures.parts import style
from pipeline.figures.parts.sizes import along, ladder
from pipeline.labels import learner_label, panel_title, task_label

COLUMN_WIDTH, MIN_WIDTH, HEIGHT = 44, 360, 440
ALONE = 0.2  # the height of a size without neighbours, in ln n

_TITLE = "Success rate"
_FAILED = "failed seeds"
_NOTE = "White line: critical sample size, where it lies within the grid. Grey: no runs."


def chart(rates: pd.DataFrame, critical: pd.DataFrame, runs: pd.DataFrame) -> alt.LayerChart | alt.VConcatChart:
    """Draws the success rate of every (T, n) as a coloured cell, a panel for each experiment, function, model and k.

    The axis of n is logarithmic, and a cell reaches halfway to the neighbouring sizes of its T: they may be unequally
    spaced, and others at another T. A white line across a column marks n_critical; a T whose critical size lies outside
    its grid has none. The parameters ``T_from`` and ``T_to`` choose the columns that stay bright.

    Args:
        rates: experiment, function, model, k, T, n, trials, successes, rate, ci_low and ci_high.
        critical: experiment, function, model, k, T, n_critical, ci_low and ci_high.
        runs: experiment, function, model, k, T, n, seed and success, which give the seeds that failed.

    Raises:
        ValueError: ``rates`` is empty.
    """
    if rates.empty:
        raise ValueError("there are no success rates to draw")
    failed = runs[~runs["success"]].groupby(CELL)["seed"].agg(_ranges).rename(_FAILED)
    rates = rates.join(failed, on=CELL).fillna({_FAILED: "none"})
    lengths = _ends(rates["T"])
    groups, panels = rates.groupby(FAMILY), []
    for series, own in groups:
        experiment, function, model, k = series
        name = f"{task_label(function, k)}, {learner_label(model)}"
        alone = len(groups) == 1
        title = alt.Title(f"{_TITLE}, {name}", subtitle=_NOTE) if alone else panel_title(name, experiment)
        layers = _panel(own, rows_of(critical, FAMILY, series).dropna(subset="n_critical"))
        panels.append(layers.properties(title=title))
    whole = panels[0] if len(panels) == 1 else alt.vconcat(*panels, title=alt.Title(_TITLE, subtitle=_NOTE))
    return whole.add_params(*lengths)


def _ranges(seeds: pd.Series) -> str:
    """Numbers in words, such as ``0-3, 7``."""
    ordered = np.sort(seeds.to_numpy())
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _ends(lengths: pd.Series) -> list[alt.Parameter]:
    """The parameters that choose a range of T, the whole at first."""
    values = sorted(int(length) for length in lengths.unique())
    ends = {"T_from": ("T from ", values[0]), "T_to": ("to ", values[-1])}
    return [
        alt.param(name=name, value=value, bind=alt.binding_select(options=values, name=label))
        for name, (label, value) in ends.items()
    ]


def _panel(rates: pd.DataFrame, critical: pd.DataFrame) -> alt.LayerChart:
    """The cells of one panel and the critical sizes upon them."""
    tiles = _tiles(rates)
    ends = [tiles["low"].min(), tiles["high"].max()]
    axis = alt.Axis(values=ladder(*ends, (1, 2, 5)), format="d", grid=False)
    scale = alt.Scale(type="log", nice=False, domain=ends)
    x = alt.X("T:O", title="Context length T", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("low:Q", title="Sample size n (log scale)", scale=scale, axis=axis)
    colour = alt.Color("rate:Q", title="Success rate", scale=alt.Scale(scheme="viridis", domain=[0, 1]))
    interval = [alt.Tooltip(f"{field}:Q", format=".2f") for field in ("rate", "ci_low", "ci_high")]
    tooltip = ["T:O", "n:Q", "successes:Q", "trials:Q", *interval, f"{_FAILED}:N"]
    bright = alt.condition("T_from <= datum.T && datum.T <= T_to", alt.value(1), alt.value(style.FADED))
    cells = alt.Chart(tiles).mark_rect().encode(x, y, alt.Y2("high"), colour, opacity=bright, tooltip=tooltip)
    size = [alt.Tooltip(f"{field}:Q", format=".1f") for field in ("n_critical", "ci_low", "ci_high")]
    lines = (
        alt.Chart(critical)
        .mark_tick(color="white", stroke="black", strokeWidth=1, thickness=5, opacity=1)
        .encode(x, along(y, "n_critical"), tooltip=["T:O", *size])
    )
    width = max(MIN_WIDTH, COLUMN_WIDTH * rates["T"].nunique())
    return alt.layer(cells, lines).properties(width=width, height=HEIGHT, view=alt.ViewBackground(fill=style.GRID))


def _tiles(rates: pd.DataFrame) -> pd.DataFrame:
    """The cells with the ends ``low`` and ``high`` of their column's part: halfway to the neighbours in ln n."""
    rates = rates.sort_values(["T", "n"])
    ln_n = np.log(rates["n"])
    below, above = ln_n.groupby(rates["T"]).diff(), -ln_n.groupby(rates["T"]).diff(-1)
    below, above = below.fillna(above).fillna(ALONE), above.fillna(below).fillna(ALONE)
    return rates.assign(low=np.exp(ln_n - below / 2), high=np.exp(ln_n + above / 2))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``success_heatmap.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "rates", "critical", "runs"), argv)
    figure = chart(arguments.rates, arguments.critical, arguments.runs)
    style.save(figure, arguments.output_folder, "success_heatmap")


if __name__ == "__main__":
    main()
