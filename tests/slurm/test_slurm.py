"""The workflow on a real SLURM, with the profile as a user changes it, and what may go wrong there, done for real."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from pipeline.storage import read_frame
from running import ROOT, snakemake, start
from smoke import SMOKE, jobs

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

CHANGES = {  # the three lines, as docs/cluster.md has them
    "slurm_account: my_account ": "slurm_account: lab ",
    "slurm_partition: cpu ": "slurm_partition: normal ",
    "{runtime: 5 * attempt} ": '{runtime: 5 * attempt, slurm_partition: gpu, gres: "gpu:1"} ',
}
# Without a database of accounts only squeue knows of jobs that have ended; the rest is for haste.
HASTE = [
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=2",
    "--slurm-keep-successful-logs",
    "--latency-wait=5",
    "--cores=1",
]

SMALL = {
    "data": {"small": {"holdout_size": 200}},
    "models": {"tiny": {"width": 16, "heads": 4, "mlp_width": 16}},
    "training": {"short": {"learning_rate": 0.01, "max_steps": 40, "eval_every": 20}},
    "experiments": {
        "and3": {
            "data": "small",
            "model": "tiny",
            "training": "short",
            "grid": {"k": [3], "T": [8], "n": [10, 20, 40], "seeds": 2},
        }
    },
}
TABLES = [f"results/tables/{name}.parquet" for name in ("runs", "success_rates")]
RUNS = [f"results/runs/small/and/tiny/short/k3/T8/n{n}/seeds0-1.parquet" for n in (10, 20, 40)]


class Job(NamedTuple):
    """A SLURM job: squeue's columns i, t, k, b, C, m, l, a, P and Z."""

    id: str
    state: str
    rules: str
    gres: str
    cpus: str
    memory: str
    time: str
    account: str
    partition: str
    folder: str


def jobs_of(cluster, folder: Path) -> list[Job]:
    """The SLURM jobs of a workflow's folder, oldest first."""
    found = [Job(*columns) for columns in cluster.jobs("itkbCmlaPZ")]
    return [job for job in found if job.folder == str(folder)]


def profile(folder: Path) -> list[str]:
    """The options of a run with the profile for SLURM, its three lines changed."""
    text = (ROOT / "workflow/profiles/slurm/config.yaml").read_text()
    for old, new in CHANGES.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "slurm" / "config.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return ["--profile", str(path.parent), *HASTE]


