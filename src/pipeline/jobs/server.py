"""Runs jobs in forks of one process, which has imported what they import: torch once, and not a second of every job.

``python -m pipeline.jobs.server FILE_DESCRIPTOR`` answers at a socket until its standard input ends, as it does when
the workflow's process does, however that ends. :mod:`pipeline.jobs.client` asks it to run a job.
"""

import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pipeline.jobs.client import LENGTH, SOCKET


def start(source: Path) -> subprocess.Popen | None:
    """Starts a server for the processes that this one will start.

    None where a fork with libraries is not safe, or where no socket can be made: jobs then run in their own processes.

    Args:
        source: the folder that this package lies in.

    Returns:
        the server's process, which ends when its standard input is closed.
    """
    if sys.platform != "linux":
        return None
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with socket.socket(socket.AF_UNIX) as listener:  # open here, so that no job comes too early
        try:
            path = _listen(listener)
        except OSError:
            return None
        os.environ[SOCKET] = str(path)
        return subprocess.Popen(
            ["python", "-m", "pipeline.jobs.server", str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={**os.environ, **threads, "PYTHONPATH": str(source)},
        )


def _listen(listener: socket.socket) -> Path:
    """Has a socket listen in a new folder, which only this user can enter, and gives its path.

    Raises:
        OSError: no folder for temporary files can be written, or its path is too long for a socket's.
    """
    folder = Path(tempfile.mkdtemp(prefix="pipeline-"))
    try:
        listener.bind(str(folder / "jobs"))
        listener.listen(64)
    except OSError:
        shutil.rmtree(folder)
        raise
    return folder / "jobs"


def serve(listener: socket.socket) -> None:
    """Runs jobs until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the jobs; the workflow's process takes its time
    path = Path(listener.getsockname())
    with listener:
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                _fork(listener, connection)
    path.unlink()
    path.parent.rmdir()


def _fork(listener: socket.socket, connection: socket.socket) -> None:
    """Starts the job of a request; what its module imports stays for the next."""
    header, outputs, *_ = socket.recv_fds(connection, LENGTH, 2)
    if len(header) == LENGTH:  # else the asker is gone
        with connection.makefile("rb") as stream:
            request = stream.read(int.from_bytes(header, "big"))
        job, arguments, folder, environment = json.loads(request)
        with suppress(Exception):  # if it fails, it does so in the fork too, where the job can say so
            importlib.import_module(f"pipeline.jobs.{job}")
        if os.fork() == 0:
            listener.close()
            _become(connection, outputs, folder, environment)
            _run(connection, job, arguments)
    for output in outputs:
        os.close(output)


def _become(connection: socket.socket, outputs: list[int], folder: str, environment: dict[str, str]) -> None:
    """Makes the fork a process like the one that asks, and ends it with that one."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, output in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
        os.dup2(output, place)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()


def _end_with(connection: socket.socket) -> None:
    connection.recv(1)  # nothing is sent: it returns when the asker is gone
    os.kill(os.getpid(), signal.SIGKILL)


def _run(connection: socket.socket, job: str, arguments: list[str]) -> NoReturn:
    """Runs a job's module as ``python -m`` would, and ends with its status."""
    sys.argv = [job, *arguments]
    sys.modules.pop(f"pipeline.jobs.{job}", None)  # it is run anew, as the main module
    status = 0
    try:
        runpy.run_module(f"pipeline.jobs.{job}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # as the interpreter would
        status = 1
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([status]))
    os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
