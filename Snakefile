# The entry of the workflow: the config, its validation, the rules in the order in which they run, and the targets.
import json
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# The workflow and its jobs run the code of this checkout, whatever is installed.
SOURCE = Path(workflow.basedir, "src")
sys.path.insert(0, str(SOURCE))

import pipeline.config
from pipeline.workflow import faults, named_files, specifications, targets
from pipeline.workflow.captions import caption
from pipeline.workflow.fingerprint import fingerprint
from pipeline.commands.forecast import CLUSTER_START, forecast
from pipeline.workflow.integrity import set_aside_damaged
from pipeline.jobs import server

shell.prefix(
    f"set -euo pipefail; export PYTHONPATH={shlex.quote(str(SOURCE))};"
    " trap '[ $? -ne 137 ] || python -m pipeline.workflow.faults' EXIT; "
)

DEFAULT = Path(workflow.basedir, "config/config.yaml")

cores = workflow.resource_settings.cores
if cores is not None and cores < 1:
    raise WorkflowError(
        f"--cores {cores}: no job could run; use a number of at least 1, or all"
    )

# A config file of the command line replaces the default one; merged, the default's experiments would stay.
if not workflow.overwrite_configfiles:

    configfile: str(DEFAULT)


try:
    # Of a key that is there twice, Snakemake takes the last, and it leaves what is nested in --config as text.
    for path in workflow.overwrite_configfiles or [DEFAULT]:
        pipeline.config.read(path)
    update_config(config, pipeline.config.typed(workflow.config_settings.config))
    CONFIG = pipeline.config.parse(config)
    CLAIMS, PAPER_POINTS = named_files.read(CONFIG, Path(workflow.basedir))
except pipeline.config.ConfigError as error:
    raise WorkflowError(f"The config is wrong:\n{error}") from None

if Path("results").exists() and not Path("results").is_dir():
    raise WorkflowError(
        "results is no folder; rename it, or work elsewhere by --directory"
    )

# What is damaged is made again, like what is missing. Not by the processes of single jobs, while others write.
if workflow.is_main_process:
    for path in set_aside_damaged(Path("results")):
        print(
            f"{path} is damaged: renamed to {path.name}.damaged, and made again",
            file=sys.stderr,
        )


wildcard_constraints:
    k=r"\d+",
    T=r"\d+",
    n=r"\d+",
    seeds=r"\d+-\d+",
    round=r"\d+",
    size=r"\d+",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/adaptive.smk"
include: "workflow/rules/aggregation.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/cluster.smk"


rule all:
    default_target: True
    input:
        rules.save_config.output,
        rules.summary.output,
        rules.claims.output if CLAIMS else [],
        targets.figure_files(CONFIG, "results/figures"),
        rules.page.output,
        rules.theory.input,
        # tables and runs too: what is missing is made again even if what was made of it is there
        targets.table_files(CONFIG, "results/tables"),
        runs_of(CONFIG.enabled).values(),


rule figures:
    input:
        targets.figure_files(CONFIG, "results/figures"),


onstart:
    try:
        faults.check_writable(Path("results"))
    except OSError as error:
        raise WorkflowError(error.strerror) from None
    if not workflow.local_exec:
        prepare_cluster()
    todo = [job for job in workflow.dag.needrun_jobs() if job.output]
    jobs = [(job.rule.name, dict(job.wildcards.items())) for job in todo]
    settings = workflow.resource_settings
    cores = (workflow.local_exec and settings.cores) or settings.nodes or 1
    start = 0 if workflow.local_exec else CLUSTER_START
    print(forecast(CONFIG, jobs, cores, start), file=sys.stderr)
    faults.follow_the_clock(workflow.dag, Path("results"))
    if workflow.local_exec:
        # For its limit of jobs a second, every job that ends starts a timer that then looks at the ready jobs each second.
        workflow.scheduler.job_rate_limiter = None
    # not if the jobs run on other machines or in environments of their own
    if (
        workflow.executor_plugin.common_settings.local_exec
        and not workflow.deployment_settings.deployment_method
    ):
        workflow.job_server = server.start(SOURCE)


onsuccess:
    # not if other targets were asked for: a summary that is there is then of an earlier run, maybe of another config
    if any(job.rule.name == "summary" for job in workflow.dag.jobs):
        shell("cat results/summary.txt")


onerror:
    print(faults.STOPPED, file=sys.stderr)
