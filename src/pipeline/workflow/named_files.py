"""The files that a config names, its claims and the paper's points, read and checked before anything runs."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

from pipeline.claims import claims
from pipeline.claims.claims import Claim
from pipeline.config import Config, ConfigError

PAPER_COLUMNS = ("context_length", "critical_sample_size", "bar_low", "bar_high")


class NamedFiles(NamedTuple):
    """Claims by id, none if the config names no file of them; by figure, the file with the paper's points it shows."""

    claims: dict[str, Claim]
    paper_points: dict[str, str]


def read(config: Config, root: Path) -> NamedFiles:
    """What the files say that a config names.

    Args:
        config: the config.
        root: the project's folder, which its paths start from.

    Raises:
        ConfigError: a file is absent or not as it should be; the message lists every problem.
    """
    named = {figure: getattr(shows, "paper_points", None) for figure, shows in config.figures}
    points = {figure: root / path for figure, path in named.items() if path}
    problems = [
        f"figures.{figure}.paper_points: {problem}, or write paper_points: null"
        for figure, path in points.items()
        if (problem := _no_points(path))
    ]
    found = {}
    try:
        found = claims.load(root / config.claims) if config.claims else {}
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return NamedFiles(found, {figure: str(path) for figure, path in points.items()})


def _no_points(path: Path) -> str | None:
    """Why a file does not give points of the paper, with the mend; None if it does."""
    if not path.is_file():
        return f"there is no file {path}; correct the path"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        points = [tuple(float(row[column]) for column in PAPER_COLUMNS) for row in rows]
    except (csv.Error, KeyError, TypeError, ValueError):
        points = []
    if not points or not all(0 < value < math.inf for point in points for value in point):
        return f"{path} needs the columns {', '.join(PAPER_COLUMNS)}, and positive numbers below them; correct the file"
    return None
