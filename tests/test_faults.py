"""What may go wrong while the workflow runs, done to it for real: it says what happened and how to go on.

After each, what was computed is kept, the same command completes, and the tables are those of an undisturbed run.
"""

import errno
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.jobs import LESS_MEMORY
from pipeline.storage import read_frame, write_frame
from pipeline.workflow.faults import KILLED, STOPPED, bring_back
from running import ROOT, snakemake, start

pytestmark = pytest.mark.slow

CONFIG = {
    "data": {"small": {"holdout_size": 200}},
    "models": {"tiny": {"width": 16, "heads": 4, "mlp_width": 16}},
    "training": {"short": {"learning_rate": 0.01, "max_steps": 20000, "eval_every": 1000, "success": {"when": "last"}}},
    "experiments": {
        "and3": {
            "data": "small",
            "model": "tiny",
            "training": "short",
            "grid": {"k": [3], "T": [8], "n": [10, 40], "seeds": 2},
        }
    },
}
TABLE = "results/tables/success_rates.parquet"
DATASET = "results/datasets/small/and/k3/T8/n{}/seeds0-1.parquet"
RUNS = "results/runs/small/and/tiny/short/k3/T8/n{}/seeds0-1.parquet"


def options(folder: Path, config: dict = CONFIG) -> list[str]:
    """What asks for the table of success rates under a config."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return [TABLE, "--configfile", str(path)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = snakemake(folder, *options(folder))
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def copy(undisturbed, tmp_path) -> Path:
    """A copy of its folder, with its times."""
    shutil.copytree(undisturbed, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def half(copy) -> Path:
    """A copy in which one training job and the tables are still to be made."""
    shutil.rmtree(copy / "results/tables")
    (copy / RUNS.format(10)).unlink()
    return copy


def completes(folder: Path, undisturbed: Path, *jobs: str) -> str:
    """The same command runs just these jobs, by their rules, and ends with the tables of the undisturbed run.

    Returns what it printed.
    """
    run = snakemake(folder, *options(folder))
    assert run.returncode == 0, run.stderr
    assert sorted(re.findall(r"Finished jobid: .*Rule: (\w+)", run.stderr)) == sorted(jobs)
    for table in ("runs", "success_rates"):
        path = f"results/tables/{table}.parquet"
        pd.testing.assert_frame_equal(read_frame(folder / path), read_frame(undisturbed / path))
    return run.stderr


def said(text: str, printed: str) -> None:
    """The text was printed, and docs/faults.md explains it, by its words without paths."""
    assert text in printed, printed
    assert any(words in text for words in EXPLAINED), text


PAGE = (ROOT / "docs/faults.md").read_text()
EXPLAINED = [max(re.split(r" ?\W?… ?", code), key=len) for code in re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE)]
REST = ("train", "runs_table", "success_rates")  # what a half-finished copy lacks


def child(process: subprocess.Popen, job: str, loaded: str) -> int:
    """The process that Snakemake started for a job, once it has loaded a library of this name."""
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                mine = os.getsid(int(folder.name)) == process.pid and job.encode() in command
                if mine and loaded in (folder / "maps").read_text():
                    return int(folder.name)
            except (OSError, ProcessLookupError):  # it has just ended
                continue
        time.sleep(0.01)
    raise AssertionError(f"{job} was not seen:\n{process.stderr.read()}")


def test_a_killed_training_job(half, undisturbed):
    process = start(half, *options(half), start_new_session=True)
    os.kill(child(process, "pipeline.jobs.server", "kernels-"), signal.SIGKILL)
    _, printed = process.communicate()
    assert process.returncode == 1
    assert KILLED in printed.splitlines()
    said("killed by signal 9", printed)
    assert STOPPED in printed
    assert not (half / RUNS.format(10)).exists()
    completes(half, undisturbed, *REST)


def hear_the_terminal() -> None:
    """In a new process: what is started in the background of a shell, or by nohup, ignores its signals."""
    for ending in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)


def unlocks(folder: Path) -> None:
    """The same command says that the folder is locked and what to do; doing it removes the lock."""
    locked = snakemake(folder, *options(folder))
    assert locked.returncode == 1
    said("Directory cannot be locked", locked.stderr)
    assert "the remaining lock was likely caused by a kill signal" in locked.stderr
    assert snakemake(folder, "--unlock").returncode == 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_workflow(half, undisturbed, ending):
    """Ctrl-C goes to all processes of the terminal, as its end does, and so do these; the latter leave the lock."""
    process = start(half, *options(half), start_new_session=True, preexec_fn=hear_the_terminal)
    child(process, "pipeline.jobs.server", "kernels-")
    os.killpg(process.pid, ending)
    _, printed = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in printed
    assert not (half / RUNS.format(10)).exists()
    if ending == signal.SIGINT:
        said("interrupted", printed)
    else:
        unlocks(half)
    completes(half, undisturbed, *REST)


def test_a_killed_workflow_whose_job_runs_on(half, undisturbed):
    process = start(half, *options(half), start_new_session=True)
    child(process, "pipeline.jobs.server", "kernels-")
    process.kill()
    process.communicate()  # ends with the job, which has its output
    assert len(read_frame(half / RUNS.format(10))) == 2
    unlocks(half)
    completes(half, undisturbed, *REST)


def test_two_workflows_in_one_folder(half, undisturbed):
    first = start(half, *options(half), start_new_session=True)
    child(first, "pipeline.jobs.server", "torch")
    first.send_signal(signal.SIGSTOP)  # or it may be done before the other has started
    second = snakemake(half, *options(half))
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    said("Directory cannot be locked", second.stderr)
    assert "no other Snakemake process is trying to create the same files" in second.stderr
    first.communicate()
    assert first.returncode == 0
    completes(half, undisturbed)


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    """A mount on a folder, which takes privileges."""
    mount = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no rights to mount: {mount.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(undisturbed, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        shutil.copytree(undisturbed, folder, dirs_exist_ok=True)
        shutil.rmtree(folder / "results/tables")
        (folder / RUNS.format(10)).unlink()
        command = options(folder)
        room = 16 * 1024  # for Snakemake's own files
        (folder / "ballast").write_bytes(bytes(shutil.disk_usage(folder).free - room))
        full = snakemake(folder, *command)
        assert full.returncode == 1
        problem = f"cannot write {RUNS.format(10)}: No space left on device; free some space or mend the rights"
        said(problem, full.stderr)
        assert STOPPED in full.stderr
        assert not (folder / RUNS.format(10)).exists()
        (folder / "ballast").unlink()
        completes(folder, undisturbed, *REST)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder and all in it cannot be written; of root, whom rights do not bind, by a mount."""
    if os.getuid() == 0:
        with mounted(folder, "--bind", str(folder)):
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
            yield
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    yield
    for path in folders:
        path.chmod(0o755)


