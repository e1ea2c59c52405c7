"""The project's own files agree with each other."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": "pytorch", "snakemake": "snakemake-minimal"}
NOT_PINNED = {"python", "pytorch", "c-compiler"}


def test_environment_yml_has_the_pins_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(
        re.fullmatch(r"([\w-]+)[=>]=(.+)", entry).groups()
        for entry in project["dependencies"] + project["optional-dependencies"]["dev"]
    )
    wanted = {CONDA_NAMES.get(name, name): version for name, version in wanted.items()}
    wanted["c-compiler"] = "1.5"  # pip leaves that one to the machine
    wanted["python"] = project["requires-python"].removeprefix(">=")
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = dict(re.fullmatch(r"([\w-]+)>?=+(.+)", entry).groups() for entry in listed)
    assert found == wanted
    assert all((">=" in entry) == (entry.split(">=")[0] in NOT_PINNED) for entry in listed)


def test_every_config_names_its_command():
    for path in {*(ROOT / "config").glob("*.yaml")} - {ROOT / "config/claims.yaml"}:
        assert re.search(r"^# Run: +\S", path.read_text(), re.MULTILINE), path


def test_commands_in_the_docs_name_nothing_but_config_files_behind_configfile():
    """Snakemake takes all that follows `--configfile` for config files, up to the next option."""
    line = r"^snakemake .*--configfile((?: +[^-\s#]\S*)+)"
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    commands = [match for page in pages for match in re.findall(line, page.read_text(), re.MULTILINE)]
    names = [name for command in commands for name in command.split()]
    assert len(commands) > 10
    assert [name for name in names if not name.endswith(".yaml")] == []
