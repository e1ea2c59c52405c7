"""What a config says, and what is generated from it."""

import json
import re
import sys
from dataclasses import asdict

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from bad_inputs import edited, valid
from pipeline.commands import config_reference
from pipeline.config import (
    PROVENANCE,
    Analysis,
    Cell,
    Compute,
    Config,
    Data,
    Dropout,
    Experiment,
    Lstm,
    Mlp,
    Training,
    Transformer,
    load,
    parse,
)
from pipeline.config import Success as SuccessRule
from pipeline.engine.protocol import NormBound, Protocol, Success
from running import ROOT

CONFIGS = ["config", "quick", "smoke"]


# Of the study; somebody may add more to the registries.
STUDIED_FUNCTIONS = {"and", "or", "majority", "parity", "junta"}


STUDIED_LEARNERS = {"transformer", "mlp", "lstm", "logistic_regression", "decision_tree", "consistent"}


@pytest.mark.parametrize("name", [*CONFIGS, "tuning", "extended", "parities", "sensitivity", "adaptive"])
def test_configs_parse_fit_the_schema_and_round_trip(name):
    path = ROOT / "config" / f"{name}.yaml"
    config = load(path)
    assert parse(config.model_dump(mode="json")) == config
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_draw_every_figure(name):
    figures = load(ROOT / "config" / f"{name}.yaml").figures
    assert all(figure is not None for _, figure in figures)


def test_defaults_are_the_paper_config():
    paper = load(ROOT / "config/config.yaml")
    assert paper.data["standard"] == Data()
    assert paper.models["transformer"] == Transformer()
    assert paper.training["paper"] == Training(record=("attention",))
    assert paper.experiments["and3"] == Experiment()
    assert paper.analysis == Analysis()
    assert paper.compute == Compute()


@pytest.mark.parametrize(
    ("name", "difference"), [("paper_full", {"success": SuccessRule(when="last")}), ("paper_baseline", {"record": ()})]
)
def test_protocols_derived_from_paper_differ_in_one_value(name, difference):
    training = load(ROOT / "config/config.yaml").training
    assert training[name] == training["paper"].model_copy(update=difference)


def test_the_main_figure_alone_is_the_transformers_and():
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(raw, yaml.safe_load((ROOT / "docs/results/paper/main_figure.yaml").read_text()))
    alone = parse(raw)
    assert list(alone.enabled) == ["and3", "and3_curves", "and3_attention", "and3_map"]
    assert alone.theory is None


@pytest.mark.parametrize("name", ["config", "quick"])
def test_every_function_is_learned_by_every_learner(name):
    made = load(ROOT / f"config/{name}.yaml")
    shown = [made.experiments[one] for one in made.figures.learners.experiments]
    learned = {(one.function, made.models[one.model].kind) for one in shown}
    assert learned >= {(function, kind) for function in STUDIED_FUNCTIONS for kind in STUDIED_LEARNERS}


def test_parities_for_longer_differ_in_nothing_else():
    paper, longer = (load(ROOT / f"config/{name}.yaml") for name in ("config", "parities"))
    assert longer.data["standard"] == paper.data["standard"]
    assert longer.models["transformer"] == paper.models["transformer"]
    changed = {"max_steps": 40_000, "eval_every": 25, "record": ()}
    assert longer.training["online"] == paper.training["online"].model_copy(update=changed)


def test_the_setting_of_the_extended_runs_with_decay_is_the_papers():
    paper, extended = (load(ROOT / f"config/{name}.yaml") for name in ("config", "extended"))
    assert extended.experiments["and3_decay"].training == "paper"
    assert extended.training["paper"] == paper.training["paper"].model_copy(update={"record": ()})
    assert extended.models["transformer"] == paper.models["transformer"]
    assert extended.data["standard"] == paper.data["standard"]


def test_the_learning_rate_is_all_that_tuning_varies():
    paper, tuning = load(ROOT / "config/config.yaml"), load(ROOT / "config/tuning.yaml")
    for training in tuning.training.values():
        rate = {"learning_rate": training.learning_rate}
        assert training == paper.training["paper_baseline"].model_copy(update=rate)
    tuned, reported = (
        {(one.function, one.model, T) for one in config.enabled.values() for T in one.grid.T}
        for config in (tuning, paper)
    )
    assert not tuned & reported
    assert {name: paper.models[name] for name in tuning.models} == tuning.models


def test_the_configs_use_every_function_learner_and_noise():
    for name in CONFIGS:
        made = load(ROOT / f"config/{name}.yaml")
        assert {one.function for one in made.enabled.values()} >= STUDIED_FUNCTIONS
        assert {made.models[one.model].kind for one in made.enabled.values()} >= STUDIED_LEARNERS
        noises = [made.data[one.data] for one in made.enabled.values()]
        assert any(one.label_noise for one in noises)
        assert any(one.feature_noise for one in noises)


def test_names_mean_the_same_in_the_quick_and_the_paper_config():
    paper, quick = load(ROOT / "config/config.yaml"), load(ROOT / "config/quick.yaml")
    assert (quick.data, quick.models, quick.training) == (paper.data, paper.models, paper.training)


def test_paper_grid_has_the_context_lengths_of_the_digitised_figure():
    points = (ROOT / "config/reference/paper_critical_sample_size.csv").read_text().splitlines()[1:]
    lengths = sorted(int(line.split(",")[0]) for line in points)
    assert list(load(ROOT / "config/config.yaml").experiments["and3"].grid.T) == lengths


