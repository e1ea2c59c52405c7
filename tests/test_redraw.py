"""Figures alone: only what is stale, never a training, and too few runs are said."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from pipeline.commands import redraw
from pipeline.commands.dry_run import Job, WorkflowFailed
from pipeline.commands.shared import Workflow
from running import ROOT, environment
from smoke import copy_of_the_checkout

CONFIGS = [Path("my.yaml"), Path("tree.yaml")]
FOLLOWS = "Input files updated by another job: x"
TABLE, FIGURE = Job("runs_table", FOLLOWS, "t.parquet"), Job("figure_noise", "Params have changed", "noise.svg")


@pytest.fixture
def drawn(monkeypatch):
    """Draws with given jobs in the dry run; gives the commands that would run."""
    commands = []
    monkeypatch.setattr(redraw.subprocess, "run", lambda command: commands.append(command) or CompletedProcess([], 3))

    def draw(*jobs: Job) -> tuple[int, list[list[str]]]:
        monkeypatch.setattr(redraw, "dry_run", lambda workflow, target: [*jobs])
        return redraw.redraw(Workflow(CONFIGS, Path("my-run"))), commands

    return draw


def test_only_the_rules_of_stale_tables_and_figures_may_run(drawn, capsys):
    stale = Job("train", "Params have changed", "r.parquet")
    status, (command,) = drawn(stale, Job("dataset", "Missing output files: d", "d"), TABLE, FIGURE)
    assert status == 3
    assert command[:2] == ["snakemake", "figures"]
    assert command[command.index("--directory") + 1] == "my-run"
    allowed = command.index("--allowed-rules")
    assert command[allowed + 1 :] == ["figures", "figure_noise", "runs_table"]
    assert command[command.index("--configfile") + 1 : allowed] == ["my.yaml", "tree.yaml"]
    assert "1 training job is stale; the figures show the runs as they are" in capsys.readouterr().out


def test_missing_runs_are_said(drawn):
    with pytest.raises(
        SystemExit, match=r"1 file of .* such as r\.parquet; .* --directory my-run --configfile my\.yaml tree"
    ):
        drawn(Job("fit", "Missing output files: r.parquet", "r.parquet"), TABLE, FIGURE)


def test_nothing_stale_is_said(drawn, capsys):
    assert drawn() == (0, [])
    assert "up to date" in capsys.readouterr().out


def test_what_snakemake_says_is_passed_on(monkeypatch):
    def fail(workflow, target):
        raise WorkflowFailed("The config is wrong")

    monkeypatch.setattr(redraw, "dry_run", fail)
    with pytest.raises(SystemExit, match="The config is wrong"):
        redraw.redraw(Workflow(CONFIGS))


def test_the_charts_code_on_the_page_works(tmp_path, monkeypatch):
    page = (ROOT / "docs/how-to/redraw.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    exec(re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1], {})
    assert "Success rate" in (tmp_path / "heatmap.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_stale_figure_is_drawn_and_nothing_is_trained(finished, tmp_path):
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    for module in ("figures/learners.py", "engine/lstm.py"):
        with (checkout / "src/pipeline" / module).open("a") as file:
            file.write("\n\nNEW = 1\n")
    before = contents(run / "results")
    (run / "results/figures/learners.svg").write_text("<svg>old</svg>")
    command = [sys.executable, "-m", "pipeline.commands.redraw", "config/smoke.yaml", "--directory", str(run)]
    drawing = subprocess.run(command, cwd=checkout, env=environment(), capture_output=True, text=True)
    assert drawing.returncode == 0, drawing.stderr
    assert re.findall(r"Finished jobid: .*Rule: (\w+)", drawing.stderr) == ["figure_learners", "figures"]
    assert "1 training job is stale; the figures show the runs as they are" in drawing.stdout
    assert "Critical sample size:" not in drawing.stdout, "the summary is of an earlier run"
    assert contents(run / "results") == before, "a new variable changes no figure, and nothing else is made"


def contents(folder: Path) -> dict[Path, bytes]:
    """The figures, tables and runs."""
    parts = [path for part in ("figures", "tables", "runs") for path in (folder / part).rglob("*.*")]
    return {path: path.read_bytes() for path in parts}
