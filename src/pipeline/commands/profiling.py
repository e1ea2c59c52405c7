"""Where the time of a finished workflow went: ``python -m pipeline.commands.profiling config/quick.yaml``.

Of every job, Snakemake's records say when it began and ended, and the log of a job of training or fitting how long it
did just that. Seconds are those of a core: a second in which two cores have no job counts twice, and so does each
of a dry run, which stands for the start and the DAG of the run.
"""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from pipeline.commands.dry_run import WorkflowFailed, dry_run
from pipeline.commands.shared import parser_of, workflow_of

RECORDS = ".snakemake/metadata"  # in Snakemake's folder
LEARNING = "training, fitting and the theory"
STARTS = "the same jobs besides: starts, imports, reading, writing"
IDLE = "cores without a job"
DECIDING = "deciding what to run"
DRAWING = "drawing data"
PARTS = dict.fromkeys(TIMED := ("train", "train_adaptive", "fit"), STARTS)
PARTS |= {"holdout": DRAWING, "dataset": DRAWING}
# a few jobs; their starts do not count
PARTS |= dict.fromkeys(("attention_steps", "representation", "head_norms", "basin"), LEARNING)


class JobTime(NamedTuple):
    """A job that ran: its rule, when it began and ended, and the seconds of training or fitting in between."""

    rule: str
    start: float
    end: float
    learning: float = 0.0


def job_times(directory: Path, logs: Collection[str]) -> list[JobTime]:
    """The jobs that made the files that are there.

    Args:
        directory: Snakemake's folder, whose records are a JSON file an output.
        logs: of the workflow's jobs; the records are those of all workflows that had results there.
    """
    found: dict[str, JobTime] = {}
    for record in (json.loads(path.read_text()) for path in (directory / RECORDS).rglob("*") if path.is_file()):
        (log,) = record["log"]
        if log not in logs or not (directory / log).exists():  # deleted with the results, which the records outlive
            continue
        learning = _learning(directory / log) if record["rule"] in TIMED else 0.0
        job = JobTime(record["rule"], record["starttime"], record["endtime"], learning)
        found[log] = job._replace(end=max(job.end, found.get(log, job).end))  # an output's time is when it was written
    return sorted(found.values(), key=lambda job: job.start)


def _learning(log: Path) -> float:
    found = re.findall(r"([\d.]+) s of (?:training|fitting)$", log.read_text(), re.MULTILINE)
    return float(found[-1]) if found else 0.0


def parts(jobs: Iterable[JobTime], cores: int, deciding: float) -> dict[str, float]:
    """Core-seconds by what they were spent on.

    Args:
        jobs: the jobs, by when they began.
        cores: number of cores that the workflow had.
        deciding: the seconds before the first job.
    """
    seconds: dict[str, float] = defaultdict(float)
    busy, end = 0.0, 0.0
    for job in jobs:
        seconds[LEARNING] += job.learning
        other = "figures" if job.rule.startswith("figure_") else "tables"
        seconds[PARTS.get(job.rule, other)] += job.end - job.start - job.learning
        seconds[IDLE] -= job.end - job.start
        busy += max(0.0, job.end - max(job.start, end))  # while no job runs, it is the user who waits
        end = max(end, job.end)
    seconds[IDLE] += cores * busy
    seconds[DECIDING] = cores * deciding
    return dict(seconds)


def table(seconds: dict[str, float]) -> str:
    """The parts with their shares, what is outside training together, and of that the machinery: all but the data."""
    total = sum(seconds.values())
    outside = total - seconds.get(LEARNING, 0.0)
    rows = sorted(seconds.items(), key=lambda part: -part[1])
    sums = [("outside training", outside), ("outside training and drawing", outside - seconds.get(DRAWING, 0.0))]
    lines = [f"{value:9.1f} s {value / total:6.1%}  {name}" for name, value in rows + sums]
    return "\n".join([*lines[: len(rows)], "Of these together:", *lines[len(rows) :]])


def main() -> None:
    """The command."""
    parser = parser_of(__doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="that the workflow had; default: all")
    given = parser.parse_args()
    workflow, _ = workflow_of(given)
    if not (workflow.directory / RECORDS).exists():
        sys.exit(workflow.unfinished)
    try:
        stale = dry_run(workflow)
        times = os.times()  # of the dry run, processor time: other work on the machine does not lengthen it
        jobs = job_times(workflow.directory, {job.log for job in dry_run(workflow, "--forceall")})
    except WorkflowFailed as error:
        sys.exit(str(error))
    if not jobs:
        sys.exit(workflow.unfinished)
    print(table(parts(jobs, given.cores, times.children_user + times.children_system)))
    if stale:
        print(f"{len(stale)} jobs would run: the times are those of what is there.")


if __name__ == "__main__":
    main()
