"""Training from the constructed head with noise.

Question: Does training keep to the constructed solution if it starts near it?

Success, accuracy before training and attention on the support against the noise that is added to the constructed
head, a panel for each n. The ordinary start stands last on the axis.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from pipeline.figures.parts import style, theory
from pipeline.labels import task_label
from pipeline.statistics.success_rates import jeffreys_interval
from pipeline.theory.names import ORDINARY

START, RATE = "holdout accuracy before training", "runs that succeed"
BEFORE, AFTER = "attention on the support before training", "attention on the support after it"
SERIES = {
    RATE: ("#0072B2", "circle"),
    START: ("#E69F00", "square"),
    AFTER: ("#009E73", "triangle-up"),
    BEFORE: ("#000000", "triangle-down"),
}
CONFIDENCE = 0.95
_TITLE = "Training from the constructed head, perturbed"
_NOTE = "Medians of the best head's attention and of the accuracy; success with 95 % intervals. Last: ordinary start."


def chart(runs: pd.DataFrame) -> alt.HConcatChart:
    """Draws success, start accuracy and attention on the support against the noise, a panel for each n.

    The ordinary start stands last on the axis of the noise.

    Args:
        runs: the table basin.

    Raises:
        ValueError: it is empty.
    """
    if runs.empty:
        raise ValueError("there are no runs to draw")
    order = [*(f"{sigma:g}" for sigma in sorted(runs["sigma"].dropna().unique())), ORDINARY]
    noise = np.where(runs["start"] == ORDINARY, ORDINARY, runs["sigma"].map("{:g}".format))
    points = _points(runs.assign(noise=noise))
    panels = [_panel(own, order, f"n = {n}, {runs['seed'].nunique()} runs each") for n, own in points.groupby("n")]
    one = runs.iloc[0]
    title = f"{_TITLE}: {task_label(one['function'], one['k'])}, T = {one['T']}"
    return alt.hconcat(*panels, title=alt.Title(title, subtitle=_NOTE))


def _points(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a series, n and noise: its value, and of the success rate its interval."""
    cells = runs.groupby(["n", "noise"])
    rate = cells["success"].agg(trials="size", successes="sum").reset_index()
    low, high = jeffreys_interval(rate["successes"].to_numpy(), rate["trials"].to_numpy(), CONFIDENCE)
    rate = rate.assign(series=RATE, value=rate["successes"] / rate["trials"], low=low, high=high)
    medians = {START: "start_accuracy", BEFORE: "start_mass", AFTER: "best_head_support_mass"}
    others = [
        cells[column].median().rename("value").reset_index().assign(series=name) for name, column in medians.items()
    ]
    return pd.concat([rate, *others], ignore_index=True)


def _panel(points: pd.DataFrame, order: list[str], title: str) -> alt.LayerChart:
    x = alt.X("noise:O", sort=order, title="Noise σ", axis=alt.Axis(labelAngle=-50))
    y = alt.Y("value:Q", title="Share", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%"))
    looks = theory.looks(SERIES)
    joined = points[points["noise"] != ORDINARY]
    bars = alt.Chart(points.dropna(subset="low").assign(value=points["low"])).mark_rule(strokeWidth=2)
    layers = alt.layer(
        bars.encode(x, y, alt.Y2("high"), looks[alt.Color]),
        alt.Chart(joined).mark_line(strokeWidth=1.6).encode(x, y, looks[alt.Color]),
        alt.Chart(points).mark_point(size=70, strokeWidth=2).encode(x, y, *looks.values()),
    )
    return layers.properties(width=300, height=300, title=style.heading(title))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``basin.{svg,png,html}`` in the output folder."""
    arguments = style.read(style.table_parser(main.__doc__, "basin"), argv)
    style.save(chart(arguments.basin), arguments.output_folder, "basin")


if __name__ == "__main__":
    main()
