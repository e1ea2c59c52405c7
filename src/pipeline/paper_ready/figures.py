"""A figure at a template's width: the same Vega-Lite specification, with the template's font.

A figure of a single view is laid out anew, so that its labels have `LABEL` points at the width of a column. One of
several panels is scaled as it is: until its labels have `LABEL` points, or to the width of the text if that is less.
"""

import copy
import csv
import re
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import vl_convert

from pipeline.figures.parts.style import VEGA_LITE
from pipeline.paper_ready.templates import Template
from pipeline.texts import read_json

LABEL = 8.0  # points, the size of the templates' captions or one less
LABEL_PIXELS = 14  # of the labels in a figure, pipeline.figures.parts.style
POINTS = 72  # of an inch
SUFFIX = ".vl.json"  # of a figure's Vega-Lite specification
PANELS = ("hconcat", "vconcat", "concat", "facet", "repeat")

Spec = dict[str, Any]


class Size(NamedTuple):
    """Of a figure, ``labels`` in points, ``height`` in inches."""

    labels: float
    height: float


def render(specification: Path, template: Template, folder: Path) -> Size:
    """Writes ``<name>.svg``, ``<name>.pdf`` and the figure's data as CSV.

    Args:
        specification: ``<name>.vl.json``.
        template: whose widths and font.
        folder: where they go; it exists.

    Raises:
        TornFileError: the specification is damaged.
    """
    name, spec = specification.name.removesuffix(SUFFIX), read_json(specification)
    fitted, width, largest = fit(spec, template)
    svg = vl_convert.vegalite_to_svg(fitted, VEGA_LITE)
    size = [float(re.search(rf'{side}="([\d.]+)"', svg)[1]) for side in ("width", "height")]
    scale = min(width * POINTS / size[0], largest)
    (folder / f"{name}.svg").write_text(_sized(svg, size, scale, "pt"), encoding="utf-8")
    # the converter takes a unit of the SVG for a point of the PDF
    (folder / f"{name}.pdf").write_bytes(vl_convert.svg_to_pdf(_sized(svg, size, scale, "")))
    _write_data(spec.get("datasets", {}), folder, name)
    return Size(LABEL_PIXELS * scale, size[1] * scale / POINTS)


def fit(spec: Spec, template: Template) -> tuple[Spec, float, float]:
    """The specification laid out for the template, the width in inches that it is meant for, and the largest scale."""
    spec = copy.deepcopy(spec)
    spec.setdefault("config", {})["font"] = template.font
    if any(kind in spec for kind in PANELS):
        return spec, template.text, LABEL / LABEL_PIXELS
    spec.pop("title", None)  # it is the caption's
    _stack_legends([spec.get("layer"), spec.get("encoding")])
    drawn = _svg_width(spec)
    inner = spec.get("width", spec["config"].get("view", {}).get("continuousWidth"))
    if not isinstance(inner, int | float):
        return spec, template.column, inf  # steps of a category each: their number decides
    target = template.column * POINTS * LABEL_PIXELS / LABEL
    height = spec.get("height", spec["config"].get("view", {}).get("continuousHeight", inner))
    spec["width"] = round(target - (drawn - inner))
    if isinstance(height, int | float):
        spec["height"] = round(height * spec["width"] / inner)
    return spec, template.column, inf


def _svg_width(spec: Spec) -> float:
    return float(re.search(r'width="([\d.]+)"', vl_convert.vegalite_to_svg(spec, VEGA_LITE))[1])


def _sized(svg: str, size: list[float], scale: float, unit: str) -> str:
    """The SVG with another width and height."""
    for side, value in zip(("width", "height"), size, strict=True):
        svg = re.sub(rf'{side}="[\d.]+"', f'{side}="{value * scale:.2f}{unit}"', svg, count=1)
    return svg


def _stack_legends(part: Any) -> None:
    """Puts every legend's entries below each other, so that a narrow figure holds them."""
    if isinstance(part, list):
        for one in part:
            _stack_legends(one)
    elif isinstance(part, dict):
        if "columns" in (part.get("legend") or {}):
            part["legend"]["columns"] = 1
        for one in part.values():
            _stack_legends(one)


def _write_data(datasets: dict[str, list[dict]], folder: Path, name: str) -> None:
    """The rows that the figure draws, a file for each of its tables."""
    for number, rows in enumerate(datasets.values(), start=1):
        path = folder / (f"{name}.csv" if len(datasets) == 1 else f"{name}_{number}.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
