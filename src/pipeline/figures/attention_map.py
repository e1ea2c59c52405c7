"""Attention of single runs, position by position.

Question: Where does the [CLS] token look when a run ends, and on the way there?

The mean attention weight on every position over the holdout. Above, the mean of the heads when the run ends, with the
support marked; in the middle, that mean over training, from the first step down to the last; below, every head at the
end, that with most mass on the support at the top. Choose a training step to see its weights as a blue line beside
those of the end.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.families import FAMILY, rows_of
from pipeline.figures.parts import attention_training, style
from pipeline.figures.parts.attention_training import BACKGROUND, bin_width, binned
from pipeline.labels import learner_label, panel_title, task_label

LENGTHS_SHOWN, SIZES_SHOWN = 2, 3
STRIP_HEIGHT, HEAD_HEIGHT, MIN_HEIGHT = 70, 9, 40
LABEL_WIDTH = 45  # pixels that the label of a position takes

_CELL = [*FAMILY, "T"]


def chart(maps: pd.DataFrame, steps: pd.DataFrame) -> alt.VConcatChart:
    """Draws the mean attention weight on every position: a block for each experiment, function, model, k and T.

    Of each series the smallest and the largest T are shown. A block has a panel for each of at most ``SIZES_SHOWN``
    sample sizes, evenly chosen, with one run each, that of the smallest seed. A panel shows the mean over the heads as
    a strip, the support marked with its positions, above a heat map of the heads, of which the one with most mass on
    the support comes first; between them, the mean over training, if ``steps`` has the run. The parameter
    ``training_step`` is the step whose weights a reader sees as a line in the strip; at the end there is none. With
    more than ``attention_training.BINS`` positions, a column of the heat maps covers several and shows the largest of
    their weights, so that no position is lost.

    Args:
        maps: experiment, function, model, k, T, n, seed, success, head, position, weight (the mean over the holdout)
            and in_support.
        steps: experiment, function, model, k, T, n, seed, step, position and weight (the mean of the heads).

    Raises:
        ValueError: ``maps`` is empty.
    """
    if maps.empty:
        raise ValueError("there are no attention weights to draw")
    lengths = maps.groupby(FAMILY)["T"].transform(lambda own: own.isin(style.evenly(own, LENGTHS_SHOWN)))
    groups, blocks = maps[lengths].groupby(_CELL), []
    for cell, own in groups:
        experiment, function, model, k, T = cell
        name = f"Attention of [CLS], {task_label(function, k)}, T = {T}, {learner_label(model)}"
        ways = rows_of(steps, _CELL, cell)
        note = _note(T, len(ways) > 0)
        title = alt.Title(name if len(groups) == 1 else panel_title(name, experiment), subtitle=note)
        blocks.append(_block(own, ways).properties(title=title))
    whole = alt.vconcat(*blocks).resolve_scale(color="independent")
    return whole.properties(params=[attention_training.slider(steps).param]) if len(steps) else whole


def _note(T: int, followed: bool) -> list[str]:
    """How to read a block, whose runs may be followed through training."""
    width = bin_width(T)
    columns = f" A cell shows the largest of {width} positions." if width > 1 else ""
    return [
        "Above: mean of the heads at the end; triangles and numbers: the support.",
        *(["In the middle: that mean over training, in colours that go as far as the axis above."] * followed),
        f"Below: every head, that with most mass on the support at the top.{columns}",
    ]


def _block(maps: pd.DataFrame, steps: pd.DataFrame) -> alt.VConcatChart:
    """The panels of one cell; the weights have the same colours and the strips the same axis in all of them."""
    sizes = style.evenly(maps["n"], SIZES_SHOWN)
    first = maps["seed"] == maps.groupby("n")["seed"].transform("min")
    runs = [maps[first & (maps["n"] == n)] for n in sizes]
    means = [run.groupby(["position", "in_support"], as_index=False)["weight"].mean() for run in runs]
    seeds = [run["seed"].iloc[0] for run in runs]
    ways = [steps[(steps["n"] == n) & (steps["seed"] == seed)] for n, seed in zip(sizes, seeds, strict=True)]
    brightest = max(run["weight"].max() for run in runs)
    highest = max(table["weight"].max() for table in (*means, *ways) if len(table))
    panels = [
        _panel(run, mean, attention_training.over_steps(way), brightest, highest, run is runs[-1])
        for run, mean, way in zip(runs, means, ways, strict=True)
    ]
    return alt.vconcat(*panels, spacing=26)


def _panel(
    run: pd.DataFrame, mean: pd.DataFrame, way: pd.DataFrame, brightest: float, highest: float, last: bool
) -> alt.VConcatChart:
    """The strip, the training if there is any of it, and the heads of one run; the last panel has the legend."""
    x = _x(len(mean), axis=None)
    training = [attention_training.heat_map(way, x, highest, style.WIDTH)] if len(way) else []
    panel = alt.vconcat(_strip(mean, way, highest), *training, _heads(run, brightest, last), spacing=4)
    panel = panel.resolve_scale(color="independent")
    return panel.properties(title=alt.Title(_words(run, mean), fontSize=15, offset=4))


def _words(run: pd.DataFrame, mean: pd.DataFrame) -> str:
    """A panel's title, such as ``n = 40, seed 7: failed, 12 % of the attention on the support``."""
    n, seed, success = run.iloc[0][["n", "seed", "success"]]
    mass = mean.loc[mean["in_support"], "weight"].sum()
    outcome = style.SUCCEEDED if success else style.FAILED
    return f"n = {n}, seed {seed}: {outcome}, {mass:.0%} of the attention on the support"


