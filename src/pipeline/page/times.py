"""How long the jobs behind the results took, from the files that Snakemake's benchmarks leave."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Time:
    """The jobs of one rule: their number, and their seconds of wall-clock time together.

    The benchmarks' memory and processor time are those of the process that asks for a job, not of the job.
    """

    rule: str
    jobs: int
    seconds: float


def times(folder: Path) -> list[Time]:
    """The times of each rule whose jobs are measured, in ``<rule>/**/*.tsv`` or ``<rule>.tsv``; of a job the last."""
    seconds = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(path.suffix)
        with path.open(encoding="utf-8") as file:
            seconds[rule] += [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    return [Time(rule, len(own), sum(own)) for rule, own in sorted(seconds.items())]
