"""Edits of a finished smoke run, and what they rerun: the table of docs/staleness.md, row by row, in a dry run."""

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from pipeline.config import load
from pipeline.dry_run import TRAINING
from pipeline.targets import shown
from running import ROOT
from smoke import SMOKE, copy_of_the_checkout, jobs

pytestmark = pytest.mark.slow

CONFIG = load(SMOKE)
FIGURES = {f"figure_{name}" for name, _ in CONFIG.figures if shown(CONFIG, name)}
TABLES = {"runs_table", "learning_curves_table", "progress_table", "attention_table", "attention_maps_table"}
SIZES = {"critical_sample_size", "scaling_fits", "summary"}
OF_SIZES = {
    f"figure_{name}"
    for name in ("critical_sample_size", "success_heatmap", "functions", "sparsity", "learners", "noise", "attention")
}
ALL = SIZES | FIGURES | TABLES | {"success_rates", "transitions", "transition_fits"}
OF_RUNS = ALL - TABLES - {"figure_learning_curves", "figure_progress", "figure_attention_map"} | {"runs_table"}
BLOCK = "results/runs/small/and/tiny/short/k3/T8/n40/seeds0-1.parquet"


def edit(path: str, old: str, new: str) -> Callable[[Path, Path], None]:
    """An edit of one place in a file of the checkout."""

    def change(checkout: Path, _: Path) -> None:
        text = (checkout / path).read_text()
        assert text.count(old) == 1, f"{path} should have once: {old}"
        (checkout / path).write_text(text.replace(old, new))

    return change


def configured(**changes: object) -> Callable[[Path, Path], None]:
    """Changes values of the config by their paths, with __ for a dot; None takes one away."""

    def change(checkout: Path, _: Path) -> None:
        path = checkout / "config" / "smoke.yaml"
        config = yaml.safe_load(path.read_text())
        for place, value in changes.items():
            *parts, last = place.split("__")
            section = config
            for part in parts:
                section = section[part]
            section[last] = value
        path.write_text(yaml.safe_dump(config))

    return change


def cosmetics(checkout: Path, _: Path) -> None:
    """Comments, blank lines, other docstrings and other formatting in every file."""
    for path in (checkout / "src").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body[0].value.value = "Another docstring."
        path.write_text(ast.unparse(tree) + "\n\n# A comment.\n")  # unparsed, it has lost comments and formatting
    for path in (*checkout.rglob("*.c"), *checkout.rglob("*.h")):
        path.write_text("/* A comment. */\n" + path.read_text().replace("    ", "  "))
    for path in (checkout / "Snakefile", *checkout.rglob("*.smk"), *(checkout / "config").glob("*.yaml")):
        path.write_text("# A comment.\n\n" + path.read_text() + "\n# A comment.\n")


def touch(checkout: Path, run: Path) -> None:
    """What a switch to another branch and back does to times, and more: results are touched too."""
    for path in (*checkout.rglob("*"), run / BLOCK, run / "results/tables/runs.parquet"):
        os.utime(path)


def damage(change: Callable[[bytes], bytes], path: str = BLOCK) -> Callable[[Path, Path], None]:
    def spoil(_: Path, run: Path) -> None:
        (run / path).write_bytes(change((run / path).read_bytes()))

    return spoil


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def deleted(_: Path, run: Path) -> None:
    (run / BLOCK).unlink()


class Row(NamedTuple):
    """An edit, what the docs say that it reruns, and the jobs: those that make runs with their number, and the rest."""

    edit: str
    reruns: str
    change: Callable[[Path, Path], None]
    training: dict[str, int]
    rest: set[str]


def code(path: str, old: str, new: str) -> Callable[[Path, Path], None]:
    return edit(f"src/pipeline/{path}", old, new)


def adding(path: str) -> Callable[[Path, Path], None]:
    """Adds a line of code to a module."""

    def change(checkout: Path, _: Path) -> None:
        module = checkout / "src/pipeline" / path
        module.write_text(module.read_text() + "\n\nNEW = 1\n")

    return change


