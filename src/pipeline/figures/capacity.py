"""Capacity bounds and the observed gap.

Question: What do the capacity bounds promise at the norms of trained heads, and what gap is observed?

Against T, the root of the log covering number over n of each bound beside the observed gaps, and the number of
samples that each bound asks for.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.figures.parts import style, theory
from pipeline.theory.names import CONSTRUCTED, COUNTING, FORMULA, NORMS, PROMISED, REMEMBERED, TRAINED

OBSERVED = "observed gap of trained runs"
SERIES = {  # of a bound and whose norms it has: name, colour and shape
    (NORMS, TRAINED): ("norm bound, trained heads", "#0072B2", "circle"),
    (REMEMBERED, TRAINED): ("its remembered form, trained heads", "#56B4E9", "square"),
    (NORMS, CONSTRUCTED): ("norm bound, constructed head", "#009E73", "triangle-up"),
    (REMEMBERED, CONSTRUCTED): ("its remembered form, constructed head", "#E69F00", "triangle-down"),
    (COUNTING, FORMULA): ("parameter counting", "#000000", "diamond"),
}
FLOOR = 1e-3  # where a gap of 0 or less stands on a log axis
_TITLE = "What the bounds promise, and what happens"


def chart(bounds: pd.DataFrame) -> alt.HConcatChart:
    """Draws, against T, √(ln N(1) / n) of each bound with the observed gaps, and the samples that each bound asks for.

    Args:
        bounds: the table capacity.

    Raises:
        ValueError: it is empty.
    """
    if bounds.empty:
        raise ValueError("there are no bounds to draw")
    names = [SERIES[key][0] for key in zip(bounds["bound"], bounds["source"], strict=True)]
    points = bounds.assign(series=names)
    observed = bounds[(bounds["bound"] == NORMS) & (bounds["source"] == TRAINED)]
    observed = observed.assign(series=OBSERVED, root_entropy=observed["observed_gap"].clip(lower=FLOOR))
    series = {name: (colour, shape) for name, colour, shape in SERIES.values() if name in names}
    looks = theory.looks(series | {OBSERVED: ("#CC79A7", "cross")})
    n, ticks = bounds["n"].max(), sorted(bounds["T"].unique())
    x = theory.log_axis("T", "Context length T (log scale)", _thinned(ticks))
    y = theory.log_axis("root_entropy", "√(ln N(1) / n), and observed gap (log scale)", channel=alt.Y)
    entropy = theory.points_and_means(pd.concat([points, observed]), x, y, looks, list(series))
    line = alt.Chart(pd.DataFrame({"root_entropy": [1.0]})).mark_rule(strokeDash=[6, 4], strokeWidth=1.5)
    left = alt.layer(line.encode(alt.Y("root_entropy:Q")), entropy)
    y = theory.log_axis("samples", "Samples (log scale)", channel=alt.Y, powers=True)
    right = theory.points_and_means(points, x, y, looks, list(series))
    return alt.hconcat(
        _panel(left, f"At n = {n}: above the dashed line a bound says nothing"),
        _panel(right, f"Samples to promise a gap of {PROMISED}"),
        title=alt.Title(_TITLE, subtitle=f"A gap of 0 is drawn at {FLOOR}. Every run was trained on {n} samples."),
    )


def _thinned(values: Sequence[int]) -> list[int]:
    """Ticks that keep a factor of 2.5 between them."""
    kept: list[int] = []
    for value in values:
        if not kept or value >= 2.5 * kept[-1]:
            kept.append(value)
    return kept


def _panel(layers: alt.LayerChart, title: str) -> alt.LayerChart:
    return layers.properties(width=theory.PANEL_WIDTH, height=340, title=style.heading(title))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``capacity.{svg,png,html}`` in the output folder."""
    arguments = style.read(style.table_parser(main.__doc__, "capacity"), argv)
    style.save(chart(arguments.capacity), arguments.output_folder, "capacity")


if __name__ == "__main__":
    main()
