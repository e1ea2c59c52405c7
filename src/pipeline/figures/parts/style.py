"""What the figures share: the theme, the colours, the labels, saving and the command line's common arguments."""

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from altair.utils.html import spec_to_html

from pipeline.figures.parts import messages
from pipeline.storage import read_frame, whole_file

VEGA_LITE = alt.SCHEMA_VERSION.rsplit(".", 1)[0]  # the version that draws the charts, such as v6.1

INK = "#333333"
GRID = "#E5E5E5"
PAPER = "#D55E00"  # Okabe-Ito's vermillion, kept for the paper's own measurements
LEARNERS = {  # the rest of Okabe-Ito's palette
    "transformer": "#0072B2",
    "mlp": "#CC79A7",
    "lstm": "#009E73",
    "logistic_regression": "#E69F00",
    "decision_tree": "#56B4E9",
    "consistent": "#000000",
}
# For other models: those of Paul Tol's muted palette that differ from the above, a brown, a grey and a yellow, then the
# colours that are, one after the other, farthest in CIELAB from white and all before.
SPARE_COLOURS = (
    *("#882255", "#999933", "#332288", "#117733", "#AA4499", "#7B4B1E", "#8A8D8F", "#D4C300"),
    *("#FF5566", "#8888FF", "#EE9977", "#880000", "#334422", "#443355", "#55AA22", "#EE88FF"),
)
# How a run ended: shape, whether filled, and dashes. Beside the learner's colour, which says nothing of it.
SUCCEEDED, FAILED = "succeeded", "failed"
OUTCOMES = {SUCCEEDED: ("circle", True, [1, 0]), FAILED: ("triangle-up", False, [5, 4])}

WIDTH, HEIGHT = 640, 400
LEGEND_LETTERS = 90  # of a row of a legend, about the width of a figure
FADED = 0.15  # opacity of what a reader has not chosen
GOLDEN_RATIO = (5**0.5 - 1) / 2

_config_models: list[str] = []


@alt.theme.register("pipeline", enable=True)
def theme() -> alt.theme.ThemeConfig:
    """The look of every figure, readable at half its size; ``sans-serif`` is the one family present everywhere."""
    text = {"labelFontSize": 14, "titleFontSize": 15, "labelColor": INK, "titleColor": INK, "titleFontWeight": "normal"}
    return {
        "config": {
            "font": "sans-serif",
            "background": "white",
            "padding": 12,
            "view": {"continuousWidth": WIDTH, "continuousHeight": HEIGHT, "stroke": None},
            "axis": text | {"gridColor": GRID, "domainColor": INK, "tickColor": INK, "titlePadding": 10},
            "legend": text
            | {"labelLimit": 0, "symbolSize": 110, "rowPadding": 5, "columnPadding": 24, "titlePadding": 8}
            | {"layout": {"bottom": {"margin": 24, "anchor": "start"}}},
            "header": text,
            "title": {
                "anchor": "start",
                "color": INK,
                "fontSize": 18,
                "subtitleFontSize": 14,
                "subtitleColor": INK,
                "subtitlePadding": 6,
                "offset": 14,
            },
        }
    }


def know_models(models: Iterable[str]) -> None:
    """Tells all models of the config, so that each has one colour in all figures, whichever of them a figure shows."""
    _config_models[:] = models


def learner_colours(models: Iterable[str]) -> dict[str, str]:
    """A colour for each model: its own if ``LEARNERS`` names it, otherwise the next spare one.

    Spare colours go to the models of :func:`know_models` in the order of the alphabet, and recur only if all are given.
    """
    models = set(models)
    others = sorted({*_config_models, *models} - LEARNERS.keys())
    colours = LEARNERS | dict(zip(others, cycle(SPARE_COLOURS), strict=False))
    return {model: colours[model] for model in sorted(models)}


def looks(field: str, values: list[str], ranges: dict[type, list]) -> dict[type, alt.SchemaBase]:
    """One encoding of a nominal field for each channel class, with the look of each value; together, one legend."""
    return {
        channel: channel(
            f"{field}:N",
            scale=alt.Scale(type="ordinal", domain=values, range=looks),
            legend=alt.Legend(title=None, orient="bottom", columns=legend_columns(values, 2)),
        )
        for channel, looks in ranges.items()
    }


