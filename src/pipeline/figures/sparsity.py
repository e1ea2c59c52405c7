"""Critical sample size against sparsity.

Question: How does the critical sample size grow with the number k of relevant bits?

A panel for each function and learner, a series for each context length T, of many an even choice. An open triangle is a
size beyond its grid of n, a bar to the panel's edge an interval that is open.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.figures.parts import panels, sizes, style
from pipeline.labels import learner_label, task_label

_PANEL = ["function", "model"]


def chart(critical: pd.DataFrame, rates: pd.DataFrame) -> alt.ConcatChart:
    """Draws n_critical on a log axis against k: a panel for each function and model, a series for each T.

    A T that was run at one k only is left out, unless that is so for all, and of more than ``panels.LENGTHS_SHOWN``
    some. Where the critical size lies outside its grid there is an open triangle at the grid's edge, and no line.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        rates: experiment, function, model, k, T, n and rate, which give each grid's range.

    Raises:
        ValueError: ``critical`` is empty, or a censored row has no rates.
    """
    points, note = panels.by_length(sizes.points(critical, rates), "k", _PANEL)
    looks, k = panels.looks(points), sorted(int(value) for value in points["k"].unique())
    scale = alt.Scale(domain=[k[0] - 0.5, k[-1] + 0.5], nice=False)
    x = alt.X("k:Q", title="Sparsity k (relevant bits)", scale=scale, axis=alt.Axis(values=k, format="d", grid=False))
    groups, drawn = points.groupby(_PANEL), []
    for (function, model), own in groups:
        y = sizes.log_n(points, titled=len(drawn) % panels.COLUMNS == 0)
        title = f"{task_label(function, 'k')}, {learner_label(model)}"
        layers = panels.series_layers(own, x, y, looks, panels.width(len(groups)))
        drawn.append(alt.layer(*layers, title=panels.heading(title)))
    return panels.wrap(drawn, points, "Critical sample size against sparsity", notes=note)


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``sparsity.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "critical", "rates"), argv)
    style.save(chart(arguments.critical, arguments.rates), arguments.output_folder, "sparsity")


if __name__ == "__main__":
    main()