def test_a_read_only_folder(half, undisturbed):
    with read_only(half / "results"):
        refused = snakemake(half, *options(half))
    assert refused.returncode == 1
    reason = "Read-only file system" if os.getuid() == 0 else "Permission denied"
    said(f"cannot write to results: {reason}; mend the rights", refused.stderr)
    assert "Traceback" not in refused.stderr
    completes(half, undisturbed, *REST)


def damage(path: Path, how: str) -> None:
    """Truncates a file or flips a bit of it, and leaves its time, so that only its content tells."""
    status, data = path.stat(), bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_damaged_files(half, undisturbed):
    damage(half / DATASET.format(10), "bit-flipped")
    damage(half / RUNS.format(40), "truncated")
    printed = completes(half, undisturbed, "dataset", "train", *REST)
    for path in (DATASET.format(10), RUNS.format(40)):
        said(f"{path} is damaged: renamed", printed)
        assert (half / f"{path}.damaged").exists()


def test_damage_that_is_not_seen_at_the_start(half, undisturbed):
    """A training set that is read by a job, then a run that is read for the tables."""
    damage(half / DATASET.format(10), "bit-flipped")
    damage(half / RUNS.format(40), "truncated")
    (half / "results/.checked").touch()
    later = time.time() + 3600
    for path in (DATASET.format(10), RUNS.format(40)):
        os.utime(half / "results/.checked", (later, later))  # as if all files had been checked since
        stopped = snakemake(half, *options(half))
        assert stopped.returncode == 1
        said(f"{path} is damaged (", stopped.stderr)
        assert "delete it and run snakemake again" in stopped.stderr
        (half / path).unlink()
        os.utime(half / "results/.checked")
    completes(half, undisturbed, "train", "runs_table", "success_rates")


