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
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pipeline.jobs.client import LENGTH, SOCKET

PATIENCE = 10  # seconds for a request that has begun; meanwhile nobody else is heard
GPU_JOBS = 4  # that train at a time; while one reads, draws initial values or writes, another has the GPU


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
    path, queue = Path(listener.getsockname()), GpuQueue(listener)
    with listener:
        while True:
            ready = select.select([listener, sys.stdin, *queue.running], [], [])[0]
            queue.clear(ready)
            if listener in ready:
                request = _receive(listener)
                if request and not queue.takes(request):
                    _start([request], queue.others)
            elif sys.stdin in ready:
                break
            queue.start()
    path.unlink()
    path.parent.rmdir()


class Request(NamedTuple):
    """What a process asks for; it waits at the connection for the job's exit status."""

    connection: socket.socket
    outputs: list[int]
    job: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]

    def close(self) -> None:
        """Closes what came with it."""
        self.connection.close()
        for output in self.outputs:
            os.close(output)


class GpuQueue:
    """The jobs that train on a GPU: a few run at a time, and of those that wait meanwhile many share the next stack.

    Args:
        listener: the server's socket.

    Attributes:
        waiting: requests, each with the key of the stack that it may be in.
        running: ends of pipes, one a fork that runs, at which nothing comes but the end.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.waiting: list[tuple[str, Request]] = []
        self.running: list[int] = []

    def takes(self, request: Request) -> bool:
        """Queues a request if it is for such a job; the runs of an adaptive round are a stack of their own."""
        if request.job not in ("train", "train_adaptive"):
            return False
        with suppress(Exception):  # on its own, the job can say what is wrong
            train = importlib.import_module("pipeline.jobs.train")
            device = train.option(request.arguments, "device")
            if device == "cuda" or (device == "auto" and _gpu_is_there()):
                alone = f"{request.job} {request.connection.fileno()}"
                key = train.stack_key(request.arguments) if request.job == "train" else alone
                self.waiting.append((key, request))
                return True
        return False

    def clear(self, ready: Collection[Any]) -> None:
        """Drops the forks that have ended, and the requests of processes that have."""
        for end in [end for end in self.running if end in ready]:
            os.close(end)
            self.running.remove(end)
        for entry in [entry for entry in self.waiting if _is_gone(entry[1].connection)]:
            entry[1].close()
            self.waiting.remove(entry)

    def start(self) -> None:
        """Starts what may run now: the request that waits longest, and all that may be in its stack."""
        while self.waiting and len(self.running) < GPU_JOBS:
            first = self.waiting[0][0]
            together = [request for key, request in self.waiting if key == first]
            self.waiting = [(key, request) for key, request in self.waiting if key != first]
            end, held = os.pipe()
            _start(together, self.others)
            os.close(held)
            self.running.append(end)

    @property
    def others(self) -> list[socket.socket | Request]:
        """What a fork closes, since it is for others."""
        return [self.listener, *(request for _, request in self.waiting)]


def _receive(listener: socket.socket) -> Request | None:
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    outputs: list[int] = []
    try:
        header, outputs, *_ = socket.recv_fds(connection, LENGTH, 2)
        with connection.makefile("rb") as stream:
            request = Request(connection, outputs, *json.loads(stream.read(int.from_bytes(header, "big"))))
    except (OSError, ValueError):  # the asker is gone, in the middle of its request, or does not go on with it
        connection.close()
        for output in outputs:
            os.close(output)
        return None
    connection.settimeout(None)
    return request


def _is_gone(connection: socket.socket) -> bool:
    """Whether the asker has ended; it sends nothing else."""
    return connection in select.select([connection], [], [], 0)[0]


@cache
def _gpu_is_there() -> bool:
    """Asked in a fork: a process that has asked CUDA cannot be forked to use it."""
    answer, given = os.pipe()
    if os.fork() == 0:
        try:
            os.write(given, bytes([importlib.import_module("torch").cuda.is_available()]))
        finally:  # also where the question fails: there must be one server
            os._exit(0)
    os.close(given)
    with open(answer, "rb") as stream:
        return stream.read() == b"\x01"


def _start(requests: list[Request], others: Iterable[socket.socket | Request]) -> None:
    """Starts a fork for the job of some requests; what its module imports stays for the next."""
    with suppress(Exception):  # if it fails, it does so in the fork too, where the job can say so
        importlib.import_module(f"pipeline.jobs.{requests[0].job}")
    if os.fork() == 0:
        for other in others:
            other.close()
        _become(requests, ended := threading.Event())
        _run(requests, ended)
    for request in requests:
        request.close()


def _become(requests: list[Request], ended: threading.Event) -> None:
    """Makes the fork a process like the first that asks, and ends it with any of them, unless it has ended its job."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, output in enumerate((os.open(os.devnull, os.O_RDONLY), *requests[0].outputs)):
        os.dup2(output, place)
    os.chdir(requests[0].folder)
    os.environ.clear()
    os.environ.update(requests[0].environment)
    for request in requests:
        threading.Thread(target=_end_with, args=[request.connection, ended], daemon=True).start()


def _end_with(connection: socket.socket, ended: threading.Event) -> None:
    connection.recv(1)  # nothing is sent: it returns when the asker is gone
    if not ended.is_set():
        os.kill(os.getpid(), signal.SIGKILL)


def _run(requests: list[Request], ended: threading.Event) -> NoReturn:
    """Runs a job's module as ``python -m`` would, and ends with its status."""
    job = requests[0].job
    first, *others = (request.arguments for request in requests)
    sys.argv = [job, *first, *(word for more in others for word in ("--", *more))]
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
    ended.set()
    for request in requests:
        with suppress(OSError):  # the asker is gone
            request.connection.sendall(bytes([status]))
    os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
