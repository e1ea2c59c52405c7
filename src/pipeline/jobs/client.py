"""Asks the server of jobs to run one. Each job of the workflow starts with this module, so it imports little."""

import json
import os
import signal
import socket

SOCKET = "PIPELINE_JOB_SERVER"  # the environment variable that names the server's socket
KILLED = 128 + signal.SIGKILL  # as a shell says it of a process
LENGTH = 8  # bytes in front of a request


def ask(path: str, job: str, arguments: list[str]) -> int | None:
    """Has the server run a job, with this process's output, folder and environment; None if there is no server.

    Gives the job's exit status. If this process ends before, so does the job.
    """
    request = json.dumps([job, arguments, os.getcwd(), dict(os.environ)]).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            socket.send_fds(connection, [len(request).to_bytes(LENGTH, "big")], [1, 2])
            connection.sendall(request)
            status = _status(connection)
        except OSError:  # there is none, or it ended before it took the request
            return None
    return status[0] if status else KILLED


def _status(connection: socket.socket) -> bytes:
    """What a job answers at its end: its exit status, or nothing if it was killed."""
    try:
        return connection.recv(1)
    except KeyboardInterrupt:  # it came to the job too, which says so
        return connection.recv(1)