def legend_columns(labels: Iterable[str], most: int) -> int:
    """The columns of a legend that has these labels, fewer than ``most`` if they are long: none is ever cut."""
    return min(most, max(1, LEGEND_LETTERS // max(map(len, labels), default=1)))


def choice(name: str, label: str, values: Iterable[str | int]) -> alt.Parameter:
    """A parameter that is null, for all, or one of the values; a page shows it as a list to pick from."""
    values = list(values)
    pick = alt.binding_select(options=[None, *values], labels=["all", *map(str, values)], name=label)
    return alt.param(name=name, value=None, bind=pick)


def heading(text: str) -> alt.Title:
    """The title of one column of a block."""
    return alt.Title(text, anchor="middle", fontSize=14, fontWeight="normal", offset=6)


def evenly(values: Iterable[int], count: int) -> list[int]:
    """At most so many of the values, ascending: the smallest, the largest and others evenly spaced by rank."""
    ordered = sorted(set(values))
    ranks = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[rank] for rank in ranks]


def scattered(seeds: pd.Series) -> pd.Series:
    """A shift in [-½, ½) for each seed, always the same and spread evenly however many there are; 0 for one alone."""
    return seeds * GOLDEN_RATIO % 1 - 0.5 if seeds.nunique() > 1 else seeds * 0.0


def beside(values: pd.Series, slots: pd.Series, count: int, scatter: pd.Series | float) -> pd.Series:
    """Places beside the values of a log axis, so that marks of one value do not hide each other.

    The places take two thirds of the gap between neighbouring values, or of a factor of 1.25 if that is smaller.

    Args:
        values: positive.
        slots: which of the ``count`` slots beside each other, from 0.
        count: number of slots.
        scatter: shifts within a slot, from -½ to ½.
    """
    gap = np.diff(np.log(np.sort(values.unique()))).min(initial=np.log(1.25))
    return values * np.exp(gap * 2 / 3 * ((slots + 0.5 + 0.8 * scatter) / count - 0.5))


def log_ends(values: pd.Series) -> list[float]:
    """The ends of a log axis around the values; wide around one alone, so that marks beside it still stand at it."""
    low, high = values.min(), values.max()
    room = 1.1 if high > 1.2 * low else 2
    return [low / room, high * room]


def save(chart: alt.TopLevelMixin, folder: Path, name: str) -> None:
    """Writes ``<name>.svg``, ``.png`` (two pixels a unit), ``.html`` and ``.vl.json`` into a folder, made if missing.

    Each file appears under its name only once it is complete. The HTML holds Vega itself and needs no network; the JSON
    is the Vega-Lite specification, which the page of all figures draws.
    """
    with alt.data_transformers.disable_max_rows():
        spec = chart.to_dict()  # once: it takes longer than all that follows
    contents = {
        "svg": _renumbered(vl_convert.vegalite_to_svg(spec, VEGA_LITE)).encode(),
        "png": vl_convert.vegalite_to_png(spec, VEGA_LITE, scale=2),
        "html": _page(spec).encode(),
        "vl.json": json.dumps(spec).encode(),
    }
    for suffix, content in contents.items():
        with whole_file(folder / f"{name}.{suffix}") as temporary:
            temporary.write_bytes(content)


def _page(spec: dict) -> str:
    """A specification as an HTML page. "Open in Vega Editor", left out of its menu, would leave for the network."""
    versions = {"vega_version": alt.VEGA_VERSION, "vegalite_version": alt.VEGALITE_VERSION}
    versions["vegaembed_version"] = alt.VEGAEMBED_VERSION
    options = {"actions": {"editor": False}}
    return spec_to_html(spec, "vega-lite", **versions, embed_options=options, template="inline")


def _renumbered(svg: str) -> str:
    """The SVG with its gradients and clips numbered from 0: Vega counts them on through the life of a process."""
    names: dict[str, str] = {}
    return re.sub(r"\b(gradient_|clip)\d+\b", lambda match: names.setdefault(match[0], f"{match[1]}{len(names)}"), svg)


def table_parser(description: str, *tables: str, optional: Sequence[str] = ()) -> argparse.ArgumentParser:
    """A command line with a Parquet path for each table, required unless it is optional, and where the files go."""
    result = argparse.ArgumentParser(description=description)
    for table in (*tables, *optional):
        result.add_argument(f"--{table}", type=Path, required=table in tables, metavar="PARQUET")
    result.add_argument("--output-folder", type=Path, required=True, metavar="FOLDER")
    result.add_argument("--log", type=Path, metavar="FILE")
    result.set_defaults(tables=(*tables, *optional))
    return result


def parser(description: str, *tables: str) -> argparse.ArgumentParser:
    """A command line with the arguments that all figures of experiments take."""
    result = table_parser(description, *tables)
    result.add_argument("--experiments", nargs="+", required=True, metavar="NAME", help="the experiments to show")
    result.add_argument("--models", nargs="+", required=True, metavar="NAME", help="all models of the config")
    return result


def read(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, each table read, an optional one None if it is not given."""
    arguments = parser.parse_args(argv)
    if arguments.log:
        messages.log_to(arguments.log)
    for name in arguments.tables:
        path = getattr(arguments, name)
        setattr(arguments, name, path and read_frame(path))
    return arguments


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, each table read and reduced to the experiments to show."""
    arguments = read(parser, argv)
    know_models(arguments.models)
    for name in arguments.tables:
        table = getattr(arguments, name)
        setattr(arguments, name, table[table["experiment"].isin(arguments.experiments)])
    return arguments
