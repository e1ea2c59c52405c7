"""Attention of single runs, position by position.

Question: Where does the [CLS] token look when a run ends?

The mean attention weight on every position over the holdout: above the mean of the heads, with the support marked,
below every head, that with most mass on the support at the top.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures import style
from pipeline.figures.style import SERIES

LENGTHS_SHOWN, SIZES_SHOWN = 2, 3
BINS = 150  # columns of a heat map: more would be narrower than the eye resolves and fill the file
STRIP_HEIGHT, HEAD_HEIGHT, MIN_HEIGHT = 70, 9, 40
LABEL_WIDTH = 45  # pixels that the label of a position takes
BACKGROUND = alt.ViewBackground(fill="#440154")  # viridis' darkest, which shows through the seams of narrow cells

_CELL = [*SERIES, "T"]


def chart(maps: pd.DataFrame) -> alt.VConcatChart:
    """Draws the mean attention weight on every position: a block for each experiment, function, model, k and T.

    Of each series the smallest and the largest T are shown. A block has a panel for each of at most ``SIZES_SHOWN``
    sample sizes, evenly chosen, with one run each, that of the smallest seed. A panel shows the mean over the heads as
    a strip, the support marked with its positions, above a heat map of the heads, of which the one with most mass on
    the support comes first. With more than ``BINS`` positions, a column of the heat map covers several and shows the
    largest of their weights, so that no position is lost.

    Args:
        maps: experiment, function, model, k, T, n, seed, success, head, position, weight (the mean over the holdout)
            and in_support.

    Raises:
        ValueError: ``maps`` is empty.
    """
    if maps.empty:
        raise ValueError("there are no attention weights to draw")
    lengths = maps.groupby(SERIES)["T"].transform(lambda own: own.isin(style.evenly(own, LENGTHS_SHOWN)))
    groups, blocks = maps[lengths].groupby(_CELL), []
    for cell, own in groups:
        experiment, function, model, k, T = cell
        name = f"Attention of [CLS], {style.task_label(function, k)}, T = {T}, {model}"
        title = alt.Title(name if len(groups) == 1 else f"{name}, {experiment}", subtitle=_note(T))
        blocks.append(_block(own).properties(title=title))
    return alt.vconcat(*blocks).resolve_scale(color="independent")


def _note(T: int) -> list[str]:
    """How to read a block."""
    width = _bin_width(T)
    binned = f"; a cell shows the largest of {width} positions" if width > 1 else ""
    return [
        "Above: mean of the heads; triangles and numbers: the support.",
        f"Below: every head, that with most mass on the support at the top{binned}.",
    ]


def _bin_width(T: int) -> int:
    return -(-T // BINS)


def _block(maps: pd.DataFrame) -> alt.VConcatChart:
    """The panels of one cell; the weights have the same colours and the strips the same axis in all of them."""
    sizes = style.evenly(maps["n"], SIZES_SHOWN)
    first = maps["seed"] == maps.groupby("n")["seed"].transform("min")
    runs = [maps[first & (maps["n"] == n)] for n in sizes]
    means = [run.groupby(["position", "in_support"], as_index=False)["weight"].mean() for run in runs]
    largest = max(run["weight"].max() for run in runs), max(mean["weight"].max() for mean in means)
    panels = []
    for run, mean in zip(runs, means, strict=True):
        panel = alt.vconcat(_strip(mean, largest[1]), _heat_map(run, largest[0]), spacing=4)
        panels.append(panel.properties(title=alt.Title(_words(run, mean), fontSize=15, offset=4)))
    return alt.vconcat(*panels, spacing=26)


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


def _strip(mean: pd.DataFrame, largest: float) -> alt.LayerChart:
    """The mean weights of the heads, exact at every position."""
    x = _x(len(mean), axis=None)
    y = alt.Y(
        "weight:Q",
        title="Mean",
        scale=alt.Scale(domain=[0, largest], nice=False),
        axis=alt.Axis(tickCount=2, format=".2~g", minExtent=40),
    )
    steps = pd.concat([mean, mean.tail(1).assign(position=len(mean))])
    steps["position"] -= 0.5
    area = alt.Chart(steps).mark_area(interpolate="step-after", color="#999999", aria=False).encode(x, y)
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
    ).properties(width=style.WIDTH, height=STRIP_HEIGHT)


def _labels(mean: pd.DataFrame) -> pd.DataFrame:
    """The support's labels and their places; positions too close for labels of their own share one."""
    support = np.sort(mean.loc[mean["in_support"], "position"].to_numpy())
    apart = np.diff(support) * style.WIDTH / len(mean) > LABEL_WIDTH
    groups = np.split(support, np.flatnonzero(apart) + 1)
    rows = [{"position": group.mean(), "label": ", ".join(map(str, group))} for group in groups]
    return pd.DataFrame(rows)


def _heat_map(run: pd.DataFrame, largest: float) -> alt.Chart:
    """The largest weight of every head in every bin of positions."""
    length, heads = run["position"].nunique(), run["head"].nunique()
    mass = run["weight"].where(run["in_support"], 0).groupby(run["head"]).sum()
    width = _bin_width(length)
    cells = run.assign(
        start=run["position"] // width * width, rank=run["head"].map(mass.rank(ascending=False, method="first"))
    )
    cells = cells.groupby(["head", "rank", "start"], as_index=False)["weight"].max()
    cells["position"], cells["end"] = cells["start"] - 0.5, np.minimum(cells["start"] + width, length) - 0.5
    colour = alt.Color(
        "weight:Q",
        title="Attention weight",
        scale=alt.Scale(type="sqrt", scheme="viridis", domain=[0, largest]),
        legend=alt.Legend(orient="bottom", gradientLength=style.WIDTH // 2, format=".2~g", tickCount=5),
    )
    x = _x(length, title="Position", axis=alt.Axis(format="d", tickMinStep=1, grid=False))
    y = alt.Y("rank:O", title="Heads", axis=alt.Axis(labels=False, ticks=False, minExtent=40))
    chart = alt.Chart(cells, width=style.WIDTH, height=max(HEAD_HEIGHT * heads, MIN_HEIGHT), view=BACKGROUND)
    tooltip = ["head:O", "start:Q", alt.Tooltip("weight:Q", format=".3f")]
    return chart.mark_rect(aria=False).encode(x, y, colour, x2="end:Q", tooltip=tooltip)


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``attention_map.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "maps"), argv)
    style.save(chart(arguments.maps), arguments.output_folder, "attention_map")


if __name__ == "__main__":
    main()
