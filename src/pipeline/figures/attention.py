"""Attention on the support against sample size.

Question: Does the attention of [CLS] find the relevant bits, and at which sample size?

Above, the attention mass on the support when a run ends, of every run and as a median; below, the share of runs whose
k most attended positions are the support, with its interval. Runs that succeeded and runs that failed are apart.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from altair import datum

from pipeline.families import FAMILY, rows_of
from pipeline.figures.parts import style
from pipeline.labels import learner_label, panel_title, task_label
from pipeline.statistics.success_rates import jeffreys_interval

LENGTHS_SHOWN = 4
ROW_HEIGHT = 200
RUN_SIZE, SUMMARY_SIZE = 16, 70

_MASS, _SHARE = ["Attention mass", "on the support"], ["Runs whose most", "attended k are the support"]
_NOTE = "Above: a run (small) and the median of the runs (large). Below: the share of the runs with its interval."
_RULE = "Grey line: critical sample size."


def chart(attention: pd.DataFrame, critical: pd.DataFrame, confidence: float) -> alt.VConcatChart:
    """Draws the attention on the support against n, for runs that succeeded and runs that failed: a block a series.

    A block has a column for each of at most ``LENGTHS_SHOWN`` context lengths, evenly chosen. Above is the mass on the
    support, of every run and the median; below the share of the runs whose k most attended positions are the
    support, with its Jeffreys interval. Runs of models without attention are left out.

    Args:
        attention: experiment, function, model, k, T, n, seed, success, support_mass and support_recovered.
        critical: experiment, function, model, k, T and n_critical; a T may be missing.
        confidence: coverage of the interval, in (0, 1).

    Raises:
        ValueError: ``attention`` has no run with attention.
    """
    attention = attention.dropna(subset="support_mass")
    if attention.empty:
        raise ValueError("there is no attention to draw")
    looks = _looks(attention["model"])
    groups, blocks = attention.groupby(FAMILY), []
    for series, own in groups:
        experiment, function, model, k = series
        name = f"Attention on the support, {task_label(function, k)}, {learner_label(model)}"
        sizes = rows_of(critical, FAMILY, series).dropna(subset="n_critical")
        note = [_NOTE] if sizes.empty else [_NOTE, _RULE]
        title = alt.Title(name if len(groups) == 1 else panel_title(name, experiment), subtitle=note)
        blocks.append(_block(own, sizes, confidence, looks).properties(title=title))
    return alt.vconcat(*blocks)


def _placed(attention: pd.DataFrame) -> pd.DataFrame:
    """The runs with the columns outcome, series, and the places of the run and of its cell's summary on the axis."""
    outcome = attention["success"].map({True: style.SUCCEEDED, False: style.FAILED})
    runs = attention.assign(outcome=outcome, series=attention["model"].map(learner_label) + ", run that " + outcome)
    slot = (~attention["success"]).astype(int)
    scatter = style.scattered(attention["seed"])
    return runs.assign(
        place=style.beside(attention["n"], slot, len(style.OUTCOMES), scatter),
        centre=style.beside(attention["n"], slot, len(style.OUTCOMES), 0),
    )


