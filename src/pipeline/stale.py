"""Says in plain words what is stale and why: ``python -m pipeline.stale config/quick.yaml``.

It reads Snakemake's dry run, so it says what would run, not what should.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.blocks import seed_range
from pipeline.config import NO_TRAINING, Cell, Config, ConfigError, load
from pipeline.dry_run import Job, WorkflowFailed, dry_run
from pipeline.targets import present_blocks

RUN_FILE = "results/runs/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.parquet"
KINDS = {"holdout": "holdout", "dataset": "data set", "train": "training job", "fit": "fit"}

# The first of these that Snakemake's reason has is the job's; "{…}" stands for what follows it there.
CAUSES = {
    "Code has changed": "the command in their rule changed",
    "Set of input files has changed": "they are made of other files than before",
    "Updated input files:": "a file they read changed: {}",
    "Incomplete output files": "they were interrupted",
    "Forced execution": "it was asked for",
}
FOLLOWS = "what they read is made again"


def report(jobs: Iterable[Job], config: Config, present: dict[Cell, list[range]]) -> str:
    """What would run and why, a line a group of jobs with the same reason.

    Args:
        jobs: the jobs.
        config: the config they come from.
        present: the blocks of seeds that there are result files of.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    missing: dict[tuple[str, tuple[str, ...]], list[Job]] = defaultdict(list)
    for job in jobs:
        kind, name = _named(job, config)
        if job.rule in ("train", "fit") and "Missing output" in job.reason:
            missing[job.rule, tuple(_experiments(job, config))].append(job)
        else:
            groups[kind, _cause(job)].append(name)
    lines = [
        f"{_count(group, KINDS[rule])} of {', '.join(names)}: {_news(group, present)}"
        for (rule, names), group in missing.items()
    ]
    lines += [f"{_subject(kind, names)}: {cause}" for (kind, cause), names in groups.items()]
    return "\n".join(sorted(lines, key=lambda line: line.endswith(FOLLOWS))) or "Nothing is stale."


def _named(job: Job, config: Config) -> tuple[str, str]:
    """What kind of thing a job makes, and which one."""
    if job.rule in KINDS:
        return KINDS[job.rule], ", ".join(_experiments(job, config))
    name = Path(job.output.split(",")[0]).stem
    return ("figure" if job.rule.startswith("figure_") else "table"), name


def _subject(kind: str, names: list[str]) -> str:
    """Such as ``"12 training jobs of and3"``, or ``"figures learners, noise"``."""
    if kind in KINDS.values():
        owners = sorted({owner for name in names if name for owner in name.split(", ")})
        return _count(names, kind) + (f" of {', '.join(owners)}" if owners else "")
    return f"{kind}{'s' * (len(names) > 1)} {', '.join(sorted(names))}"


def _count(things: list, kind: str) -> str:
    return f"{len(things)} {kind}{'s' * (len(things) > 1)}"


def _experiments(job: Job, config: Config) -> Iterator[str]:
    """The experiments that a job works for."""
    given = {name: int(value) if value.isdecimal() else value for name, value in job.wildcards.items()}
    seeds = given.pop("seeds", "0-0")
    if job.rule == "fit":
        given["training"] = NO_TRAINING
    for name, experiment in config.enabled.items():
        cells = (cell._asdict() for cell in experiment.cells())
        if seed_range(seeds)[0] < experiment.grid.seeds and any(given.items() <= cell.items() for cell in cells):
            yield name


def _news(jobs: list[Job], present: dict[Cell, list[range]]) -> str:
    """What is new of missing runs: values of k, T or n, or seeds, that there are no results of."""
    learners = {(job.wildcards["function"], job.wildcards["data"], job.wildcards["model"]) for job in jobs}
    there = [(cell, seeds) for cell, blocks in present.items() for seeds in blocks if cell[:3] in learners]
    if not there:
        return "there are no results yet"
    found = []
    for name in ("k", "T", "n"):
        known = {str(getattr(cell, name)) for cell, _ in there}
        found += [f"{name} {value}" for value in sorted({job.wildcards[name] for job in jobs} - known, key=int)]
    known = {seed for _, seeds in there for seed in seeds}
    blocks = {job.wildcards["seeds"] for job in jobs}
    found += [f"seeds {block}" for block in sorted(blocks) if not known & set(seed_range(block))]
    return f"{', '.join(found)} {'are' if len(found) > 1 else 'is'} new" if found else "their files are not there"


def _cause(job: Job) -> str:
    """The reason of a job in plain words."""
    reason = job.reason
    if "Missing output files" in reason:
        return "not there yet"
    if "Params have changed" in reason:
        return _changed_params(reason)
    for theirs, ours in CAUSES.items():
        if theirs in reason:
            return ours.format(reason.partition(theirs)[2].partition(";")[0].strip())
    return FOLLOWS


def _changed_params(reason: str) -> str:
    """Which params changed: the code's fingerprint, or settings, which are JSON."""
    before, _, now = reason.partition("before:")[2].partition("now:")
    specs = [re.findall(r"'(\{.*?\})'(?=[ ,]|$)", part) for part in (before, now)]
    if re.search(r"'[0-9a-f]{16}'", now):
        return "their code changed"
    try:
        old, new = (dict(_leaves(json.loads(spec))) for (spec,) in specs)
    except ValueError:
        return "their settings changed"
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    changed = [f"{key}: {old.get(key, 'none')} → {new.get(key, 'none')}" for key in keys]
    return f"their settings changed ({'; '.join(changed[:3])}{'; …' * (len(changed) > 3)})"


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """The values in nested mappings by their paths."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, str(value)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    given = parser.parse_args()
    try:
        config, jobs = load(given.config), dry_run(given.config)
    except (ConfigError, WorkflowFailed, OSError) as error:
        sys.exit(str(error))
    print(report(jobs, config, present_blocks(RUN_FILE)))
    if jobs:
        counts = Counter(job.rule for job in jobs)
        print(f"\n{len(jobs)} jobs: {', '.join(f'{count} {rule}' for rule, count in counts.items())}")


if __name__ == "__main__":
    main()
