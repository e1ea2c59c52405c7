"""Edits of a finished smoke run, and what they rerun: the table of docs/staleness.md, row by row, in a dry run."""

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from pipeline.commands.dry_run import TRAINING
from pipeline.commands.rule_graph import PAGE
from pipeline.workflow.fingerprint import DOCUMENTED
from running import ROOT
from smoke import copy_of_the_checkout, jobs

pytestmark = pytest.mark.slow

EDGES = re.findall(r"^  (\w+) --> (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
RULES = {rule for edge in EDGES for rule in edge}
FIGURES = {rule for rule in RULES if rule.startswith("figure_")}
GATHERED = {"runs_table", "learning_curves_table", "progress_table", "attention_table", "attention_maps_table"}
CONFIG_FILE = "save_config"
PAGED = FIGURES | {"claims", CONFIG_FILE}  # what the rule page shows, whose arrows the graph leaves out


def followed(rules: set[str]) -> set[str]:
    """Rules and all that follow from them, by the page of the rule graph, but those that train or prepare for it."""
    found, new = set(), set(rules)
    while new:
        found |= new
        new = {after for before, after in EDGES if before in new} - found - TRAINING
    return found | ({"page"} if found & PAGED else set())


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
            caption = isinstance(node, ast.Module) and path.parent.name == "figures"
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node) and not caption:
                node.body[0].value.value = "Another docstring."
        path.write_text(ast.unparse(tree) + "\n\n# A comment.\n")  # unparsed, it has lost comments and formatting
    for path in (*checkout.rglob("*.c"), *checkout.rglob("*.h")):
        path.write_text("/* A comment. */\n" + path.read_text().replace("    ", "  "))
    for path in (checkout / "Snakefile", *checkout.rglob("*.smk"), *(checkout / "config").glob("*.yaml")):
        path.write_text("# A comment.\n\n" + path.read_text() + "\n# A comment.\n")


captioned = edit("src/pipeline/figures/learners.py", "Question: ", "Question: Once more: ")
restyled = edit("src/pipeline/page/render.css", "--ink: #1f2328", "--ink: #000000")


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


def damage_texts(checkout: Path, run: Path) -> None:
    damage(lambda data: b"", "results/claims.json")(checkout, run)
    damage(lambda data: data[:-20], "results/figures/learners.svg")(checkout, run)


def deleted(_: Path, run: Path) -> None:
    (run / BLOCK).unlink()


def without_a_table(_: Path, run: Path) -> None:
    (run / "results/tables/runs.parquet").unlink()


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


def added_model(checkout: Path, _: Path) -> None:
    engine = checkout / "src/pipeline/engine"
    (engine / "own.py").write_text((engine / "mlp.py").read_text().replace("class Mlp", "class Own"))
    text = (engine / "models.py").read_text()
    text = text.replace("import Mlp\n", "import Mlp\nfrom pipeline.engine.own import Own\n")
    (engine / "models.py").write_text(text.replace("ARCHITECTURES = {", 'ARCHITECTURES = {"own": Own, '))


def edited_claims(checkout: Path, _: Path) -> None:
    claims = checkout / "config" / "claims.yaml"
    text = claims.read_text()
    assert "tolerance: 0.1" in text
    claims.write_text(text.replace("tolerance: 0.1", "tolerance: 0.2", 1))