NEW_FUNCTION = '    "nand": BooleanFunction(_balanced_junta),\n    "or": BooleanFunction('
NEW_EXPERIMENT = {"model": "tiny", "data": "small", "training": "short", "function": "or"}
NEW_EXPERIMENT["grid"] = {"k": [3], "T": [10], "n": [20], "seeds": 2}
ONE_LAYER, ALL_TRAINED, ALL_FITTED = {"train": 30}, {"train": 33}, {"fit": 7}
ROWS = [
    Row("a figure's file", "that figure", adding("figures/learners.py"), {}, {"figure_learners"}),
    Row("the charts' shared style", "the figures", adding("figures/style.py"), {}, FIGURES),
    Row("aggregation: how runs become tables", "tables and figures", adding("runs.py"), {}, ALL),
    Row(
        "aggregation: the estimate of the critical sample size",
        "its table, the law's, the summary, and the figures that show them",
        adding("statistics/critical_sample_size.py"),
        {},
        SIZES | OF_SIZES,
    ),
    Row(
        "training: the LSTM",
        "training of the experiments with an LSTM, and what follows",
        code("engine/lstm.py", "math.sqrt(self.width)", "math.sqrt(2 * self.width)"),
        {"train": 1},
        OF_RUNS,
    ),
    Row(
        "training: the functions in C",
        "training of the experiments with a Transformer of one layer, and what follows",
        code("engine/layers.h", "(REAL)1e-5", "(REAL)1e-6"),
        ONE_LAYER,
        ALL,
    ),
    Row(
        "training: the norm bounds",
        "training of the experiments with norm bounds, and what follows",
        adding("engine/norm_bound.py"),
        {"train": 1},
        OF_RUNS,
    ),
    Row(
        "training: what a run records",
        "training of the experiments that record anything, and what follows",
        adding("engine/recording.py"),
        {"train": 4},
        ALL - {"learning_curves_table", "figure_learning_curves"},
    ),
    Row("training: its loop", "training, and what follows", adding("engine/training.py"), ALL_TRAINED, ALL),
    Row(
        "a baseline's file",
        "the fits of the experiments with that baseline, and what follows",
        adding("baselines/decision_tree.py"),
        {"fit": 2},
        OF_RUNS,
    ),
    Row(
        "a Boolean function added",
        "nothing",
        code("functions.py", '    "or": BooleanFunction(', NEW_FUNCTION),
        {},
        set(),
    ),
    Row("comments, docstrings, formatting, in all files", "nothing", cosmetics, {}, set()),
    Row("all files touched, as by a switch to another branch and back", "nothing", touch, {}, set()),
    Row(
        "a seed count raised",
        "the new blocks of seeds, and what follows; a last block that was shorter stays as it is",
        configured(experiments__and3__grid__seeds=5),
        {"train": 6, "dataset": 6},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "a seed count lowered, or seeds per job changed",
        "no training; the tables, from the runs that there are",
        configured(experiments__and3__grid__seeds=1, compute__seeds_per_job=3),
        {},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "an n added",
        "its cells, and what follows",
        configured(experiments__and3__grid__n=[10, 20, 40]),
        {"train": 6, "dataset": 6},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "a T added",
        "its cells, and what follows",
        configured(experiments__and3__grid__T=[8, 12, 16, 20]),
        {"train": 4, "dataset": 4, "holdout": 1},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "an experiment added",
        "its own runs, and what follows",
        configured(experiments__or3_new=NEW_EXPERIMENT),
        {"train": 1, "dataset": 1, "holdout": 1},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "an experiment switched off",
        "no training; the tables and figures that had it",
        configured(experiments__and3_tree__enabled=False),
        {},
        OF_RUNS | {"save_config"},
    ),
    Row(
        "a setting of a model or a training protocol",
        "training of the experiments that use it, and what follows",
        configured(models__tiny_lstm__width=4),
        {"train": 1},
        OF_RUNS | {"save_config"},
    ),
    Row("a file of runs deleted", "that block, and what follows", deleted, {"train": 1}, OF_RUNS),
    Row(
        "a file of runs cut short",
        "that block, and what follows",
        damage(lambda data: data[:-20]),
        {"train": 1},
        OF_RUNS,
    ),
    Row("a bit flipped in a file of runs", "that block, and what follows", damage(flipped), {"train": 1}, OF_RUNS),
    Row(
        "a bit flipped in a training set",
        "nothing, until runs on it are trained again: then it is drawn first",
        damage(flipped, BLOCK.replace("runs", "datasets").replace("/tiny/short", "")),
        {},
        set(),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.edit)
def test_an_edit_reruns_what_it_touches(row, copy, tmp_path):
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    row.change(checkout, copy)
    config = checkout / "config" / "smoke.yaml"
    found = jobs(copy, "--configfile", str(config), snakefile=checkout / "Snakefile")
    assert {rule: count for rule, count in found.items() if rule in TRAINING} == row.training
    assert set(found) - TRAINING == row.rest


def test_the_table_in_the_docs_is_this_one():
    table = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "docs" / "staleness.md").read_text(), re.MULTILINE)
    assert table == [("edit", "reruns"), *((row.edit, row.reruns) for row in ROWS)]
