"""Norms of constructed heads.

Question: With which norms and width can one attention head represent a sparse function exactly?

Norms of the constructed heads against T and k, beside those of trained heads, and the share of the supports for which
a width is enough.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import style, theory
from pipeline.figures.parts.panels import colours_in_sequence
from pipeline.labels import function_label

SYMMETRIC, GENERAL, TRAINED = "constructed, symmetric functions", "constructed, random juntas", "trained, largest head"
FUNCTIONS = {  # Okabe-Ito; AND and OR have the same readout, so their marks lie on each other
    "and": ("#0072B2", "circle"),
    "or": ("#56B4E9", "cross"),
    "majority": ("#009E73", "square"),
    "parity": ("#E69F00", "diamond"),
    "junta": ("#000000", "triangle-up"),
}
HEADS = {SYMMETRIC: ("#009E73", "circle"), GENERAL: ("#000000", "triangle-up"), TRAINED: ("#0072B2", "cross")}
_NONE = "no construction is exact"
_TITLE = "Constructed heads: the norms they take, and the width"
_TOO_NARROW = "No width of theory.representation is enough for any support, so there are no norms: use larger ones."


def chart(constructed: pd.DataFrame, trained: pd.DataFrame | None = None) -> alt.VConcatChart:
    """Draws the norms against T and k, and the share of the supports for which a width is enough; only this if none is.

    Args:
        constructed: the table representation.
        trained: the table head_norms; of each run the largest head joins the panel against T.
    """
    exact = constructed[constructed["certified"]]
    if exact.empty:
        return alt.vconcat(_width(constructed), title=alt.Title(_TITLE, subtitle=_TOO_NARROW))
    kinds = exact.assign(series=np.where(exact["symmetric"].astype(bool), SYMMETRIC, GENERAL))
    swept = constructed.groupby("sweep")[["k", "T", "width"]].max()
    panels = [_against_T(kinds, trained, swept.loc["length"]), _against_k(kinds, swept.loc["sparsity"])]
    upper = alt.hconcat(*panels).resolve_scale(color="shared", shape="shared")
    lower = alt.hconcat(_readout(exact), _width(constructed)).resolve_scale(color="independent", shape="independent")
    return alt.vconcat(upper, lower, title=alt.Title(_TITLE, subtitle=_note(constructed))).resolve_scale(
        color="independent", shape="independent"
    )


def _note(constructed: pd.DataFrame) -> list[str]:
    """For how many of the supports a width is enough, and how many of the constructions are exact."""
    wide = constructed[constructed["feasible"]]
    exact = wide[["certified", "exact_float32", "exact_float64"]].all(axis=1)
    return [
        f"The width is enough for {len(wide)} of {len(constructed)} functions on a support; {exact.sum()} of these"
        f" {len(wide)} constructions compute theirs exactly, up to T = {wide['T'].max():,}.",
        "Norms are those for tokens of norm 1; a mark is a support.",
    ]


def _panel(layers: alt.LayerChart, title: str, points: pd.DataFrame) -> alt.LayerChart:
    """The layers of these points under their title; without points, words in their place."""
    if points.empty:
        layers = alt.layer(alt.Chart(pd.DataFrame([{}])).mark_text(text=_NONE, fontSize=14, color=style.INK))
    return layers.properties(width=theory.PANEL_WIDTH, height=theory.PANEL_HEIGHT, title=style.heading(title))


def _against_T(kinds: pd.DataFrame, trained: pd.DataFrame | None, swept: pd.Series) -> alt.LayerChart:
    """The sweep over T, whose k and width are ``swept``, also where no construction is exact."""
    points = kinds[kinds["sweep"] == "length"]
    columns = ["series", "T", "qk_frobenius"]
    if trained is not None:
        largest = trained.groupby(["T", "n", "seed"])["qk_frobenius"].max().reset_index()
        points = pd.concat([points[columns], largest.assign(series=TRAINED)[columns]])
    x = theory.log_axis("T", "Context length T (log scale)", sorted(points["T"].unique()))
    y = alt.Y("qk_frobenius:Q", title="Frobenius norm of W_QK")
    layers = theory.points_and_means(points, x, y, theory.looks(HEADS), [SYMMETRIC, GENERAL])
    return _panel(layers, f"Query and key against T, k = {swept['k']}, width {swept['width']}", points)


def _against_k(kinds: pd.DataFrame, swept: pd.Series) -> alt.LayerChart:
    """The sweep over k, whose T and width are ``swept``."""
    points = kinds[kinds["sweep"] == "sparsity"]
    x = alt.X("k:Q", title="Sparsity k", axis=alt.Axis(values=sorted(points["k"].unique()), format="d"))
    y = alt.Y("qk_frobenius:Q", title="Frobenius norm of W_QK")
    layers = theory.points_and_means(points, x, y, theory.looks(HEADS), [SYMMETRIC, GENERAL])
    return _panel(layers, f"Query and key against k, T = {swept['T']:,}, width {swept['width']}", points)


def _readout(exact: pd.DataFrame) -> alt.LayerChart:
    points = exact[exact["sweep"] == "sparsity"]
    names = sorted(points["function"].unique())
    points = points.assign(series=points["function"].map(function_label))
    present = {function_label(name): FUNCTIONS.get(name, ("#882255", "square")) for name in names}
    x = alt.X("k:Q", title="Sparsity k", axis=alt.Axis(values=sorted(points["k"].unique()), format="d"))
    norms = points["readout_frobenius"]
    y = theory.log_axis("readout_frobenius", "Norm of the readout (log scale)", theory.ticks(norms), channel=alt.Y)
    layers = theory.points_and_means(points, x, y, theory.looks(present), list(present))
    return _panel(layers, "Readout against k", points)


def _width(constructed: pd.DataFrame) -> alt.LayerChart:
    points = constructed[constructed["sweep"] == "width"]
    shares = points.groupby(["T", "width"])["certified"].mean().rename("share").reset_index()
    shares["series"] = "T = " + shares["T"].map("{:,}".format)
    names = list(shares.sort_values("T")["series"].unique())
    shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
    series = {
        name: (colour, shapes[place % 6])
        for place, (name, colour) in enumerate(zip(names, colours_in_sequence(len(names)), strict=True))
    }
    x = theory.log_axis("width", "Embedding width d (log scale)", sorted(shares["width"].unique()))
    y = alt.Y(
        "share:Q", title="Share of exact constructions", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])
    )
    layers = theory.points_and_means(shares, x, y, theory.looks(series), names)
    return _panel(layers, f"Width, k = {points['k'].max()}, all functions", points)


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``representation.{svg,png,html}`` in the output folder."""
    arguments = style.read(style.table_parser(main.__doc__, "representation", optional=["heads"]), argv)
    style.save(chart(arguments.representation, arguments.heads), arguments.output_folder, "representation")


if __name__ == "__main__":
    main()
