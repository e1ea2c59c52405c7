"""Wrong command lines, each really given: it stops before any job and says what is wrong."""

import subprocess
import sys

import pytest

from bad_inputs import WRONG_COMMANDS
from running import ROOT, environment
from smoke import SMOKE

TWICE = "experiments: {and3: {}}\nexperiments: {and3: {}}\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with config files of the names that the command lines have."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "twice.yaml").write_text(TWICE)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("options", "said"), WRONG_COMMANDS)
def test_a_wrong_command_line_stops_before_any_job(folder, options, said):
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), *options]
    run = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert run.returncode != 0
    assert said in run.stderr
    assert not (folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["snakemake", "--cores", "1", "--configfile"], [sys.executable, "-m", "pipeline.commands.stale"]]
)
def test_results_that_are_no_folder_are_said(folder, command):
    for name in ("Snakefile", "src", "workflow", "config"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "results").touch()
    run = subprocess.run([*command, str(SMOKE)], cwd=folder, env=environment(), capture_output=True, text=True)
    assert run.returncode == 1
    assert "results is no folder; rename it, or work elsewhere by --directory" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_numbers_nested_in_config_options_are_numbers(folder):
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "results/config.yaml"]
    command += ["--configfile", str(ROOT / "config/smoke.yaml"), "--config", "compute={seeds_per_job: 3}"]
    subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=True)
    assert "seeds_per_job: 3\n" in (folder / "results/config.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.yaml", "absent.yaml: No such file or directory; name a YAML file such as config/quick.yaml"),
        ("folder", "folder: Is a directory; name a YAML file such as config/quick.yaml"),
        ("empty.yaml", "The config is wrong:\nempty.yaml: empty; write at least one section, such as 'experiments'"),
        ("twice.yaml", "The config is wrong:\ntwice.yaml:2: the key 'experiments' is there twice; correct the YAML"),
    ],
)
@pytest.mark.parametrize("command", ["forecast", "stale", "redraw", "profiling", "watch", "report"])
def test_a_config_is_checked_before_all_else(folder, name, said, command):
    """By `make run` and `make forecast`, which do no more, and by the commands that look at results."""
    command = [sys.executable, "-m", f"pipeline.commands.{command}", name]
    check = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert check.returncode == 1
    assert check.stderr == f"{said}\n"


@pytest.mark.parametrize("command", ["profiling", "report"])
def test_without_results_it_says_how_to_make_them(folder, command):
    configs = [str(ROOT / "config" / name) for name in ("quick.yaml", "smoke.yaml")]
    run = subprocess.run(
        [sys.executable, "-m", f"pipeline.commands.{command}", *configs], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr == f"no finished results here; run: snakemake --cores all --configfile {' '.join(configs)}\n"


def test_make_works_in_a_folder_of_ones_own_whatever_runs_it():
    words = ["run", "RUN=snakemake --cores 1", "DIRECTORY=my-run", "CONFIG=my.yaml"]
    shown = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True).stdout
    assert "\nsnakemake --cores 1 --directory my-run --configfile my.yaml\n" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["CONFIGS=my.yaml"], "no variable CONFIGS here; known are PYTHON CONFIG DIRECTORY SET TEMPLATE COMMAND RUN"),
        (["config=my.yaml", "CONFIG=x.yaml"], "no variable config here; known are PYTHON CONFIG"),
        (["my.yaml"], "no target my.yaml here; name config files by CONFIG, several in quotes"),
        (["quick", "CONFIG=my.yaml"], "make quick runs a config of its own; yours is run by make run CONFIG=my.yaml"),
        (["CONFIG=my.yaml", "tree.yaml"], "no target tree.yaml here; name config files by CONFIG, several in quotes"),
    ],
)
def test_make_refuses_what_would_leave_the_papers_config(words, said):
    command = ["make", "--no-print-directory", "--dry-run", "run", *words]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr


def test_make_takes_its_variables_and_options():
    words = ["CONFIG=my.yaml tree.yaml", "PYTHON=python3", "COMMAND=make paper", "PIP_INDEX_URL=x", "MAKEFLAGS=-n"]
    command = ["make", "--dry-run", "-j2", "--environment-overrides", "forecast", "crate", *words]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "pipeline.commands.forecast my.yaml tree.yaml\n" in run.stdout