def test_a_figure_that_cannot_be_drawn(tmp_path):
    write_frame(pd.DataFrame({"n": []}), tmp_path / "results/tables/basin.parquet")
    basin = {"data": "small", "model": "tiny", "training": "short"}
    config = options(tmp_path, CONFIG | {"theory": {"basin": basin}, "figures": {"basin": True}})[1:]
    stopped = snakemake(tmp_path, "results/figures/basin.svg", "--allowed-rules", "figure_basin", *config)
    assert stopped.returncode == 1
    said("figure basin: there are no runs to draw; more is in results/logs/figures/basin.log", stopped.stderr)
    assert "Traceback" not in stopped.stderr
    assert "in chart" in (tmp_path / "results/logs/figures/basin.log").read_text()


def with_experiment(**settings) -> dict:
    """The config with a second experiment, of one cell, with other settings of the model or the training."""
    config = json.loads(json.dumps(CONFIG))  # a deep copy
    for part, values in settings.items():
        config[part]["other"] = values
    names = {"model" if part == "models" else part: "other" for part in settings}
    grid = {"k": [3], "T": [8], "n": [40], "seeds": 1}
    config["experiments"]["other"] = config["experiments"]["and3"] | names | {"grid": grid}
    return config


def test_a_run_that_diverges(copy, undisturbed):
    wild = with_experiment(training={"learning_rate": 1e30, "max_steps": 20})
    run = snakemake(copy, "results/summary.txt", *options(copy, wild))
    assert run.returncode == 0, run.stderr
    said("1 of them diverged", run.stderr)
    runs, expected = (read_frame(folder / "results/tables/runs.parquet") for folder in (copy, undisturbed))
    pd.testing.assert_frame_equal(runs.query("experiment == 'and3'"), expected)
    assert runs.query("experiment == 'other'")["status"].tolist() == ["diverged"]
    assert "runs that diverged, which count as failures: 1" in (copy / "results/summary.txt").read_text()
    assert "Nothing to be done" in snakemake(copy, *options(copy, wild)).stderr


def test_too_little_memory(copy, undisturbed):
    config = with_experiment(models={"kind": "mlp", "widths": [4096, 4096]}, training={"max_steps": 20})
    # The address space that a job takes with its imports depends on the build of torch: 0.8 GB, or 3.3 with CUDA.
    peak = "import re, pipeline.jobs.train; print(re.search(r'VmPeak:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    limit = 1024 * int(subprocess.check_output([sys.executable, "-c", peak])) + 1200 * 2**20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    short = snakemake(copy, *options(copy, config), preexec_fn=limited)
    assert short.returncode == 1
    said("out of memory (", short.stderr)
    assert LESS_MEMORY in short.stderr
    assert "Traceback" not in short.stderr
    run = snakemake(copy, *options(copy, config))
    assert run.returncode == 0, run.stderr
    runs, expected = (read_frame(folder / "results/tables/runs.parquet") for folder in (copy, undisturbed))
    pd.testing.assert_frame_equal(runs.query("experiment == 'and3'"), expected)


def test_bringing_files_back_from_the_future_passes_by_what_is_no_longer_there(tmp_path):
    early, late = tmp_path / "early", tmp_path / "late"
    for path in (early, late):
        path.touch()
    os.utime(late, (time.time() + 3600,) * 2)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    bring_back(tmp_path, [late], [early])
    assert late.stat().st_mtime_ns == early.stat().st_mtime_ns


def test_a_clock_that_went_back(half, undisturbed):
    """What is there was made an hour from now, so what is still to be made will seem older than what it is made of."""
    later = time.time() + 3600
    for path in (half / "results").rglob("*"):
        os.utime(path, (later, later))
    said("The clock went back", completes(half, undisturbed, *REST))
    completes(half, undisturbed)
    assert all(path.stat().st_mtime < time.time() for path in (half / "results").rglob("*"))


def test_a_limit_on_file_sizes(tmp_path):
    """A quota, or a full disk for who may not mount one."""
    spec = {"function": "and", "k": 3, "T": 800, "holdout_size": 1000}
    output, log = tmp_path / "holdout.parquet", tmp_path / "job.log"
    command = [sys.executable, "-m", "pipeline.jobs.holdout", "--spec", json.dumps(spec)]
    command += ["--output", str(output), "--log", str(log)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    job = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited)
    assert job.returncode == 1
    assert f"cannot write {output}: {os.strerror(errno.EFBIG)}; free some space" in job.stderr
    assert "Traceback" not in job.stderr
    assert list(tmp_path.iterdir()) == [log]
