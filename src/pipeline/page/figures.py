"""A figure on the page: its plain SVG, its interactive specification, its caption and the tables behind it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.page.packing import base64_of, packed
from pipeline.page.tables import Excerpt, Table, excerpt
from pipeline.texts import read_json, read_svg
from pipeline.workflow.captions import Caption


@dataclass(frozen=True)
class Drawing:
    """A figure: ``svg`` in base64 with its size in pixels, ``spec`` (Vega-Lite) packed."""

    name: str
    caption: Caption
    svg: str
    width: int
    height: int
    spec: str
    tables: list[Excerpt]


def drawing(name: str, caption: Caption, told: Mapping, folder: Path, tables: Mapping[str, Table]) -> Drawing:
    """A figure from its files.

    Args:
        name: of the figure.
        caption: of the figure.
        told: ``experiments`` that it shows (None if it shows none), and ``tables`` that it reads, by name.
        folder: of ``<name>.svg`` and ``<name>.vl.json``.
        tables: by name.

    Raises:
        TornFileError: a file is damaged.
    """
    svg = read_svg(folder / f"{name}.svg")
    width, height = _size(svg)
    spec = json.dumps(read_json(folder / f"{name}.vl.json"))
    behind = [excerpt(tables[table], told["experiments"]) for table in told["tables"]]
    return Drawing(name, caption, base64_of(svg.encode()), width, height, packed(spec), behind)


def _size(svg: str) -> tuple[int, int]:
    """Width and height that an SVG file states, in pixels."""
    root = svg[: svg.index(">")]
    width, height = (re.search(rf'\b{side}="([\d.]+)"', root)[1] for side in ("width", "height"))
    return round(float(width)), round(float(height))
