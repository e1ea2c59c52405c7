"""The tables behind the figures: their first rows to read, the whole of them to download."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.page.packing import base64_of, packed
from pipeline.storage import read_frame

EMBEDDED_BYTES = 1_500_000  # a larger Parquet file stays beside the page
ROWS_SHOWN = 10


@dataclass(frozen=True)
class Table:
    """A table of the page: ``csv`` and ``parquet`` are packed, and None in a table too large to be embedded."""

    name: str
    frame: pd.DataFrame
    csv: str | None
    parquet: str | None


@dataclass(frozen=True)
class Excerpt:
    """The first rows that a table has of some experiments, as text; ``shown`` of its ``total`` rows are of these."""

    name: str
    columns: list[str]
    rows: list[list[str]]
    shown: int
    total: int


def table(path: Path) -> Table:
    """A table of the results folder."""
    frame, content = read_frame(path), path.read_bytes()
    if len(content) > EMBEDDED_BYTES:
        return Table(path.stem, frame, None, None)
    return Table(path.stem, frame, packed(frame.to_csv(index=False)), base64_of(content))


def excerpt(of: Table, experiments: Collection[str] | None) -> Excerpt:
    """The first rows of a table that belong to some experiments; of any, if these are None."""
    shown = of.frame if experiments is None else of.frame[of.frame["experiment"].isin(experiments)]
    rows = [[_text(value) for value in row] for row in shown.head(ROWS_SHOWN).itertuples(index=False)]
    return Excerpt(of.name, list(shown.columns), rows, len(shown), len(of.frame))


def _text(value: object) -> str:
    """A value as a reader sees it; nothing for what is missing."""
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