def test_an_experiment_alone_is_enough():
    config = parse({"experiments": {"and3": {}}})
    assert config.experiments == {"and3": Experiment()}
    assert config.training["paper"].learning_rate == 3e-3
    assert config.figures.learning_curves is None


def test_a_model_has_the_settings_of_its_kind():
    models = {
        "tiny": {"layers": 2, "dropout": {"attention": 0.1}},
        "mlp": {"kind": "mlp", "widths": []},
        "lstm": {"kind": "lstm"},
    }
    raw = edited(("models", models))
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    jsonschema.validate(raw, schema)
    found = parse(raw).models
    assert found["tiny"] == Transformer(layers=2, dropout=Dropout(attention=0.1))
    assert found["mlp"] == Mlp(kind="mlp", widths=())
    assert found["lstm"] == Lstm(kind="lstm")


def test_the_engine_takes_every_training_protocol():
    bound = {"norm": "2,1", "value": 3.0, "query_key": None}
    written = {"optimiser": "sgd", "momentum": 0.9, "batch_size": 8, "norm_bound": bound, "schedule": "cosine"}
    training = Training.model_validate(written)
    protocol = Protocol.of(training.model_dump(mode="json"))
    assert asdict(protocol) == training.model_dump()
    assert protocol.norm_bound == NormBound("2,1", 3.0, None)


def test_the_papers_protocol_is_the_engines_plainest():
    training = Training()
    success = Success(training.success.accuracy, training.success.when)
    required = {name: getattr(training, name) for name in ("learning_rate", "weight_decay", "max_steps", "eval_every")}
    assert Protocol.of(training.model_dump(mode="json")) == Protocol(**required, success=success)


def test_integers_are_accepted_for_floats():
    training = parse(valid()).training["paper"]
    assert (training.weight_decay, training.success.accuracy) == (0.0, 1.0)
    assert isinstance(training.weight_decay, float)


def test_cells():
    cells = list(parse(valid()).experiments["and3"].cells())
    assert cells == [Cell("and", "standard", "tiny", "paper", 3, T, n) for T in (8, 12) for n in (10, 20)]


def test_cells_of_several_grids():
    more = [{"k": [3], "T": [20], "n": [30, 40], "seeds": 7}]
    cells = parse(edited(("experiments.and3.more_grids", more))).experiments["and3"].cells()
    assert {(cell.T, cell.n): seeds for cell, seeds in cells.items() if seeds == 7} == {(20, 30): 7, (20, 40): 7}
    assert len(cells) == 6


def test_a_further_grid_leaves_out_what_is_that_of_the_first():
    further = [{"T": [16, 20]}, {"n": [40], "seeds": 2}]
    cells = parse(edited(("experiments.and3.more_grids", further))).experiments["and3"].cells()
    assert {(k, T, n): seeds for (*_, k, T, n), seeds in cells.items()} == {
        **{(3, T, n): 5 for T in (8, 12, 16, 20) for n in (10, 20)},
        **{(3, T, 40): 2 for T in (8, 12)},
    }


@pytest.mark.parametrize(
    ("seeds", "size", "blocks"),
    [
        (100, 50, [range(50), range(50, 100)]),
        (5, 2, [range(2), range(2, 4), range(4, 5)]),
        (3, 50, [range(3)]),
        (2, 1, [range(1), range(1, 2)]),
    ],
)
def test_seed_blocks(seeds, size, blocks):
    config = parse(edited(("experiments.and3.grid.seeds", seeds), ("compute.seeds_per_job", size)))
    found = config.seed_blocks()
    assert all(found[cell] == blocks for cell in config.experiments["and3"].cells())


def test_generated_files_are_current():
    assert config_reference.stale_files() == [], f"run `{config_reference.COMMAND}`"


def test_every_key_is_described():
    definitions = Config.model_json_schema()["$defs"]
    fields = {(name, key): field for name, kind in definitions.items() for key, field in kind["properties"].items()}
    undescribed = [path for path, field in fields.items() if "description" not in field and "$ref" not in field]
    assert undescribed == []


def test_check_names_stale_files_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(config_reference, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["config_reference", "--check"])
    with pytest.raises(
        SystemExit, match=r"^stale: workflow.*, docs.*; run `python -m pipeline.commands.config_reference`$"
    ):
        config_reference.main()

    monkeypatch.setattr(sys, "argv", ["config_reference"])
    for folder in ["workflow/schemas", "docs"]:
        (tmp_path / folder).mkdir(parents=True)
    config_reference.main()
    assert config_reference.stale_files() == []


def test_reference_rows():
    page = (ROOT / "docs/config-reference.md").read_text()
    assert "| `training.<name>.success.accuracy` | number, > 0, ≤ 1 | `1.0` | " in page
    assert "| `models.<name>.mlp_width` | integer, ≥ 1 | `64` | " in page
    assert '| `compute.device` | `cpu`, `cuda`, `auto` | `"cpu"` | ' in page
    assert "| `figures.critical_sample_size.paper_points` | text or null | `null` | " in page
    assert "| `figures.success_heatmap.experiments` | list of: text | required | " in page


def test_provenances_are_known():
    words = re.findall(r'"provenance": "(.*)"', (ROOT / "workflow/schemas/config.schema.json").read_text())
    assert set(words) == set(PROVENANCE)
