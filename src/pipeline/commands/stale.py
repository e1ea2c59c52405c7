"""Says in plain words what is stale and why: ``python -m pipeline.commands.stale config/quick.yaml``.

It reads Snakemake's dry run, so what it says is what would run.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline.blocks import seed_range
from pipeline.commands.dry_run import Job, WorkflowFailed, dry_run
from pipeline.commands.shared import parser_of, workflow_of
from pipeline.config import NO_TRAINING, Cell, Config, CurveAddress
from pipeline.workflow.targets import RUN_FILE, present_blocks, theory_addresses

NAMED = 4  # so many experiments are named, of more the number is given

# Of the rules whose jobs are many: what a job is, and the parts of a cell's address that it has.
KINDS = {
    "train": ("training job", Cell._fields),
    "fit": ("fit", Cell._fields),
    "dataset": ("training-set file", ("function", "data", "k", "T", "n")),
    "holdout": ("holdout", ("function", "data", "k", "T")),
    "design": ("adaptive design", CurveAddress._fields),
    "train_adaptive": ("adaptive training job", CurveAddress._fields),
}
ABSENT, FOLLOWS = "not there yet", "what it is made of is made again"

# The first of these that Snakemake's reason has is the job's; "{}" stands for what follows it there.
CAUSES = {
    "Missing output files": ABSENT,
    "Incomplete output files": "was interrupted",
    "Code has changed": "its command in the rules changed",
    "Set of input files has changed": "is made of other files than before",
    "Updated input files:": "a file that it reads changed: {}",
}


def report(jobs: Collection[Job], config: Config, present: Mapping[Cell, list[range]]) -> str:
    """What would run and why, a line a group of jobs with the same reason.

    Args:
        jobs: the jobs.
        config: the config they come from.
        present: the blocks of seeds that there are result files of.
    """
    owners = _owners(config)
    groups: dict[tuple, list[Job]] = defaultdict(list)
    for job in jobs:
        cause = _cause(job)
        new = cause == ABSENT and job.rule in ("train", "fit")
        groups[_kind(job), cause, _experiments([job], owners) if new else ()].append(job)
    told = [(cause, _subject(kind, group, owners), group) for (kind, cause, _), group in groups.items()]
    first = [f"{subject}: {_words(cause, group, present)}" for cause, subject, group in told if cause != FOLLOWS]
    then = [subject for cause, subject, _ in told if cause == FOLLOWS]
    lines = [*first, *(["And what follows from that:"] if first and then else []), *then]
    return "\n".join([*lines, "", f"Jobs: {len(jobs)}."] if jobs else ["Nothing is stale."])


def _subject(kind: str, jobs: list[Job], owners: Mapping[tuple[str, ...], dict[str, int]]) -> str:
    """Such as ``"12 training jobs of and3"`` or ``"figures learners, noise"``."""
    plural = "s" * (len(jobs) > 1)
    if jobs[0].rule not in KINDS:
        return f"{kind}{plural} {', '.join(sorted(map(_name, jobs)))}"
    names = _experiments(jobs, owners)
    return f"{len(jobs)} {kind}{plural} of {', '.join(names) if len(names) <= NAMED else f'{len(names)} experiments'}"


def _words(cause: str, jobs: list[Job], present: Mapping[Cell, list[range]]) -> str:
    return _news(jobs, present) if cause == ABSENT and jobs[0].rule in ("train", "fit") else cause


def _kind(job: Job) -> str:
    if job.rule in KINDS:
        return KINDS[job.rule][0]
    if job.rule.startswith("figure_"):
        return "figure"
    return "table" if "results/tables/" in job.output else "file"


def _name(job: Job) -> str:
    path = Path(job.output.split(",")[0])
    return path.name if _kind(job) == "file" else path.stem


def _owners(config: Config) -> dict[tuple[str, ...], dict[str, int]]:
    """The experiments, and parts of the theory, that jobs work for, with their seeds, by parts of a cell's address."""
    owners: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for name, experiment in config.enabled.items():
        for cell, seeds in experiment.cells().items():
            for _, fields in KINDS.values():
                if fields == CurveAddress._fields and not experiment.adaptive:
                    continue
                owners[tuple(str(getattr(cell, field)) for field in fields)][name] = seeds
    for part in ("heads", "basin"):
        for address in theory_addresses(config, part):
            for rule in ("dataset", "holdout"):
                seeds = seed_range(address["seeds"]).stop
                owners[tuple(address[field] for field in KINDS[rule][1])][f"theory.{part}"] = seeds
    return owners


def _experiments(jobs: list[Job], owners: Mapping[tuple[str, ...], dict[str, int]]) -> tuple[str, ...]:
    """The experiments, and parts of the theory, that some jobs work for."""
    names: dict[str, None] = {}
    for job in jobs:
        given = {"training": NO_TRAINING, "seeds": "0-0"} | job.wildcards
        found = owners.get(tuple(given[field] for field in KINDS[job.rule][1]), {})
        names |= {name: None for name, seeds in found.items() if seed_range(given["seeds"])[0] < seeds}
    return tuple(names)


def _news(jobs: list[Job], present: Mapping[Cell, list[range]]) -> str:
    """What is new of missing runs: values of k, T or n, or seeds, that there are no results of."""
    learners = {(job.wildcards["function"], job.wildcards["data"], job.wildcards["model"]) for job in jobs}
    there = [(cell, seeds) for cell, blocks in present.items() for seeds in blocks if cell[:3] in learners]
    if not there:
        return "there are no results yet"
    found = []
    for name in ("k", "T", "n"):
        new = {int(job.wildcards[name]) for job in jobs} - {getattr(cell, name) for cell, _ in there}
        found += [f"{name} = {value}" for value in sorted(new)]
    known = {seed for _, seeds in there for seed in seeds}
    blocks = sorted({job.wildcards["seeds"] for job in jobs}, key=lambda block: seed_range(block)[0])
    found += [f"seeds {block}" for block in blocks if not known & set(seed_range(block))]
    return f"new: {', '.join(found)}" if found else "results are not there"


def _cause(job: Job) -> str:
    """The reason of a job in plain words."""
    if "Missing output files" not in job.reason and "Params have changed" in job.reason:
        return _changed_params(job.reason)
    for theirs, ours in CAUSES.items():
        if theirs in job.reason:
            return ours.format(job.reason.partition(theirs)[2].partition(";")[0].strip())
    return FOLLOWS


def _changed_params(reason: str) -> str:
    """Which params changed: the fingerprint of the code, or settings, which are JSON."""
    before, _, now = reason.partition("before:")[2].partition("now:")
    if re.search(r"'[0-9a-f]{16}'", now):
        return "its code changed"
    try:
        (old,), (new,) = (re.findall(r"'(\{.*\})'", part) for part in (before, now))
        old, new = (dict(_leaves(json.loads(spec))) for spec in (old, new))
    except ValueError:
        return "its settings changed"
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    changed = [f"{key}: {old.get(key, 'none')} → {new.get(key, 'none')}" for key in keys[:2]]
    return f"its settings changed ({'; '.join(changed)}{'; …' * (len(keys) > 2)})"


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """The values in nested mappings by their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, str(value)


def main() -> None:
    """The command."""
    workflow, config = workflow_of(parser_of(__doc__).parse_args())
    try:
        jobs = dry_run(workflow)
    except WorkflowFailed as error:
        sys.exit(str(error))
    print(report(jobs, config, present_blocks(RUN_FILE, workflow.directory)))


if __name__ == "__main__":
    main()
