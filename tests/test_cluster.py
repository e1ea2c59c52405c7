"""What the workflow says of SLURM jobs; tests/slurm has the real ones."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from pipeline.workflow.cluster import early_end, still_running
from running import ROOT


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A folder, and a squeue that knows three jobs: the workflow's, a shell, and the workflow's in another folder."""
    lines = f"12|rule_training_train|{tmp_path}", f"13|(null)|{tmp_path}", f"14|rule_fits_fit|{tmp_path}/other"
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\ncat <<'END'\n{}\nEND\n".format("\n".join(lines)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_jobs_of_an_earlier_run_are_named_with_what_to_do(squeue):
    message = still_running(squeue)
    assert "still work in this folder: 12." in message
    assert "scancel 12;" in message
    assert "13" not in message
    assert "14" not in message
    assert still_running(Path("/nowhere")) is None


def test_an_early_end_shows_what_slurm_said_before_snakemakes_report(tmp_path):
    said = ["slurmstepd: error: StepId=12.0 exceeded memory limit (325 > 262), being killed", "srun: error: Killed"]
    log = tmp_path / "12.log"
    log.write_text("\n".join([*map(str, range(20)), *said, "[a date]", "Error in rule train:", "    jobid: 2"]))
    lines = early_end("training", [str(log)]).splitlines()
    assert lines == [
        f"A SLURM job of training ended early. Its log: {log}",
        *(f"    {line}" for line in ["16", "17", "18", "19", *said]),
    ]


def test_an_early_end_without_a_report_shows_the_end_of_the_log(tmp_path):
    log = tmp_path / "12.log"
    log.write_text("one\nslurmstepd: error: *** JOB 12 ON node CANCELLED ***\n")
    assert early_end("training", [str(log)]).splitlines()[-1].endswith("*** JOB 12 ON node CANCELLED ***")
    assert "gone.log" in early_end("training", [str(tmp_path / "gone.log")])


def test_the_rules_of_a_group_ask_for_the_same_texts():
    """Snakemake adds up the numbers of a group's rules and refuses unequal texts, such as a partition for GPUs."""
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    profile["set-resources"]["train"] |= {"slurm_partition": "gpu", "gres": "gpu:1"}  # of an anchor: as the third line
    asked = defaultdict(set)
    for rule, group in profile["groups"].items():
        resources = profile["set-resources"].get(rule, {})
        asked[group].add((resources.get("slurm_partition"), resources.get("gres")))
    assert {group: len(texts) for group, texts in asked.items()} == dict.fromkeys(asked, 1)
    assert asked["training"] == asked["rounds"] == {("gpu", "gpu:1")}
