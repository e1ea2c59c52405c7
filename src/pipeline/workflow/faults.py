"""What the workflow says when something goes wrong that no job can speak of; docs/faults.md has the rest.

``python -m pipeline.workflow.faults`` says it of a job that was killed outright, as the system does for want of memory.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.jobs import LESS_MEMORY

KILLED = f"killed by signal 9, by hand or by the system for want of memory; if the latter, {LESS_MEMORY}"

STOPPED = """\
Stopped. What is finished is kept, and a long job goes on from its last checkpoint. After Ctrl-C just give the same
command again, otherwise mend first what the messages above name. Logs of jobs: results/logs/. More: docs/faults.md."""


def check_writable(folder: Path) -> None:
    """Tries to write into a folder, or where it would be made.

    Raises:
        OSError: it cannot be written; the message has the folder, the reason and the mend.
    """
    try:
        with tempfile.TemporaryFile(dir=folder if folder.exists() else folder.parent):
            pass
    except OSError as error:
        mend = "mend the rights, or work elsewhere by --directory"
        raise OSError(error.errno, f"cannot write to {folder}: {error.strerror}; {mend}") from None


def bring_back(folder: Path, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """After a job, if its inputs are from the future since the clock went back: all such files get the present time.

    Snakemake takes an output that is older than its input for stale. All files together keep their order, as no file
    of the present is younger than one from the future.

    Args:
        folder: where all files of the workflow lie.
        inputs: those of the job.
        outputs: those that it has just written.
    """
    if max((os.stat(path).st_mtime for path in inputs), default=0) <= time.time():
        return
    present = min(os.stat(path).st_mtime_ns for path in outputs)
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a temporary file of another job, or a link to nowhere
            if path.stat().st_mtime_ns > present:
                os.utime(path, ns=(present, present))
    print(f"The clock went back: files in {folder}/ from the future now have the present time.", file=sys.stderr)


def follow_the_clock(dag: Any, folder: Path) -> None:
    """Has files brought back from the future before Snakemake compares the times of a job's files.

    Args:
        dag: Snakemake's; it has no public place for this, so a method of it is wrapped.
        folder: where all files of the workflow lie.
    """
    check_times = dag.check_output_mtime

    async def check_after(job: Any, outputs: Iterable[str]) -> None:
        bring_back(folder, job.input, outputs)
        await check_times(job, outputs)

    dag.check_output_mtime = check_after


if __name__ == "__main__":
    print(KILLED, file=sys.stderr)
