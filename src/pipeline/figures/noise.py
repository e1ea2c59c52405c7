"""Critical sample size against noise.

Question: How many more samples does noise in labels or bits cost?

Critical sample size against the rate of label noise (left) and feature noise (right) of the training samples, a
series for each context length T, of many an even choice. The holdout is clean. An open triangle is a size beyond its
grid of n, a bar to the panel's edge an interval that is open.
"""

import json
from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from pipeline.figures.parts import panels, sizes, style
from pipeline.labels import learner_label, task_label

KINDS = {"label_noise": "Label noise", "feature_noise": "Feature noise"}

_PANEL = ["function", "k", "model"]


def chart(critical: pd.DataFrame, rates: pd.DataFrame, noise: Mapping[str, Mapping[str, float]]) -> alt.ConcatChart:
    """Draws n_critical on a log axis against the rate of noise: label noise beside feature noise, a series for each T.

    Each function, k and model has a row of these two panels. An experiment without noise is in both, at 0. A T that was
    run at one rate only is left out, unless that is so for all, and of more than ``panels.LENGTHS_SHOWN`` some. Where
    the critical size lies outside its grid there is an open triangle at the grid's edge, and no line.

    Args:
        critical: experiment, function, model, k, T, n_critical, ci_low, ci_high, n_grid and censored_side.
        rates: experiment, function, model, k, T, n and rate, which give each grid's range.
        noise: of each experiment, ``label_noise`` and ``feature_noise``, as probabilities.

    Raises:
        ValueError: ``critical`` is empty, a censored row has no rates, or an experiment has both kinds of noise.
    """
    points, note = panels.by_length(_by_kind(sizes.points(critical, rates), noise), "percent", _PANEL)
    looks, percent = panels.looks(points), sorted(points["percent"].unique())
    room = max(percent[-1], 1) / 12
    scale = alt.Scale(domain=[-room, percent[-1] + room], nice=False)
    groups, drawn = points.groupby(_PANEL), []
    width = panels.width(len(groups) * len(KINDS), len(KINDS))
    tasks = [f"{task_label(function, k)}, {learner_label(model)}" for (function, k, model), _ in groups]
    for task, (_, own) in zip(tasks, groups, strict=True):
        for kind, name in KINDS.items():
            # as an expression: the axis would round a format to its ticks' precision, 10 to 1e+1
            axis = alt.Axis(values=percent, labelExpr="format(datum.value, '~g')", grid=False)
            x = alt.X("percent:Q", title=f"{name} (%)", scale=scale, axis=axis)
            y = sizes.log_n(points, titled=kind == "label_noise")
            title = name if len(tasks) == 1 else f"{name}, {task}"
            layers = panels.series_layers(own[own["kind"] == kind], x, y, looks, width)
            drawn.append(alt.layer(*layers, title=panels.heading(title)))
    title = "Critical sample size against noise" + (f", {tasks[0]}" if len(tasks) == 1 else "")
    return panels.wrap(drawn, points, title, columns=len(KINDS), notes=note)


def _by_kind(points: pd.DataFrame, noise: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """The points of each kind of noise, with ``kind`` and ``percent``; those without noise belong to both."""
    both = sorted(name for name, rates in noise.items() if all(rates[kind] for kind in KINDS))
    if both:
        raise ValueError(f"{', '.join(both)}: both kinds of noise, and a panel shows one; leave out such experiments")
    clean = {name for name, rates in noise.items() if not any(rates[kind] for kind in KINDS)}
    of_kind = {kind: clean | {name for name, rates in noise.items() if rates[kind]} for kind in KINDS}
    return pd.concat(
        [
            own.assign(kind=kind, percent=own["experiment"].map(lambda name, kind=kind: 100 * noise[name][kind]))
            for kind, names in of_kind.items()
            if len(own := points[points["experiment"].isin(names)])
        ],
        ignore_index=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``noise.{svg,png,html}`` in the output folder."""
    parser = style.parser(main.__doc__, "critical", "rates")
    parser.add_argument("--spec", type=json.loads, required=True, help="of each experiment, its rates of noise")
    arguments = style.parse(parser, argv)
    style.save(chart(arguments.critical, arguments.rates, arguments.spec), arguments.output_folder, "noise")


if __name__ == "__main__":
    main()
