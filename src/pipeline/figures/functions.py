"""Critical sample size of each function.

Question: Does the critical sample size depend on the function?

Critical sample size against context length on log axes, a panel for each function and sparsity, all over the same
axes. Thin lines are fitted log laws; an open triangle is a size beyond its grid of n, a bar to the panel's
edge an interval that is open.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pipeline.families import rows_of
from pipeline.figures.parts import panels, sizes, style
from pipeline.labels import learner_label, task_label

_PANEL = ["function", "k"]


def chart(critical: pd.DataFrame, fits: pd.DataFrame, rates: pd.DataFrame) -> alt.ConcatChart:
    """Draws n_critical against T on log axes: a panel for each function and k, all over the same n and T.

    Learners stand a few pixels apart, so that those of the same size do not hide each other.
    A T whose critical size lies outside its grid is an open triangle at the grid's edge. Thin lines are the fitted log
    laws, over the T that they were fitted to.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        fits: experiment, function, model, k, law, a and b; only the law ``log`` is drawn.
        rates: experiment, function, model, k, T, n and rate, which give each grid's range.

    Raises:
        ValueError: ``critical`` is empty, or a censored row has no rates.
    """
    points, laws = panels.by_learner(sizes.points(critical, rates)), sizes.log_laws(critical, fits, count=50)
    laws["series"] = laws["model"].map(learner_label)
    looks, x = panels.looks(points), sizes.log_T(points["T"], room=1.3)
    groups, drawn = points.groupby(_PANEL), []
    for panel, own in groups:
        y = sizes.log_n(points, titled=len(drawn) % panels.COLUMNS == 0)
        lines = alt.Chart(rows_of(laws, _PANEL, panel)).mark_line(strokeWidth=1.2, clip=True)
        law = lines.encode(x, y, looks[alt.Stroke], detail="experiment:N")
        marks = panels.series_layers(own, x, y, looks, panels.width(len(groups)), joined=False)
        drawn.append(alt.layer(law, *marks, title=panels.heading(task_label(*panel))))
    return panels.wrap(drawn, points, "Critical sample size against context length")


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``functions.{svg,png,html}`` in the output folder."""
    arguments = style.parse(style.parser(main.__doc__, "critical", "fits", "rates"), argv)
    figure = chart(arguments.critical, arguments.fits, arguments.rates)
    style.save(figure, arguments.output_folder, "functions")


if __name__ == "__main__":
    main()
