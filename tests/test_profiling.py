"""Where the time went: shares of known jobs."""

import json

import pytest

from pipeline.commands.profiling import JobTime, job_times, parts, table


def test_core_seconds_by_part():
    jobs = [
        JobTime("dataset", 0, 1),
        JobTime("train", 1, 11, learning=8),
        JobTime("fit", 1, 3, learning=1.5),
        JobTime("runs_table", 100, 102),  # after a pause in which nothing ran
        JobTime("figure_noise", 102, 103),
        JobTime("basin", 103, 107),
    ]
    found = parts(jobs, cores=2, deciding=0.5)
    assert found == pytest.approx(
        {
            "training, fitting and the theory": 9.5 + 4,
            "the same jobs besides: starts, imports, reading, writing": 2.5,
            "drawing data": 1,
            "tables": 2,
            "figures": 1,
            "cores without a job": 2 * 18 - 20,
            "deciding what to run": 1,
        }
    )
    lines = table(found).splitlines()
    assert lines[0].split() == ["16.0", "s", "43.2%", "cores", "without", "a", "job"]
    assert lines[-3] == "Of these together:", "the shares above it add up to the whole"
    assert lines[-2].split() == ["23.5", "s", "63.5%", "outside", "training"]
    assert lines[-1].split() == ["22.5", "s", "60.8%", "outside", "training", "and", "drawing"]


def test_job_times_come_from_records_and_logs(tmp_path):
    (tmp_path / "train.log").write_text("and: goes on\n11:00:01 and: 1 of 2 runs succeeded; 2.25 s of training\n")
    (tmp_path / "figure.log").touch()
    (tmp_path / "other.log").touch()
    records = {
        "a": {"rule": "train", "log": ["train.log"], "starttime": 10.0, "endtime": 13.0},
        "svg": {"rule": "figure_noise", "log": ["figure.log"], "starttime": 5.0, "endtime": 6.0},
        "png": {"rule": "figure_noise", "log": ["figure.log"], "starttime": 5.0, "endtime": 7.0},
        "gone": {"rule": "train", "log": ["deleted.log"], "starttime": 1.0, "endtime": 2.0},
        "of another config": {"rule": "train", "log": ["other.log"], "starttime": 1.0, "endtime": 2.0},
    }
    (tmp_path / ".snakemake/metadata").mkdir(parents=True)
    for name, record in records.items():
        (tmp_path / ".snakemake/metadata" / name).write_text(json.dumps(record))
    found = job_times(tmp_path, {"train.log", "figure.log", "deleted.log"})
    assert found == [JobTime("figure_noise", 5, 7), JobTime("train", 10, 13, 2.25)]
