# Requires: the groups of a cluster's profile, whose jobs may end before their blocks do, or outlive the workflow.
# Yields: groups that go on where they ended, a record of each file whether or not the workflow lives to see it, and
# the reason why a job of the cluster ended early.
import logging

from snakemake.jobs import GroupJob
from snakemake.logging import logger
from snakemake.target_jobs import TargetSpec
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.workflow import cluster


def remove_old_outputs():
    """Removes the old outputs of the jobs to come and records what the new ones will depend on.

    Snakemake does the first when a job starts, and the second when it sees it end. So a group that ends early would
    leave old files that count as new, and files made while no workflow watched would never be seen as stale.
    """
    for job in workflow.dag.needrun_jobs():
        if not job.is_local:
            for file in job.output:
                Path(file).unlink(missing_ok=True)
            workflow.async_run(workflow.persistence.finished(job))


def unfinished(group):
    """The jobs that a group still has to do, as none of their old outputs is left; Snakemake would do all again."""
    missing = [
        job for job in group.jobs if not all(Path(file).exists() for file in job.output)
    ]
    return [
        TargetSpec(job.rule.name, job.wildcards_dict) for job in missing or group.jobs
    ]


class EarlyEnds(logging.Handler):
    """Says why a SLURM job ended early; Snakemake keeps the reason to itself."""

    def emit(self, record):
        event = getattr(record, "event", None)
        if event == LogEvent.GROUP_ERROR:
            print(cluster.early_end(record.groupid, record.aux_logs), file=sys.stderr)
        elif event == LogEvent.JOB_ERROR and not record.indent:  # not of a group's
            print(cluster.early_end(record.rule_name, record.log), file=sys.stderr)


def prepare_cluster():
    """What the start of a workflow on a cluster takes.

    Raises:
        WorkflowError: jobs of an earlier run still work.
    """
    if message := cluster.still_running(Path.cwd()):
        raise WorkflowError(message)
    remove_old_outputs()
    GroupJob.get_target_spec = unfinished
    logger.addHandler(EarlyEnds())
