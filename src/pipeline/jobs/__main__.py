"""Runs a job: ``python -m pipeline.jobs train --spec …``, in the server's process if the workflow has started one."""

import os
import runpy
import sys

from pipeline.jobs.client import SOCKET, ask

if __name__ == "__main__":
    _, job, *arguments = sys.argv
    status = ask(os.environ[SOCKET], job, arguments) if SOCKET in os.environ else None
    if status is not None:
        sys.exit(status)
    sys.argv = [job, *arguments]
    runpy.run_module(f"pipeline.jobs.{job}", run_name="__main__", alter_sys=True)
