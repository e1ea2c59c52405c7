"""What Snakemake would run, and why: its dry run, read."""

import re
import subprocess
import sys
from dataclasses import dataclass, field

from pipeline.commands.shared import Workflow

# Rules whose jobs train or fit, and with them those that prepare for it; all others only look at what these make.
LEARNING = frozenset({"train", "train_adaptive", "fit", "attention_steps", "head_norms", "basin"})
TRAINING = LEARNING | {"holdout", "dataset", "design"}


@dataclass(frozen=True)
class Job:
    """A job that would run.

    Attributes:
        rule: its rule.
        reason: why, in Snakemake's words.
        output: its output files, separated by commas.
        wildcards: by name.
        log: its log file.
    """

    rule: str
    reason: str
    output: str = ""
    wildcards: dict[str, str] = field(default_factory=dict)
    log: str = ""


class WorkflowFailed(Exception):
    """Snakemake could not say what would run; the text is its own."""


def dry_run(workflow: Workflow, *targets: str) -> list[Job]:
    """The jobs that `snakemake` would start, without the targets that only gather files.

    What it says besides, such as which damaged files it set aside, goes to standard error.

    Args:
        workflow: its config files and folder.
        targets: of the workflow, or options of Snakemake's; none: its default.

    Raises:
        WorkflowFailed: the config is wrong, or files are missing that no rule makes.
    """
    options = ["--dry-run", "--cores", "1", "--nocolor", "--quiet", "host", *workflow.options]
    done = subprocess.run(["snakemake", *targets, *options], capture_output=True, text=True)
    if done.returncode:
        raise WorkflowFailed((done.stderr + done.stdout).strip())
    sys.stderr.write(done.stderr)
    return parse(done.stdout)


def parse(text: str) -> list[Job]:
    """The jobs in what a dry run printed: blocks that open with a rule's name, and list fields, indented."""
    blocks = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?: +\S.*\n)+)", text, re.MULTILINE)
    jobs = []
    for rule, block in blocks:
        fields = dict(re.findall(r"^ +(\w+): (.*)$", block, re.MULTILINE))
        wildcards = dict(pair.split("=", 1) for pair in fields.get("wildcards", "").split(", ") if pair)
        jobs.append(Job(rule, fields.get("reason", ""), fields.get("output", ""), wildcards, fields.get("log", "")))
    return [job for job in jobs if job.output]