def _summaries(runs: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row an n and outcome: the median mass, and the share of recovered supports with its interval."""
    cells = runs.groupby(["series", "outcome", "n", "centre"], as_index=False)
    table = cells.agg(
        mass=("support_mass", "median"), recovered=("support_recovered", "sum"), runs=("support_recovered", "size")
    )
    low, high = jeffreys_interval(table["recovered"].to_numpy(), table["runs"].to_numpy(), confidence)
    return table.assign(share=table["recovered"] / table["runs"], low=low, high=high)


def _looks(models: pd.Series) -> dict[type, alt.SchemaBase]:
    """The look of each model's runs by their outcome, the same in all blocks."""
    colours = style.learner_colours(models)
    names = [(model, outcome) for model in colours for outcome in style.OUTCOMES]
    shape, filled = map(list, zip(*(style.OUTCOMES[outcome][:2] for _, outcome in names), strict=True))
    colour = [colours[model] for model, _ in names]
    fill = [own if solid else "white" for own, solid in zip(colour, filled, strict=True)]
    ranges = {alt.Stroke: colour, alt.Fill: fill, alt.Shape: shape}
    return style.looks("series", [f"{learner_label(model)}, run that {outcome}" for model, outcome in names], ranges)


def _block(
    attention: pd.DataFrame, critical: pd.DataFrame, confidence: float, looks: dict[type, alt.SchemaBase]
) -> alt.HConcatChart:
    """The two rows of one series, with a column for every shown T."""
    lengths = style.evenly(attention["T"], LENGTHS_SHOWN)
    columns = []
    for T in lengths:
        runs = _placed(attention[attention["T"] == T])
        size = critical.loc[critical["T"] == T, ["n_critical"]]
        cells = _column(runs, _summaries(runs, confidence), size, not columns, looks)
        mass, share = (cell.properties(width=style.WIDTH // len(lengths), height=ROW_HEIGHT) for cell in cells)
        columns.append(alt.vconcat(mass.properties(title=style.heading(f"T = {T}")), share, spacing=8))
    return alt.hconcat(*columns, spacing=14)


def _column(
    runs: pd.DataFrame,
    summaries: pd.DataFrame,
    critical: pd.DataFrame,
    first: bool,
    looks: dict[type, alt.SchemaBase],
) -> tuple[alt.LayerChart, alt.LayerChart]:
    """The two cells of one T, of which the first has the labels of y."""
    stroke, domain = looks[alt.Stroke], style.log_ends(runs["n"])

    def x(field: str, last: bool) -> alt.X:
        axis = alt.Axis(values=style.evenly(runs["n"], 4), format="d", labels=last, labelFlush=True, grid=False)
        scale = alt.Scale(type="log", nice=False, domain=domain)
        return alt.X(f"{field}:Q", title="Sample size n (log)" if last else None, scale=scale, axis=axis)

    def y(field: str, title: list[str]) -> alt.Y:
        axis = alt.Axis(format="%", tickCount=5, labels=first, labelFlush=True)
        return alt.Y(f"{field}:Q", title=title if first else None, scale=alt.Scale(domain=[0, 1]), axis=axis)

    def summary(field: str, title: list[str], last: bool) -> list[alt.Chart]:
        base = alt.Chart(summaries).encode(x("centre", last), y(field, title))
        values = [alt.Tooltip(f"{value}:Q", format=".2f") for value in ("mass", "share", "low", "high")]
        return [
            alt.Chart(critical).mark_rule(color="#888888", strokeWidth=2, clip=True).encode(x("n_critical", last)),
            *(
                base.mark_line(strokeWidth=1.5, strokeDash=dash)
                .encode(stroke)
                .transform_filter(datum.outcome == outcome)
                for outcome, (_, _, dash) in style.OUTCOMES.items()
            ),
            base.mark_point(size=SUMMARY_SIZE, strokeWidth=2, opacity=1).encode(
                *looks.values(), tooltip=["series:N", "n:Q", "runs:Q", *values]
            ),
        ]

    dots = alt.Chart(runs).mark_point(size=RUN_SIZE, strokeWidth=1, strokeOpacity=0.5, fillOpacity=0.5, aria=False)
    dots = dots.encode(
        x("place", False), y("support_mass", _MASS), *looks.values(), tooltip=["series:N", "seed:Q", "n:Q"]
    )
    bars = alt.Chart(summaries).mark_rule(strokeWidth=1.5)
    bars = bars.encode(x("centre", True), y("low", _SHARE), alt.Y2("high"), stroke)
    return alt.layer(dots, *summary("mass", _MASS, False)), alt.layer(bars, *summary("share", _SHARE, True))


def main(argv: Sequence[str] | None = None) -> None:
    """Saves the figure as ``attention.{svg,png,html}`` in the output folder."""
    parser = style.parser(main.__doc__, "attention", "critical")
    parser.add_argument("--confidence", type=float, required=True, help="the intervals' coverage")
    arguments = style.parse(parser, argv)
    figure = chart(arguments.attention, arguments.critical, arguments.confidence)
    style.save(figure, arguments.output_folder, "attention")


if __name__ == "__main__":
    main()
