"""Sensitivity to one setting at a time.

Question: How far does each unstated setting move the critical sample size?

The ratio of the critical sample size to that of the base, when one setting of data, model or training is changed: a
row for each variant, the context lengths T in colours and shapes, with intervals. An open triangle is a size beyond
its grid of n. The top row, if there is one, is the paper's own figure, digitised, over the base: a variant whose marks
meet the dotted lines below it has the paper's critical sizes.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import panels, sizes, style

ROW = 34  # height of a variant, in pixels
WIDTH = 460
SHAPES = ("circle", "square", "diamond", "cross")  # of the T, from the smallest
BAND = {"color": "black", "opacity": 0.05}  # behind every other factor
NAMES = {
    "init_std": "initialisation scale",
    "max_steps": "steps",
    "mlp_width": "MLP width",
    "reject_ambiguous": "rejection of ambiguous sets",
    "success": "success rule",
}
VALUES = {("batch_size", "none"): "all n"}

_TITLE = "How far one setting moves the critical sample size"
_PAPER = "the paper's points, digitised"
_NOTES = [
    "In brackets: the setting's value in the base.",
    "Bars: intervals, open ones to the edge. Open triangles: beyond the grid of n.",
]
_TICKS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20]


def chart(table: pd.DataFrame, paper: pd.DataFrame | None = None) -> alt.LayerChart:
    """Draws the ratio to the base's critical size on a log axis, a row for each variant, the T in colours and shapes.

    The rows of one factor stand together, in the order in which the factors first occur. A size outside its grid is an
    open triangle at the grid's edge; where the base's size does, nothing is drawn, and the subtitle says so. A bar
    whose interval is open reaches the edge of the panel. The paper's points make a row of their own, above all others,
    with a line down from each.

    Args:
        table: experiment, factor, value, base_value, T, base_n, ratio, ratio_low, ratio_high, censored_side and edge.
        paper: context_length, critical_sample_size, bar_low and bar_high.

    Raises:
        ValueError: the table is empty.
    """
    if table.empty:
        raise ValueError("there is no critical sample size to compare")
    table = table.assign(variant=_variants(table))
    told = table if paper is None else pd.concat([_of_the_paper(table, paper), table], ignore_index=True)
    points, rows = _points(told), _rows(told)
    x, y = _x(points), alt.Y("variant:N", sort=None, title=None, scale=_rows_scale(rows), axis=_ROWS)
    bands = alt.Chart(rows[rows["shaded"]]).mark_rect(**BAND, height=alt.RelativeBandSize(band=1))
    one = alt.Chart(pd.DataFrame({"place": [1.0]})).mark_rule(color=style.INK, strokeDash=[6, 4])
    theirs = points[points["variant"] == _PAPER]
    lines = [] if theirs.empty else [alt.Chart(theirs).mark_rule(color=style.PAPER, strokeDash=[2, 4]).encode(x)]
    layers = [bands.encode(y), one.encode(x), *lines, *_marks(points, x, y)]
    title = alt.Title(_TITLE, subtitle=[_base(table), *_NOTES])
    return alt.layer(*layers, title=title).properties(width=WIDTH, height=ROW * len(rows))


def _of_the_paper(table: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's critical sizes over the base's, at the T of both, as rows of a variant."""
    names = {"context_length": "T", "critical_sample_size": "ratio", "bar_low": "ratio_low", "bar_high": "ratio_high"}
    bases = table.drop_duplicates("T")[["T", "base_n"]].dropna()
    rows = bases.merge(paper.rename(columns=names), on="T")
    ratios = rows[["ratio", "ratio_low", "ratio_high"]].div(rows["base_n"], axis=0)
    return rows.assign(**ratios, variant=_PAPER, factor="", censored_side="", edge=np.nan)


def _base(table: pd.DataFrame) -> str:
    """The base's critical sizes in words."""
    sizes = table.drop_duplicates("T").set_index("T")["base_n"].sort_index()
    told = (f"{'beyond the grid' if pd.isna(n) else f'n = {n:.1f}'} at T = {T}" for T, n in sizes.items())
    return f"Base: {', '.join(told)}."


_ROWS = alt.Axis(labelLimit=420, ticks=False, domain=False)


