"""The server of jobs: a job there is what it is in a process of its own."""

import errno
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from drawing import draw_block
from pipeline.config import Training, Transformer
from pipeline.data.datasets import write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.jobs import server
from pipeline.jobs.client import KILLED, SOCKET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server runs on Linux only")
HOLDOUT = {"function": "and", "k": 2, "T": 10, "holdout_size": 50}


def command(output, spec=HOLDOUT) -> list[str]:
    spec = json.dumps(spec)
    paths = ["--output", str(output), "--log", f"{output}.log"]
    return [sys.executable, "-m", "pipeline.jobs", "holdout", "--spec", spec, *paths]


@pytest.fixture
def running(monkeypatch):
    """A server, and the environment of a process that asks it."""
    monkeypatch.setenv(SOCKET, "")  # to be restored
    process = server.start(Path(server.__file__).parents[2])
    path = Path(os.environ[SOCKET])
    yield process, dict(os.environ)
    process.stdin.close()
    assert process.wait() == 0
    assert not path.parent.exists()


def test_a_job_writes_what_it_writes_alone_and_says_what_it_says(running, tmp_path):
    _, environment = running
    there = subprocess.run(command(tmp_path / "there"), env=environment, capture_output=True, text=True, cwd=tmp_path)
    del environment[SOCKET]
    here = subprocess.run(command(tmp_path / "here"), env=environment, capture_output=True, text=True)
    assert there.returncode == here.returncode == 0
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert there.stderr[8:] == here.stderr[8:], "but for the time in front"


def test_a_job_that_fails_says_why_and_the_next_one_runs(running, tmp_path):
    _, environment = running
    for spec, expected in (({**HOLDOUT, "function": "nand"}, "KeyError: 'nand'"), ({}, "KeyError: 'function'")):
        failed = subprocess.run(command(tmp_path / "x", spec), env=environment, capture_output=True, text=True)
        assert failed.returncode == 1
        assert expected in failed.stderr
    usage = subprocess.run(command(tmp_path / "x")[:-2], env=environment, capture_output=True, text=True)
    assert usage.returncode == 2
    assert "--log" in usage.stderr
    assert subprocess.run(command(tmp_path / "x"), env=environment, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "torn", [b"", b"\x00", (1000).to_bytes(8, "big") + b'["holdout", [', (3).to_bytes(8, "big") + b"abc"]
)
def test_a_request_that_breaks_off_harms_no_other(running, torn, tmp_path):
    _, environment = running
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(environment[SOCKET])
        if torn:
            socket.send_fds(connection, [torn[:8]], [1, 2])
            connection.sendall(torn[8:])
    whole = subprocess.run(command(tmp_path / "whole"), env=environment, capture_output=True, text=True)
    assert whole.returncode == 0
    assert (tmp_path / "whole").exists()


def test_adaptive_rounds_wait_for_the_gpu_each_as_a_stack_of_its_own():
    """Else all that --cores allows would train at a time."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket() as one, socket.socket() as other:
        queue = server.GpuQueue(listener)
        arguments = ["--spec", "{}", "--device"]
        for connection in (one, other):
            assert queue.takes(server.Request(connection, [], "train_adaptive", [*arguments, "cuda"], "", {}))
        assert len({key for key, _ in queue.waiting}) == 2
        assert not queue.takes(server.Request(one, [], "train_adaptive", [*arguments, "cpu"], "", {}))


def test_without_a_server_a_job_runs_in_its_own_process(tmp_path):
    environment = {**os.environ, SOCKET: str(tmp_path / "nobody")}
    assert subprocess.run(command(tmp_path / "x"), env=environment, capture_output=True).returncode == 0
    assert (tmp_path / "x").exists()


def test_where_no_socket_can_be_made_there_is_no_server(tmp_path, monkeypatch):
    """Such as in a folder for temporary files whose path is longer than a socket's may be."""
    monkeypatch.delenv(SOCKET, raising=False)
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert server.start(Path(server.__file__).parents[2]) is None
    assert list(deep.iterdir()) == []
    assert SOCKET not in os.environ


def test_a_job_whose_server_ends_before_it_takes_the_request_runs_in_its_own_process(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "jobs"))
        listener.listen()
        environment = {**os.environ, SOCKET: str(tmp_path / "jobs")}
        asker = subprocess.Popen(command(tmp_path / "x"), env=environment)
        select.select([listener], [], [])
    assert asker.wait() == 0
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize("victim", ["asker", "server"])
def test_a_job_ends_with_the_process_that_asks_for_it(running, tmp_path, victim):
    """The job waits for what a pipe, in place of its holdout, never brings."""
    process, environment = running
    os.mkfifo(tmp_path / "pipe")
    spec = json.dumps({"cell": {"function": "and", "k": 2, "T": 9, "n": 5}, "seeds": "0-4"})
    waiting = [sys.executable, "-m", "pipeline.jobs", "dataset", "--spec", spec]
    waiting += ["--holdout", str(tmp_path / "pipe"), "--output", str(tmp_path / "x"), "--log", str(tmp_path / "log")]
    waiting += ["--checkpoint", str(tmp_path / "checkpoint"), "--code=0"]
    asker = subprocess.Popen(waiting, env=environment)
    with _to_reader(tmp_path / "pipe", asker):
        job = _child_of(process.pid)
        if victim == "asker":
            asker.send_signal(signal.SIGKILL)
            asker.wait()
        else:
            os.kill(job, signal.SIGKILL)
            assert asker.wait() == KILLED
        deadline = time.monotonic() + 30
        while _is_running(job):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _to_reader(pipe: Path, asker: subprocess.Popen) -> io.FileIO:
    """The pipe, open to write to, once the job of ``asker`` reads it."""
    while True:
        try:
            return open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        except OSError as no_reader:
            assert no_reader.errno == errno.ENXIO
            assert asker.poll() is None
            time.sleep(0.01)


