"""Config files: what is no config, and files laid over each other."""

import re

import pytest
import yaml
from snakemake.utils import update_config

from bad_inputs import WRONG_FILES, problems
from pipeline.config import (
    ConfigError,
    load,
    parse,
)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (None, "config: empty; write at least one section, such as 'experiments'"),
        ([1], "config: a list is not a mapping; write 'key: value' lines"),
        ("text", "config: 'text' is not a mapping; write 'key: value' lines"),
        ({}, "experiments: missing; add it"),
    ],
)
def test_not_a_config(raw, problem):
    assert problems(raw) == [problem]


@pytest.mark.parametrize(("text", "problem"), WRONG_FILES)
def test_wrong_files(tmp_path, text, problem):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(error.value).startswith(problem.replace("{path}", str(path)))


def test_an_overlay_that_is_no_mapping_is_named(tmp_path):
    base, overlay = tmp_path / "base.yaml", tmp_path / "overlay.yaml"
    base.write_text("experiments: {x: {}}\n")
    for text, problem in (("", "empty; write at least one section"), ("[1]", "a list is not a mapping; write")):
        overlay.write_text(text)
        with pytest.raises(ConfigError, match=f"^{re.escape(str(overlay))}: {problem}"):
            load(base, overlay)


def test_merge_keys_may_override(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("training: {paper: &a {max_steps: 40}, b: {<<: *a, max_steps: 60}}\nexperiments: {x: {}}\n")
    assert [training.max_steps for training in load(path).training.values()] == [40, 60]


def test_config_files_are_laid_over_each_other_as_snakemake_does(tmp_path):
    raws = [
        {"training": {"paper": {"max_steps": 40, "eval_every": 10}}, "experiments": {"x": {"grid": {"T": [10, 20]}}}},
        {"training": {"paper": {"max_steps": 60}, "b": {}}, "experiments": {"x": {"grid": {"T": [30]}}, "y": {}}},
        {"experiments": {"x": {"enabled": False}}},
    ]
    files = [tmp_path / f"{number}.yaml" for number in range(len(raws))]
    for file, raw in zip(files, raws, strict=True):
        file.write_text(yaml.safe_dump(raw))
    merged = {}
    for raw in raws:
        update_config(merged, raw)
    assert load(*files) == parse(merged)
    assert load(*files).training["paper"].eval_every == 10


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.yaml")