def _points(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each mark, with ``series``, ``slot`` among the T and ``place`` on the axis."""
    lengths = sorted(table["T"].unique())
    return table.assign(
        place=table["ratio"].fillna(table["edge"]),
        series="T = " + table["T"].astype(str),
        slot=table["T"].map(lengths.index),
    )


def _variants(table: pd.DataFrame) -> pd.Series:
    """The label of each row, such as ``learning rate 0.001 (0.003)``."""
    values = [
        [VALUES.get((factor, value), value) for value in pair]
        for factor, *pair in table[["factor", "value", "base_value"]].itertuples(index=False)
    ]
    factors = table["factor"].map(lambda name: NAMES.get(name, name.replace("_", " ")))
    return pd.Series([f"{factor}: {value} ({base})" for factor, (value, base) in zip(factors, values, strict=True)])


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """The variants, those of a factor together, with ``shaded``, alternating from factor to factor."""
    rows = table.drop_duplicates("variant")
    rank = rows["factor"].map({factor: rank for rank, factor in enumerate(rows["factor"].unique())})
    return rows.assign(shaded=rank % 2 == 0, rank=rank).sort_values("rank", kind="stable")[["variant", "shaded"]]


def _rows_scale(rows: pd.DataFrame) -> alt.Scale:
    return alt.Scale(domain=list(rows["variant"]), paddingInner=0, paddingOuter=0)


def _x(points: pd.DataFrame) -> alt.X:
    """The axis of ratios, over all marks and intervals."""
    ends = [*points[["place", "ratio_low", "ratio_high"]].to_numpy().ravel(), 0.9, 1.1]
    domain = [float(np.nanmin(ends)) / 1.1, float(np.nanmax(ends)) * 1.1]
    values = [tick for tick in _TICKS if domain[0] <= tick <= domain[1]]
    title = "Critical sample size over that of the base (log scale)"
    scale = alt.Scale(type="log", nice=False, domain=domain)
    return alt.X(
        "place:Q", title=title, scale=scale, axis=alt.Axis(values=values, labelExpr="format(datum.value, '~g')")
    )


def _marks(points: pd.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Intervals, ratios and triangles, each T a little lower than the one before."""
    names = list(points.sort_values("T")["series"].unique())
    colours = panels.colours_in_sequence(len(names) + 1)[:-1]  # without the lightest
    shapes = [SHAPES[slot % len(SHAPES)] for slot in range(len(names))]
    looks = style.looks("series", names, {alt.Stroke: colours, alt.Fill: colours, alt.Shape: shapes})
    low, high = x["scale"]["domain"]
    layers = []
    for slot, own in points.groupby("slot"):
        shift = ROW / len(names) * (slot + 0.5) - ROW / 2
        known = own.dropna(subset="ratio")
        bars = known.assign(place=known["ratio_low"].fillna(low), high=known["ratio_high"].fillna(high))
        tooltip = ["variant:N", "series:N", *(alt.Tooltip(f"{name}:Q", format=".3g") for name in _TOLD)]
        bar = alt.Chart(bars).mark_rule(strokeWidth=2, yOffset=shift)
        mark = alt.Chart(known).mark_point(size=80, strokeWidth=2, opacity=1, yOffset=shift)
        layers += [
            bar.encode(x, y, looks[alt.Stroke], alt.X2("high")),
            mark.encode(x, y, *looks.values(), tooltip=tooltip),
        ]
        for side, triangle in _TRIANGLES.items():
            beyond = alt.Chart(own[own["censored_side"] == side].dropna(subset="place"))
            beyond = beyond.mark_point(shape=triangle, size=120, fill="white", strokeWidth=2, opacity=1, yOffset=shift)
            layers.append(beyond.encode(x, y, looks[alt.Stroke], tooltip=tooltip))
    return layers


_TOLD = ("ratio", "ratio_low", "ratio_high", "base_n", "edge")
_TRIANGLES = {sizes.BELOW: "triangle-left", sizes.ABOVE: "triangle-right"}  # they point beyond the edge


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``sensitivity.{svg,png,html}`` in the output folder."""
    parser = style.parser(main.__doc__, "sensitivity")
    parser.add_argument("--paper", type=pd.read_csv, metavar="CSV", help="the paper's digitised figure")
    arguments = style.parse(parser, argv)
    style.save(chart(arguments.sensitivity, arguments.paper), arguments.output_folder, "sensitivity")


if __name__ == "__main__":
    main()
