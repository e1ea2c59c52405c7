"""What the tests of the figures read out of a chart's specification, and how they run a figure's command line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd


def rows(spec: dict, part: dict) -> pd.DataFrame:
    """The data of one layer or panel, which Altair moves up to the whole where all parts share it."""
    return pd.DataFrame(spec["datasets"][part.get("data", spec.get("data"))["name"]])


def look(encoding: dict) -> dict:
    """What a discrete scale gives each value."""
    return dict(zip(encoding["scale"]["domain"], encoding["scale"]["range"], strict=True))


def marks(spec: dict, kind: str) -> list[dict]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == kind]


def units(part: dict, kind: str) -> list[dict]:
    """All single charts of one kind of mark, however deep, each with its data."""
    return [unit for unit in _walk(part, None) if unit["mark"]["type"] == kind]


def _walk(part: dict, data: dict | None) -> Iterator[dict]:
    data = part.get("data", data)
    if "mark" in part:
        yield part | {"data": data}
    for composition in ("layer", "concat", "hconcat", "vconcat"):
        for child in part.get(composition, []):
            yield from _walk(child, data)


def file_names(*figures: str) -> set[str]:
    """The names of the files that the figures leave."""
    return {f"{name}.{suffix}" for name in figures for suffix in ("svg", "png", "html", "vl.json")}


def saved(main: Callable, folder: Path, tables: dict[str, pd.DataFrame], *options: str) -> dict[str, Path]:
    """The files that a figure's command line leaves, by their suffix."""
    arguments = []
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
        arguments += [f"--{name}", str(folder / f"{name}.parquet")]
    common = ["--experiments", "main", "--models", "transformer", "--output-folder", str(folder / "out")]
    main([*arguments, *options, *common])
    return {path.suffix: path for path in (folder / "out").iterdir()}
