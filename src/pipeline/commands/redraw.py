"""Draws the figures that are stale, with the tables they need, and trains nothing.

``python -m pipeline.commands.redraw config/quick.yaml``
"""

import subprocess
import sys

from pipeline.commands.dry_run import LEARNING, TRAINING, WorkflowFailed, dry_run
from pipeline.commands.shared import Workflow, parser_of, workflow_of


def redraw(workflow: Workflow) -> int:
    """Draws what is stale from the runs that are there; the exit status of Snakemake.

    Raises:
        SystemExit: there are too few runs, or Snakemake cannot say what is stale; the message has the mend.
    """
    try:
        jobs = dry_run(workflow, "figures")
    except WorkflowFailed as error:
        sys.exit(str(error))
    training = [job for job in jobs if job.rule in LEARNING]
    missing = [job.output for job in training if "Missing output" in job.reason]
    if missing:
        sys.exit(
            f"The figures need {len(missing)} file{'s' * (len(missing) > 1)} of results that are missing, such as"
            f" {missing[0]}; train them first: {workflow.command}"
        )
    if training:
        number = "1 training job is" if len(training) == 1 else f"{len(training)} training jobs are"
        print(f"{number} stale; the figures show the runs as they are (make stale says why).")
    rules = sorted({job.rule for job in jobs} - TRAINING)
    if not rules:
        print("All figures are up to date.")
        return 0
    options = ["--cores", "all", *workflow.options, "--allowed-rules", "figures", *rules]
    return subprocess.run(["snakemake", "figures", *options]).returncode


if __name__ == "__main__":
    sys.exit(redraw(workflow_of(parser_of(__doc__).parse_args())[0]))
