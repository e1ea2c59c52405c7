"""The text files of results that are read again, JSON and SVG: one that was cut short or emptied shows when it is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pipeline.storage import TornFileError


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        TornFileError: it is not JSON; the message says which file to delete.
        OSError: it cannot be read.
    """
    with _reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_svg(path: Path) -> str:
    """The text of an SVG file.

    Raises:
        TornFileError: it is not whole; the message says which file to delete.
        OSError: it cannot be read.
    """
    with _reading(path):
        text = path.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
    return text


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, ElementTree.ParseError) as error:
        raise TornFileError(f"{path} is damaged ({error}); delete it and run snakemake again to rebuild it") from error
