"""The description of results as a research object."""

import hashlib
import json
import subprocess
import sys

import pytest
from rocrate.rocrate import ROCrate

from pipeline.commands.crate import PAPER, write
from pipeline.provenance import commit
from running import ROOT


@pytest.fixture
def results(tmp_path):
    """A results folder in a checkout of one commit."""
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    for name in ("config.yaml", "tables/runs.parquet", "figures/laws.svg", "figures/.laws.svg.partial", "logs/a.log"):
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "results"


def test_every_result_is_described_with_what_made_it(results):
    path = write(results, "make paper", results.parent)
    entities = {one["@id"]: one for one in json.loads(path.read_text())["@graph"]}
    table = entities["tables/runs.parquet"]
    assert table["sha256"] == hashlib.sha256(b"tables/runs.parquet").hexdigest()
    assert table["contentSize"] == "19"
    run = entities["#run"]
    assert run["name"] == "make paper"
    assert run["object"] == [{"@id": "config.yaml"}] or run["object"] == {"@id": "config.yaml"}
    assert {one["@id"] for one in run["result"]} == {"tables/runs.parquet", "figures/laws.svg"}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=results, capture_output=True, text=True).stdout.strip()
    assert entities["#pipeline"]["version"] == head
    assert entities["./"]["citation"] == {"@id": PAPER}
    assert not any("partial" in name or "log" in name.split("/")[0] for name in entities)


def test_the_description_is_read_back_and_repeats(results):
    first = write(results, "make paper").read_text()
    assert write(results, "make paper").read_text() == first
    assert {one.id for one in ROCrate(results).get_entities() if one.type == "File"} == {
        "config.yaml",
        "tables/runs.parquet",
        "figures/laws.svg",
    }


def test_the_version_is_that_of_the_code_wherever_the_results_are(results, tmp_path):
    assert f'"version": "{commit(ROOT)}"' in write(results, "make paper").read_text() or not commit(ROOT)
    (tmp_path / ".git").rename(tmp_path / "elsewhere")
    assert "version" not in write(results, "make paper", results).read_text(), "so for a download without git"


def test_nothing_to_describe_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the workflow first"):
        write(tmp_path, "make paper")


def test_the_command_says_so_in_a_line(tmp_path):
    command = [sys.executable, "-m", "pipeline.commands.crate", "--results", str(tmp_path), "--command", "make paper"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == f"{tmp_path} holds no finished results; run the workflow first\n"