NEW_FUNCTION = '    "nand": BooleanFunction(_balanced_junta),\n    "or": BooleanFunction('
NEW_EXPERIMENT = {"model": "tiny", "data": "small", "training": "short", "function": "or"}
NEW_EXPERIMENT["grid"] = {"k": [3], "T": [10], "n": [20], "seeds": 2}
THEORY = {"head_norms": 1, "basin": 1}
AFTER_THEORY = {"capacity", "figure_basin", "figure_representation"}
ROUNDS = {"design": 2, "train_adaptive": 4}
MAPPED = {"attention_steps": 1}
ONE_LAYER, ALL_TRAINED = ({"train": trained} | MAPPED | ROUNDS | THEORY for trained in (30, 33))
ROWS = [
    Row("a figure's file", "that figure, and the page", adding("figures/learners.py"), {}, {"figure_learners"}),
    Row("a figure's caption, its module's docstring", "the page", captioned, {}, {"page"}),
    Row("the page's template, style or script", "the page", restyled, {}, {"page"}),
    Row("the charts' shared style", "the figures, and the page", adding("figures/parts/style.py"), {}, FIGURES),
    Row("aggregation: how runs become tables", "tables and figures", adding("runs.py"), {}, GATHERED),
    Row(
        "aggregation: the laws that are compared",
        "their tables and figure, and what follows",
        adding("statistics/law_evidence.py"),
        {},
        {"law_fits"},
    ),
    Row(
        "aggregation: the law of the critical sample size",
        "its table, and what follows",
        adding("statistics/scaling.py"),
        {},
        {"scaling_fits"},
    ),
    Row(
        "training: the LSTM",
        "training of the experiments with an LSTM, and what follows",
        code("engine/lstm.py", "math.sqrt(self.width)", "math.sqrt(2 * self.width)"),
        {"train": 1},
        {"runs_table"},
    ),
    Row(
        "training: the functions in C",
        "training of the experiments with a Transformer of one layer, the theory, and what follows",
        code("engine/layers.h", "(REAL)1e-5", "(REAL)1e-6"),
        ONE_LAYER,
        GATHERED | AFTER_THEORY | {"representation"},
    ),
    Row(
        "training: the norm bounds",
        "training of the experiments with norm bounds, the theory, and what follows",
        adding("engine/norm_bound.py"),
        {"train": 1} | THEORY,
        {"runs_table", "representation"} | AFTER_THEORY,
    ),
    Row(
        "training: what a run records",
        "training of the experiments that record anything, the theory's trainings, and what follows",
        adding("engine/recording.py"),
        {"train": 4} | MAPPED | THEORY,
        GATHERED - {"learning_curves_table"} | AFTER_THEORY,
    ),
    Row(
        "training: its loop",
        "training, and what follows",
        adding("engine/training.py"),
        ALL_TRAINED,
        GATHERED | AFTER_THEORY,
    ),
    Row(
        "a baseline's file",
        "the fits of the experiments with that baseline, and what follows",
        adding("baselines/decision_tree.py"),
        {"fit": 2},
        {"runs_table"},
    ),
    Row(
        "a Boolean function added",
        "nothing",
        code("data/functions.py", '    "or": BooleanFunction(', NEW_FUNCTION),
        {},
        set(),
    ),
    Row("a model added, as a module and its entry", "nothing", added_model, {}, set()),
    Row("comments, docstrings but captions, formatting, in all files", "nothing", cosmetics, {}, set()),
    Row("all files touched, as by a switch to another branch and back", "nothing", touch, {}, set()),
    Row(
        "a seed count raised",
        "the new blocks of seeds, and what follows; a last block that was shorter stays as it is",
        configured(experiments__and3__grid__seeds=5),
        {"train": 6, "dataset": 6},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "a seed count lowered, or seeds per job changed",
        "no training; the tables, from the runs that there are",
        configured(experiments__and3__grid__seeds=1, compute__seeds_per_job=3),
        {},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "an n added",
        "its cells, and what follows",
        configured(experiments__and3__grid__n=[10, 20, 40]),
        {"train": 6, "dataset": 6},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "a T added",
        "its cells, and what follows",
        configured(experiments__and3__grid__T=[8, 12, 16, 20]),
        {"train": 4, "dataset": 4, "holdout": 1},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "an experiment added",
        "its own runs, and what follows",
        configured(experiments__or3_new=NEW_EXPERIMENT),
        {"train": 1, "dataset": 1, "holdout": 1},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "an experiment switched off",
        "no training; the tables and figures that had it",
        configured(experiments__and3_tree__enabled=False),
        {},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "a setting of a model or a training protocol",
        "training of the experiments that use it, and what follows",
        configured(models__tiny_lstm__width=4),
        {"train": 1},
        {"runs_table", CONFIG_FILE},
    ),
    Row(
        "a claim's threshold",
        "the ledger of claims, and the summary and the page, which show it",
        edited_claims,
        {},
        {"claims"},
    ),
    Row(
        "a claim's rule",
        "the ledger of claims, and the summary and the page",
        adding("claims/rules/growth.py"),
        {},
        {"claims"},
    ),
    Row(
        "a round more of an adaptive design",
        "that round, and what follows",
        configured(experiments__and3_adaptive__adaptive__rounds=3),
        {"design": 1, "train_adaptive": 2},
        {"runs_table", CONFIG_FILE},
    ),
    Row("the theory's code", "its tables and figures", adding("theory/basin.py"), {"basin": 1}, {"figure_basin"}),
    Row("a table deleted", "that table, and what follows", without_a_table, {}, {"runs_table"}),
    Row("a file of runs deleted", "that block, and what follows", deleted, {"train": 1}, {"runs_table"}),
    Row(
        "a file of runs cut short",
        "that block, and what follows",
        damage(lambda data: data[:-20]),
        {"train": 1},
        {"runs_table"},
    ),
    Row(
        "a bit flipped in a file of runs", "that block, and what follows", damage(flipped), {"train": 1}, {"runs_table"}
    ),
    Row(
        "a bit flipped in a training set",
        "nothing, until runs on it are trained again: then it is drawn first",
        damage(flipped, BLOCK.replace("runs", "datasets").replace("/tiny/short", "")),
        {},
        set(),
    ),
    Row(
        "the ledger emptied, a figure's SVG or specification cut short",
        "ledger and figure, and the summary and the page",
        damage_texts,
        {},
        {"claims", "figure_learners"},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.edit)
def test_an_edit_reruns_what_it_touches(row, copy, tmp_path):
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    row.change(checkout, copy)
    config = checkout / "config" / "smoke.yaml"
    found = jobs(copy, "--configfile", str(config), snakefile=checkout / "Snakefile")
    assert {rule: count for rule, count in found.items() if rule in TRAINING} == row.training
    assert set(found) - TRAINING == followed(row.rest)


def test_the_table_in_the_docs_is_this_one():
    table = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "docs" / "staleness.md").read_text(), re.MULTILINE)
    assert table == [("edit", "reruns"), *((row.edit, row.reruns) for row in ROWS)]
