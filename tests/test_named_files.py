"""The files that a config names are read before anything runs, or refused."""

import subprocess
import sys

import pytest
import yaml

from pipeline.config import Config, ConfigError, parse
from pipeline.workflow.named_files import read
from running import ROOT, environment

POINTS = "context_length,critical_sample_size,bar_low,bar_high\n"


def config(**sections) -> Config:
    return parse({"experiments": {"one": {"grid": {"T": [5], "k": [3], "n": [20]}}}, "claims": None, **sections})


def showing(path: str) -> dict:
    return {"critical_sample_size": {"experiments": ["one"], "paper_points": path}}


def test_what_the_files_say(tmp_path):
    (tmp_path / "points.csv").write_text(f"{POINTS}100,50,48,52.5\n")
    (tmp_path / "claims.yaml").write_bytes((ROOT / "config/claims.yaml").read_bytes())
    found = read(config(figures=showing("points.csv"), claims="claims.yaml"), tmp_path)
    assert found.paper_points == {"critical_sample_size": str(tmp_path / "points.csv")}
    assert list(found.claims) == list(yaml.safe_load((ROOT / "config/claims.yaml").read_text())["claims"])


def test_a_config_that_names_no_files_needs_none(tmp_path):
    assert read(config(), tmp_path) == ({}, {})
    assert read(config(figures={"critical_sample_size": None}), tmp_path) == ({}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        POINTS,
        "T,n,bar_low,bar_high\n100,50,48,52\n",
        f"{POINTS}100,50,48\n",
        f"{POINTS}100,50,48,?\n",
        f"{POINTS}100,50,48,nan\n",
        f"{POINTS}0,50,48,52\n",
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_holds_no_points_is_refused(text, tmp_path):
    points = tmp_path / "points.csv"
    points.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as error:
        read(config(figures=showing("points.csv")), tmp_path)
    assert str(error.value) == (
        f"figures.critical_sample_size.paper_points: {points} needs the columns context_length, critical_sample_size, "
        "bar_low, bar_high, and positive numbers below them; correct the file, or write paper_points: null"
    )


ABSENT = (
    "The config is wrong:\n"
    "figures.critical_sample_size.paper_points: there is no file {root}/absent.csv; correct the path,"
    " or write paper_points: null\n"
    "claims: {root}/absent.yaml: No such file or directory; correct the path, or write claims: null\n"
)


@pytest.mark.parametrize("command", ["forecast", "stale"])
def test_all_that_are_absent_are_said_by_the_commands_that_read_a_config(command, tmp_path):
    made = config(figures=showing("absent.csv"), claims="absent.yaml")
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(made.model_dump(mode="json")))
    words = [sys.executable, "-m", f"pipeline.commands.{command}", str(tmp_path / "my.yaml")]
    check = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert (check.returncode, check.stderr) == (1, ABSENT.format(root=ROOT))