def _child_of(parent: int) -> int:
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


def _is_running(process: int) -> bool:
    return os.path.exists(f"/proc/{process}")


QUEUEING = """if True:
    import socket, sys
    from pipeline.jobs import server
    server._gpu_is_there = lambda: True
    server.GPU_JOBS = 1
    takes = server.GpuQueue.takes
    server.GpuQueue.takes = lambda queue, request: takes(queue, request) and not print("taken", flush=True)
    server.serve(socket.socket(fileno=int(sys.argv[1])))"""
ASKING = """if True:
    from pipeline.jobs import server
    server.importlib.import_module = lambda name: 1 / 0
    try:
        answer = server._gpu_is_there()
    except ZeroDivisionError:  # of a fork that goes on
        answer = "fork"
    print(answer, flush=True)"""
MODEL = Transformer(width=8, heads=2, mlp_width=8).model_dump(mode="json")
TRAINING = Training(learning_rate=1e-2, max_steps=20).model_dump(mode="json")


@pytest.fixture
def queueing(tmp_path):
    """A server that takes the CPU for a GPU and trains one stack at a time, and the environment of who asks it.

    It says so when it has taken a job for the GPU.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        (tmp_path / "server").mkdir()
        listener.bind(str(tmp_path / "server/jobs"))
        listener.listen()
        server_command = [sys.executable, "-c", QUEUEING, str(listener.fileno())]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(server_command, **pipes, pass_fds=[listener.fileno()])
    yield process, {**os.environ, SOCKET: str(tmp_path / "server/jobs")}
    process.stdin.close()
    assert process.wait() == 0
    process.stdout.close()


def training_command(folder: Path, T: int, n: int, dataset: Path | None = None) -> list[str]:
    """Of a job that trains two runs, whose data it draws."""
    name, cell = f"T{T}-n{n}", {"function": "and", "k": 2, "T": T, "n": n}
    holdout, drawn = folder / f"T{T}.parquet", folder / f"{name}-data.parquet"
    write_holdout(draw_holdout("and", 2, T, 50), holdout)
    drawing = {"reject_ambiguous": False, "max_redraws": 0, "label_noise": 0.0, "feature_noise": 0.0}
    draw_block({"cell": cell, "seeds": "0-1", **drawing}, holdout, drawn)
    spec = {"cell": cell | {"data": "d", "model": "m", "training": "t"}, "model": MODEL, "training": TRAINING}
    paths = {
        "dataset": dataset or drawn,
        "holdout": holdout,
        "output": folder / name,
        "checkpoint": folder / f"{name}.pt",
    }
    options = paths | {"spec": json.dumps(spec), "code": "0", "log": folder / f"{name}.log", "device": "auto"}
    options |= {"precision": "float32", "threads": 1}
    words = (str(word) for name, value in options.items() for word in (f"--{name}", value))
    return [sys.executable, "-m", "pipeline.jobs", "train", *words]


def test_a_training_job_finds_all_modules_in_its_fork(tmp_path):
    """Numpy imports its random numbers where they are first used, and loses a Ctrl-C that comes while it does."""
    script = f"""import sys
from pipeline.jobs import train
there = set(sys.modules)
sys.argv = {training_command(tmp_path, 9, 5)[3:]!r}
train.main()
print(sorted(sys.modules.keys() - there))"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "[]\n"), run.stderr


def test_a_question_for_a_gpu_that_fails_is_answered_no_and_leaves_one_process():
    asked = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, text=True, timeout=60)
    assert asked.stdout == "False\n", asked.stderr


def test_jobs_that_wait_for_the_gpu_are_trained_as_one_stack(queueing, tmp_path):
    """Those of a curve, that is; and of a process that has ended nothing is trained."""
    process, environment = queueing
    os.mkfifo(tmp_path / "pipe")

    def ask(T: int, n: int, dataset: Path | None = None) -> subprocess.Popen:
        asker = subprocess.Popen(training_command(tmp_path, T, n, dataset), env=environment)
        process.stdout.readline()
        return asker

    first = ask(9, 5, tmp_path / "pipe")
    given_up, *waiting = [ask(9, 6), ask(9, 8), ask(9, 12), ask(10, 8)]
    given_up.kill()
    given_up.wait()
    open(tmp_path / "pipe", "wb").close()  # until then, the first has the GPU
    assert first.wait() == 1, "what it read is no Parquet file"
    assert [job.wait() for job in waiting] == [0, 0, 0]
    assert not (tmp_path / "T9-n6").exists()
    for name, cells in {"T9-n8": (8, 12), "T9-n12": (8, 12), "T10-n8": (8,)}.items():
        assert (tmp_path / name).exists()
        found = re.findall(r"n = (\d+): \d of 2 runs", (tmp_path / f"{name}.log").read_text())
        assert tuple(map(int, found)) == cells