def _x(positions: int, **options) -> alt.X:
    """The axis of positions, from half a position before the first to half a position after the last."""
    domain = alt.Scale(domain=[-0.5, positions - 0.5], nice=False, zero=False)
    return alt.X("position:Q", scale=domain, **options)


def _strip(mean: pd.DataFrame, way: pd.DataFrame, largest: float) -> alt.LayerChart:
    """The mean weights of the heads, exact at every position, and those at the step that a reader chose."""
    x = _x(len(mean), axis=None)
    y = alt.Y(
        "weight:Q",
        title="Mean",
        scale=alt.Scale(domain=[0, largest], nice=False),
        axis=alt.Axis(tickCount=2, format=".2~g", minExtent=40),
    )
    edges = pd.concat([mean, mean.tail(1).assign(position=len(mean))])
    edges["position"] -= 0.5
    area = alt.Chart(edges).mark_area(interpolate="step-after", color="#999999", aria=False).encode(x, y)
    support = alt.Chart(mean[mean["in_support"]])
    stem = support.mark_rule(color=style.INK, strokeWidth=2).encode(x, y, alt.Y2(datum=0))
    tooltip = ["position:Q", alt.Tooltip("weight:Q", format=".3f")]
    mark = support.mark_point(shape="triangle-down", color=style.INK, filled=True, opacity=1, size=60, yOffset=-7)
    label = alt.Chart(_labels(mean)).mark_text(color=style.INK, fontSize=13, baseline="bottom", yOffset=-14)
    return alt.layer(
        area,
        stem,
        mark.encode(x, alt.Y(datum=largest), tooltip=tooltip),
        label.encode(x, alt.Y(datum=largest), text="label:N"),
        *([attention_training.outline(way, x, y)] if len(way) else []),
    ).properties(width=style.WIDTH, height=STRIP_HEIGHT)


def _labels(mean: pd.DataFrame) -> pd.DataFrame:
    """The support's labels and their places; positions too close for labels of their own share one."""
    support = np.sort(mean.loc[mean["in_support"], "position"].to_numpy())
    apart = np.diff(support) * style.WIDTH / len(mean) > LABEL_WIDTH
    groups = np.split(support, np.flatnonzero(apart) + 1)
    rows = [{"position": group.mean(), "label": ", ".join(map(str, group))} for group in groups]
    return pd.DataFrame(rows)


def _heads(run: pd.DataFrame, largest: float, last: bool) -> alt.Chart:
    """The largest weight of every head in every column of positions."""
    length, heads = run["position"].nunique(), run["head"].nunique()
    mass = run["weight"].where(run["in_support"], 0).groupby(run["head"]).sum()
    ranks = run["head"].map(mass.rank(ascending=False, method="first"))
    cells = binned(run.assign(rank=ranks), ["head", "rank"])
    legend = alt.Legend(orient="bottom", gradientLength=style.WIDTH // 2, format=".2~g", tickCount=5)
    scale = alt.Scale(type="sqrt", scheme="viridis", domain=[0, largest])
    colour = alt.Color("weight:Q", title="Attention weight of a head", scale=scale, legend=legend if last else None)
    x = _x(length, title="Position", axis=alt.Axis(format="d", tickMinStep=1, grid=False))
    y = alt.Y("rank:O", title="Heads", axis=alt.Axis(labels=False, ticks=False, minExtent=40))
    chart = alt.Chart(cells, width=style.WIDTH, height=max(HEAD_HEIGHT * heads, MIN_HEIGHT), view=BACKGROUND)
    tooltip = ["head:O", "start:Q", alt.Tooltip("weight:Q", format=".3f")]
    return chart.mark_rect(aria=False).encode(x, y, colour, x2="end:Q", tooltip=tooltip)


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``attention_map.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "maps", "steps"), argv)
    style.save(chart(arguments.maps, arguments.steps), arguments.output_folder, "attention_map")


if __name__ == "__main__":
    main()
