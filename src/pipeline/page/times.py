"""How long the jobs behind the results took, from the files that Snakemake's benchmarks leave."""

import csv
from dataclasses import dataclass
from pathlib import Path

_COLUMNS = ("s", "max_rss")
_UNKNOWN = ("-", "NA")  # the memory of jobs too short to be measured


@dataclass(frozen=True)
class Time:
    """The jobs of one rule: their number, their seconds together, and the memory of the largest in MiB, if measured."""

    rule: str
    jobs: int
    seconds: float
    memory: float | None


def times(folder: Path) -> list[Time]:
    """The times of each rule whose jobs are measured; of a job that ran again, the last."""
    return [_time(rule.name, list(rule.rglob("*.tsv"))) for rule in sorted(folder.glob("*")) if rule.is_dir()]


def _time(rule: str, files: list[Path]) -> Time:
    rows = [row for path in files for row in csv.DictReader(path.open(), delimiter="\t")]
    seconds, memory = ([float(row[key]) for row in rows if row[key] not in _UNKNOWN] for key in _COLUMNS)
    return Time(rule, len(rows), sum(seconds), max(memory, default=None))