def configured(folder: Path, **training) -> list[str]:
    """What asks for the tables under the small config, its training changed."""
    config = SMALL | {"training": {"short": SMALL["training"]["short"] | training}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return [*TABLES, "--configfile", str(path)]


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until a condition holds, six minutes at most."""
    end = time.monotonic() + 360
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def finished_rules(printed: str) -> list[str]:
    """The rules of the jobs that a workflow says are finished."""
    return sorted(re.findall(r"Finished jobid: .*Rule: (\w+)", printed))


def same_tables(folder: Path, other: Path) -> None:
    """Checks that two folders have the same tables, by content."""
    names = [path.name for path in sorted((other / "results/tables").glob("*.parquet"))]
    assert names
    for name in names:
        paths = (one / "results/tables" / name for one in (folder, other))
        pd.testing.assert_frame_equal(*map(read_frame, paths), obj=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a local run of the small config that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = snakemake(folder, *configured(folder))
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def untrained(undisturbed, tmp_path):
    """A copy of that folder in which the training jobs and the tables are still to be made."""
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed, folder)
    shutil.rmtree(folder / "results/tables")
    shutil.rmtree(folder / "results/runs")
    shutil.rmtree(folder / ".snakemake/metadata")
    return folder


# Of a finished run, what is made again: a few blocks, and all tables and figures; or everything, which takes long.
SOME = ("*.*", "tables", "figures", "designs", "**/noisy_bits", "**/decision_tree", "**/round*")
ALL = ("*",)


@pytest.mark.parametrize(
    ("removed", "together", "trainings"),  # how many jobs a SLURM job has at least, and how many of SLURM's train
    [
        pytest.param(SOME, 4, range(1, 4), id="some"),
        pytest.param(ALL, 6, range(4, 7), id="all", marks=pytest.mark.whole),
    ],
)
def test_the_smoke_config_gives_the_tables_of_a_local_run(
    cluster, finished, copy, removed, together, trainings, tmp_path, monkeypatch
):
    for path in [path for pattern in removed for path in copy.glob(f"results/{pattern}")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    hook = tmp_path / "hook.sh"  # bash reads it before each job's command
    line = "${SLURM_JOB_ID} ${CUDA_VISIBLE_DEVICES-none} ${PIPELINE_JOB_SERVER-none}"
    hook.write_text(f'[ -z "${{SLURM_JOB_ID-}}" ] || echo "{line}" >> {tmp_path}/devices\n')
    monkeypatch.setenv("BASH_ENV", str(hook))
    sizes = {"datasets": 4, "training": 9, "fits": 7, "rounds": 4, "theory": 3, "tables": 3, "figures": 6}
    components = [f"{group}={size}" for group, size in sizes.items()]  # smaller than the profile's
    options = [*profile(tmp_path), "--configfile", str(SMOKE), "--group-components", *components]
    run = snakemake(copy, *options)
    assert run.returncode == 0, run.stderr[-5000:]
    same_tables(copy, finished[0])
    figures = {path.name for path in (finished[0] / "results/figures").iterdir()}
    assert {path.name for path in (copy / "results/figures").iterdir()} == figures

    submitted, done = jobs_of(cluster, copy), finished_rules(run.stderr)
    assert set(done) == set(finished_rules(finished[1])), "each rule has run on the cluster"
    assert len(submitted) <= 20
    assert len(done) > together * len(submitted)
    assert {(job.state, job.cpus, job.account) for job in submitted} == {("CD", "1", "lab")}
    assert {job.memory for job in submitted if not job.rules.startswith("rule_theory_")} == {"1000M"}
    training = [job for job in submitted if job.rules.startswith(("rule_training_", "rule_rounds_"))]
    assert len(training) in trainings
    assert {job.partition for job in training} == {"gpu"}
    assert {job.gres for job in training} == {"gres:gpu:1"}
    assert all(job.partition == "normal" and job.gres == "N/A" for job in submitted if job not in training)
    lines = [line.split() for line in (tmp_path / "devices").read_text().splitlines()]
    assert {server for *_, server in lines} == {"none"}, "a job of the cluster asks no server of the login node"
    devices = {job: device for job, device, _ in lines}
    assert {job.id: devices[job.id] in ("0", "1") for job in submitted} == {
        job.id: job in training for job in submitted
    }


def test_a_job_out_of_memory_is_tried_again_with_more(cluster, untrained):
    configured(untrained)
    options = [*profile(untrained), "--configfile", str(untrained / "config.yaml")]
    memory = "train:mem_mb=150 * 10 ** (attempt - 1)"
    run = snakemake(untrained, RUNS[0], *options, "--set-resources", memory)
    assert run.returncode == 0, run.stderr[-5000:]
    assert "exceeded memory limit" in run.stderr
    first, second = jobs_of(cluster, untrained)
    assert (first.state, first.memory, first.time) == ("F", "150M", "2:00")
    assert (second.state, second.memory, second.time) == ("CD", "1500M", "4:00")


def test_a_cancelled_job_goes_on_where_it_ended(cluster, untrained, undisturbed):
    process = start(untrained, *profile(untrained), *configured(untrained))
    until(lambda: any((untrained / path).exists() for path in RUNS), "no run was finished")
    (job,) = jobs_of(cluster, untrained)
    cluster.run("scancel", job.id)
    until(lambda: jobs_of(cluster, untrained)[0].state == "CA", "the job was not cancelled")
    made = {path: (untrained / path).stat().st_ino for path in RUNS if (untrained / path).exists()}
    assert 1 <= len(made) < len(RUNS)
    _, printed = process.communicate()
    assert process.returncode == 0, printed[-5000:]
    assert "A SLURM job of training ended early" in printed
    # of the job's own line and its step's, the one that SLURM wrote first stands before the workflow's report
    assert re.search(rf"(JOB {job.id}|STEP {job.id}\.0) ON \S+ CANCELLED", printed)
    again = jobs_of(cluster, untrained)[1]
    assert (again.state, again.memory, again.time) == ("CD", "2000M", "30:00")
    assert {path: (untrained / path).stat().st_ino for path in made} == made, "what was finished is not made again"
    same_tables(untrained, undisturbed)


def test_a_killed_workflow_finds_what_its_jobs_have_finished(cluster, untrained, undisturbed):
    options = [*profile(untrained), *configured(untrained)]
    process = start(untrained, *options)
    until(lambda: any((untrained / path).exists() for path in RUNS), "no run was finished")
    (job,) = jobs_of(cluster, untrained)
    cluster.run("scontrol", "suspend", job.id)  # so that it runs on for as long as the test wants
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    locked = snakemake(untrained, *options)
    assert locked.returncode == 1
    assert "the remaining lock was likely caused by a kill signal" in locked.stderr
    assert snakemake(untrained, "--unlock", *options).returncode == 0
    refused = snakemake(untrained, *options)
    assert refused.returncode == 1
    assert f"SLURM jobs of an earlier run still work in this folder: {job.id}. Let them finish" in refused.stderr

    cluster.run("scontrol", "resume", job.id)
    until(lambda: jobs_of(cluster, untrained)[0].state == "CD", "the job did not finish")
    made = [(untrained / path).stat().st_ino for path in RUNS]
    assert jobs(untrained, *configured(untrained, max_steps=60))["train"] == len(RUNS), "they are known to be stale"
    configured(untrained)
    run = snakemake(untrained, *options)
    assert run.returncode == 0, run.stderr[-5000:]
    assert finished_rules(run.stderr) == ["runs_table", "success_rates"]
    assert [(untrained / path).stat().st_ino for path in RUNS] == made
    same_tables(untrained, undisturbed)
