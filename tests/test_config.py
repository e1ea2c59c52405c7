import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import config_reference
from pipeline.config import (
    FITTED,
    PROVENANCE,
    TRAINED,
    Analysis,
    Cell,
    Compute,
    Config,
    ConfigError,
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
from pipeline.functions import FUNCTIONS

ROOT = Path(__file__).parents[1]
CONFIGS = ["config", "quick", "smoke"]

VALID = """
data: {standard: {holdout_size: 100, reject_ambiguous: true, max_redraws: 10}}
models: {tiny: {kind: transformer, width: 16, heads: 4, mlp_width: 16, init_std: 0.02}}
training:
  adam: {learning_rate: 0.003, weight_decay: 0, max_steps: 100, eval_every: 20, success: {accuracy: 1, when: any}}
  full: {learning_rate: 0.003, weight_decay: 0, max_steps: 100, eval_every: 20, success: {accuracy: 1, when: last}}
experiments:
  and3: {function: and, data: standard, model: tiny, training: adam, grid: {k: [3], T: [8, 12], n: [10, 20], seeds: 5}}
  curves: {function: parity, data: standard, model: tiny, training: full, grid: {k: [2], T: [8], n: [10], seeds: 3}}
analysis: {success_share: 0.5, confidence: 0.9, bootstrap: 50}
figures:
  critical_sample_size: {experiments: [and3, curves], paper_points: points.csv}
  success_heatmap: {experiments: [and3]}
  learning_curves: {experiments: [curves]}
compute: {seeds_per_job: 2, device: auto}
"""
REMOVE = object()


def valid() -> dict:
    return yaml.safe_load(VALID)


def edited(*edits: tuple[str, object]) -> dict:
    """The valid config with the values at some dotted paths set or removed."""
    raw = valid()
    for path, value in edits:
        *parents, key = path.split(".")
        section = raw
        for parent in parents:
            section = section[parent]
        if value is REMOVE:
            del section[key]
        else:
            section[key] = value
    return raw


def problems(raw: object) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(raw)
    return str(error.value).splitlines()


# What a config says


@pytest.mark.parametrize("name", [*CONFIGS, "tuning"])
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
    assert paper.training["adam"] == Training(record=("attention",))
    assert paper.experiments["and3"] == Experiment()
    assert paper.analysis == Analysis()
    assert paper.compute == Compute()


@pytest.mark.parametrize(
    ("name", "difference"), [("adam_full", {"success": SuccessRule(when="last")}), ("adam_baseline", {"record": ()})]
)
def test_protocols_derived_from_adam_differ_in_one_value(name, difference):
    training = load(ROOT / "config/config.yaml").training
    assert training[name] == training["adam"].model_copy(update=difference)


@pytest.mark.parametrize("name", ["config", "quick"])
def test_every_function_is_learned_by_every_learner(name):
    made = load(ROOT / f"config/{name}.yaml")
    shown = [made.experiments[one] for one in made.figures.learners.experiments]
    learned = {(one.function, made.models[one.model].kind) for one in shown}
    assert learned == {(function, kind) for function in FUNCTIONS for kind in (*TRAINED, *FITTED)}


def test_the_learning_rate_is_all_that_tuning_varies():
    paper, tuning = load(ROOT / "config/config.yaml"), load(ROOT / "config/tuning.yaml")
    for training in tuning.training.values():
        rate = {"learning_rate": training.learning_rate}
        assert training == paper.training["adam_baseline"].model_copy(update=rate)
    lengths = {T for one in paper.enabled.values() for T in one.grid.T if one.function == "and"}
    assert not lengths & {T for one in tuning.enabled.values() for T in one.grid.T}
    assert {name: paper.models[name] for name in tuning.models} == tuning.models


def test_the_configs_use_every_function_learner_and_noise():
    for name in CONFIGS:
        made = load(ROOT / f"config/{name}.yaml")
        assert {one.function for one in made.enabled.values()} == set(FUNCTIONS)
        assert {made.models[one.model].kind for one in made.enabled.values()} == {*TRAINED, *FITTED}
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
    assert config.training["adam"].learning_rate == 3e-3
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
    training = parse(valid()).training["adam"]
    assert (training.weight_decay, training.success.accuracy) == (0.0, 1.0)
    assert isinstance(training.weight_decay, float)


def test_cells():
    cells = list(parse(valid()).experiments["and3"].cells())
    assert cells == [Cell("and", "standard", "tiny", "adam", 3, T, n) for T in (8, 12) for n in (10, 20)]


def test_cells_of_several_grids():
    more = [{"k": [3], "T": [20], "n": [30, 40], "seeds": 7}]
    cells = parse(edited(("experiments.and3.more_grids", more))).experiments["and3"].cells()
    assert {(cell.T, cell.n): seeds for cell, seeds in cells.items() if seeds == 7} == {(20, 30): 7, (20, 40): 7}
    assert len(cells) == 6


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


# What is wrong with a config

WRONG = [
    # unknown keys and names
    ("training.adam.lerning_rate", 0.1, "unknown key; did you mean 'learning_rate'?"),
    ("training.adam.success.accurracy", 0.1, "unknown key; did you mean 'accuracy'?"),
    ("modells", {}, "unknown key; did you mean 'models'?"),
    ("compute.zzz", 1, "unknown key; use one of: device, precision, seeds_per_job"),
    ("experiments.and3.grid.t", [3], "unknown key; use one of: T, k, n, seeds"),
    ("figures.success_heatmap.paper_points", "x", "unknown key; use one of: experiments"),
    ("experiments.and3.function", "ands", "unknown function 'ands'; did you mean 'and'?"),
    (
        "experiments.and3.function",
        "zzz",
        "unknown function 'zzz'; use one of: and, junta, majority, or, parity",
    ),
    ("experiments.and3.data", "standrad", "unknown data 'standrad'; did you mean 'standard'?"),
    ("experiments.and3.model", "tinny", "unknown model 'tinny'; did you mean 'tiny'?"),
    ("experiments.and3.training", "adma", "unknown training 'adma'; did you mean 'adam'?"),
    ("data.Xor", {}, "'Xor' is not a valid name; use a-z, 0-9 and _, a letter first"),
    # kinds of values
    ("training.adam.learning_rate", "3e-3", "YAML reads '3e-3' as text, not as a number; write 0.003"),
    ("training.adam.learning_rate", "1e-5", "YAML reads '1e-5' as text, not as a number; write 1.0e-05"),
    ("training.adam.max_steps", "1e3", "YAML reads '1e3' as text, not as a number; write 1000"),
    ("training.adam.learning_rate", "fast", "'fast' is not a number; write a number such as 0.5"),
    ("training.adam.learning_rate", "inf", "'inf' is not a number; write a number such as 0.5"),
    ("training.adam.learning_rate", float("inf"), "inf is not finite; write a finite number"),
    ("training.adam.learning_rate", True, "true is not a number; write a number such as 0.5"),
    ("data.standard.holdout_size", True, "true is not an integer; write a whole number"),
    ("data.standard.holdout_size", 10.0, "10.0 is not an integer; write a whole number"),
    ("data.standard.reject_ambiguous", 1, "1 is not a truth value; write true or false"),
    ("experiments.and3.function", None, "null is not text; write text, in quotes if need be"),
    ("figures.critical_sample_size.paper_points", ["a"], "a list is not text; write text, in quotes if need be"),
    ("experiments.and3.grid.n", 10, "10 is not a list; put the values in brackets: [...]"),
    ("experiments.and3.grid.n", {}, "a mapping is not a list; put the values in brackets: [...]"),
    ("experiments.and3.grid", [3], "a list is not a mapping; write 'key: value' lines"),
    ("compute", None, "null is not a mapping; write 'key: value' lines"),
    # ranges
    ("training.adam.learning_rate", 0, "0 is out of range; use a value > 0.0"),
    ("training.adam.weight_decay", -0.1, "-0.1 is out of range; use a value >= 0.0"),
    ("training.adam.success.accuracy", 1.5, "1.5 is out of range; use a value <= 1.0"),
    ("analysis.success_share", 1, "1 is out of range; use a value < 1.0"),
    ("analysis.bootstrap", 0, "0 is out of range; use a value >= 1"),
    ("models.tiny.heads", 0, "0 is out of range; use a value >= 1"),
    ("experiments.and3.grid.seeds", 0, "0 is out of range; use a value >= 1"),
    (
        "experiments.and3.more_grids",
        [{"k": [3], "T": [12, 20], "n": [20, 30]}],
        "k = 3, T = 12, n = 20 is in two grids; leave it out of one",
    ),
    ("training.adam.success.when", "never", "'never' is not allowed; use 'any' or 'last'"),
    ("models.tiny.activation", "tanh", "'tanh' is not allowed; use 'gelu' or 'relu'"),
    ("models.tiny.kind", "lstmm", "unknown kind 'lstmm'; did you mean 'lstm'?"),
    (
        "models.tiny.kind",
        "cnn",
        "unknown kind 'cnn'; use one of: consistent, decision_tree, logistic_regression, lstm, mlp, transformer",
    ),
    (
        "models.tiny.kind",
        None,
        "unknown kind 'null'; use one of: consistent, decision_tree, logistic_regression, lstm, mlp, transformer",
    ),
    ("models.tiny", [], "a list is not a mapping; write 'key: value' lines"),
    ("compute.device", "gpu", "'gpu' is not allowed; use 'cpu', 'cuda' or 'auto'"),
    # empty or missing
    ("experiments", REMOVE, "missing; add it"),
    ("experiments.and3.grid.T", [], "empty; add at least one entry"),
    ("figures.success_heatmap.experiments", [], "empty; add at least one entry"),
    # values that must fit each other
    ("models.tiny.heads", 6, "6 does not divide width = 16; use a divisor such as 2"),
    ("training.adam.eval_every", 30, "30 does not divide max_steps = 100; use a divisor such as 10"),
    ("training.adam.momentum", 0.9, "adam has no momentum; use optimiser: sgd or leave it out"),
    ("training.adam.warmup_steps", 100, "100 is not below max_steps = 100; use fewer"),
    (
        "training.adam.norm_bound",
        {"norm": "frobenius"},
        "nothing is bounded; give value or query_key a number, or write null",
    ),
    ("experiments.and3.grid.n", [5, 6, 5, 6, 7], "more than once: 5, 6; write each value once"),
]


@pytest.mark.parametrize(("path", "value", "problem"), WRONG)
def test_wrong_value(path, value, problem):
    assert problems(edited((path, value))) == [f"{path}: {problem}"]


WRONG_ELSEWHERE = [
    # the problem is found at a path other than the edited one
    ("experiments.and3.grid.T", [8, 9, 2], "experiments.and3.grid.T[2]: 2 is smaller than k = 3; use T >= 3"),
    (
        "experiments.and3.more_grids",
        [{"k": [3], "T": [2], "n": [20]}],
        "experiments.and3.more_grids[0].T[0]: 2 is smaller than k = 3; use T >= 3",
    ),
    (
        "experiments.and3.more_grids",
        [{"k": [3], "T": [20], "n": [20], "seed": 3}],
        "experiments.and3.more_grids[0].seed: unknown key; did you mean 'seeds'?",
    ),
    ("experiments.and3.grid.k", [3, 9], "experiments.and3.grid.T[0]: 8 is smaller than k = 9; use T >= 9"),
    (
        "experiments.and3.grid.n",
        [10, "20"],
        "experiments.and3.grid.n[1]: YAML reads '20' as text, not as a number; write 20",
    ),
    ("experiments.and3.grid.n", [10, 0], "experiments.and3.grid.n[1]: 0 is out of range; use a value >= 1"),
    ("models.tiny.width", 18, "models.tiny.heads: 4 does not divide width = 18; use a divisor such as 2"),
    ("figures.success_heatmap", {}, "figures.success_heatmap.experiments: missing; add it"),
    (
        "figures.success_heatmap.experiments",
        ["and3", "curve"],
        "figures.success_heatmap.experiments[1]: unknown experiment 'curve'; did you mean 'curves'?",
    ),
    (
        "figures.learning_curves.experiments",
        ["and3"],
        "figures.learning_curves.experiments[0]: 'and3' has 2 values of T; use an experiment with one\n"
        "figures.learning_curves.experiments[0]: the runs of 'and3' stop early; "
        "use a training protocol with success.when: last",
    ),
    (
        "experiments.curves.grid.k",
        [2, 4],
        "figures.learning_curves.experiments[0]: 'curves' has 2 values of k; use an experiment with one",
    ),
    (
        "training.full.success.when",
        "any",
        "figures.learning_curves.experiments[0]: the runs of 'curves' stop early; "
        "use a training protocol with success.when: last",
    ),
    ("models.tiny.dropout", {"atention": 0.1}, "models.tiny.dropout.atention: unknown key; did you mean 'attention'?"),
    ("models.tiny.dropout", {"mlp": 1}, "models.tiny.dropout.mlp: 1 is out of range; use a value < 1.0"),
    ("models.tiny", {"kind": "mlp", "width": 3}, "models.tiny.width: unknown key; did you mean 'widths'?"),
    ("models.tiny", {"kind": "mlp", "widths": [8, 0]}, "models.tiny.widths[1]: 0 is out of range; use a value >= 1"),
    ("models.tiny", {"kind": "lstm", "heads": 3}, "models.tiny.heads: unknown key; use one of: kind, layers, width"),
    (
        "training.adam.norm_bound",
        {"norm": "1,2", "valeu": 3},
        "training.adam.norm_bound.norm: '1,2' is not allowed; use 'frobenius' or '2,1'\n"
        "training.adam.norm_bound.valeu: unknown key; did you mean 'value'?",
    ),
    (
        "training.adam.batch_size",
        15,
        "experiments.and3.grid.n[0]: 10 is smaller than batch_size = 15 of 'adam'; use n >= 15",
    ),
    (
        "models.tiny",
        REMOVE,
        "models: empty; add at least one entry",
    ),
    (
        "data",
        {"other": {}},
        "experiments.and3.data: unknown data 'standard'; use one of: other\n"
        "experiments.curves.data: unknown data 'standard'; use one of: other",
    ),
    (
        "models",
        {7: {}, "tiny": {}},
        "models[7]: 7 is not text; write text, in quotes if need be",
    ),
    (
        "compute",
        {True: 1},
        "compute[1]: true is not text; write text, in quotes if need be",
    ),
]


@pytest.mark.parametrize(("path", "value", "lines"), WRONG_ELSEWHERE)
def test_wrong_value_found_elsewhere(path, value, lines):
    assert problems(edited((path, value))) == lines.splitlines()


def test_fresh_samples_have_no_batch_size():
    raw = edited(("training.adam.samples", "fresh"), ("training.adam.batch_size", 5))
    complaint = "fresh samples come in batches of n; leave it out or use samples: fixed"
    assert problems(raw) == [f"training.adam.batch_size: {complaint}"]


def test_only_transformers_have_norms_to_bound():
    raw = edited(("training.full.norm_bound", {"value": 3.0}), ("models.tiny", {"kind": "mlp"}))
    assert problems(raw) == [
        "experiments.curves.training: 'full' has norm_bound, and 'tiny' is no transformer; "
        "use a training protocol without norm_bound"
    ]
    parse(edited(("training.full.norm_bound", {"value": 3.0})))


@pytest.mark.parametrize(
    ("model", "training", "problem"),
    [
        ({"kind": "decision_tree"}, "adam", "'tiny' is fitted without training steps; write training: null"),
        ({}, None, "missing; 'tiny' is trained by steps, so name a training protocol"),
        (
            {"kind": "lstm"},
            "recording",
            "'recording' has record: [attention], and 'tiny' is no transformer; use a training protocol without record",
        ),
    ],
)
def test_learner_and_training_fit(model, training, problem):
    raw = edited(("models.tiny", model), ("training.recording", {"record": ["attention"]}), ("experiments", {}))
    raw["experiments"] = {"one": {"model": "tiny", "training": training}}
    raw["figures"] = {}
    assert problems(raw) == [f"experiments.one.training: {problem}"]


def test_a_search_that_is_too_long_is_refused_before_any_job():
    grid = {"k": [3], "T": [100, 5000]}
    raw = {
        "models": {"exact": {"kind": "consistent"}},
        "experiments": {
            "and3": {"function": "and", "model": "exact", "training": None, "grid": grid},
            "junta3": {"function": "junta", "model": "exact", "training": None, "grid": grid},
        },
    }
    assert problems(raw) == [
        "experiments.junta3.grid.T[1]: k = 3, T = 5000: too long a search, 2.1e+10 supports where 1e+09 are allowed; "
        "use a smaller T or k"
    ]


def test_fresh_samples_have_no_noise():
    raw = {
        "data": {"standard": {"label_noise": 0.1}},
        "training": {"adam": {"samples": "fresh"}},
        "experiments": {"one": {}},
    }
    complaint = "'standard' has noise, and 'adam' draws fresh samples, without it"
    assert problems(raw) == [f"experiments.one.data: {complaint}"]


def test_some_experiment_must_be_on():
    raw = edited(("experiments.and3.enabled", False), ("experiments.curves.enabled", False))
    assert problems(raw) == ["experiments: all are off; write enabled: true in at least one"]


def test_no_training_protocol_is_called_none():
    assert problems(edited(("training.none", {}))) == [
        "training.none: this name stands for no training; use another name"
    ]


@pytest.mark.parametrize(
    ("figure", "training", "problem"),
    [
        (
            "noise",
            {"samples": "fresh"},
            "'and3' draws fresh samples at every step; use an experiment with samples: fixed",
        ),
        ("transitions", {}, "the samples of 'and3' are fixed; use an experiment with samples: fresh"),
        ("attention", {}, "'and3' does not record attention; use a training protocol with record: [attention]"),
        (
            "progress",
            {"samples": "fresh"},
            "'and3' does not record progress; use a training protocol with record: [progress]",
        ),
        ("attention_map", {"record": ["attention"]}, "'and3' has 2 values of T; use an experiment with one"),
    ],
)
def test_figures_need_fitting_experiments(figure, training, problem):
    raw = edited(("figures", {figure: {"experiments": ["and3"]}}))
    raw["training"]["adam"] |= training
    assert problems(raw) == [f"figures.{figure}.experiments[0]: {problem}"]


def test_defaults_are_checked_like_written_values():
    raw = edited(("experiments.and3.data", REMOVE), ("data", {"other": {}}), ("experiments.curves.data", "other"))
    assert problems(raw) == ["experiments.and3.data: unknown data 'standard'; use one of: other"]


def test_k_must_suit_the_function():
    raw = edited(
        ("experiments.and3.function", "majority"),
        ("experiments.and3.grid.k", [3, 4, 6]),
    )
    complaint = FUNCTIONS["majority"].check_sparsity
    assert problems(raw) == [
        f"experiments.and3.grid.k[1]: {complaint(4)}",
        f"experiments.and3.grid.k[2]: {complaint(6)}",
    ]


def test_all_problems_at_once():
    raw = edited(
        ("data.standard.holdout_size", "many"),
        ("models.tiny.heads", 3),
        ("training.adam.lerning_rate", 1e-3),
        ("experiments.and3.grid.T", [8, 1.5, 2]),
        ("experiments.curves.model", "tinny"),
        ("figures.success_heatmap.experiments", ["and4"]),
        ("analysis.bootstrap", 0),
        ("extra", 1),
    )
    assert problems(raw) == [
        "data.standard.holdout_size: 'many' is not an integer; write a whole number",
        "models.tiny.heads: 3 does not divide width = 16; use a divisor such as 1",
        "training.adam.lerning_rate: unknown key; did you mean 'learning_rate'?",
        "experiments.and3.grid.T[1]: 1.5 is not an integer; write a whole number",
        "experiments.and3.grid.T[2]: 2 is smaller than k = 3; use T >= 3",
        "experiments.curves.model: unknown model 'tinny'; did you mean 'tiny'?",
        "analysis.bootstrap: 0 is out of range; use a value >= 1",
        "figures.success_heatmap.experiments[0]: unknown experiment 'and4'; did you mean 'and3'?",
        "extra: unknown key; use one of: analysis, compute, data, experiments, figures, models, training",
    ]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (None, "config: empty; write at least the section 'experiments'"),
        ([1], "config: a list is not a mapping; write 'key: value' lines"),
        ("text", "config: 'text' is not a mapping; write 'key: value' lines"),
        ({}, "experiments: missing; add it"),
    ],
)
def test_not_a_config(raw, problem):
    assert problems(raw) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "config: empty; write at least the section 'experiments'"),
        (b"data: {}\nmodels: [1\n", "{path}:3: expected ',' or ']', but got '<stream end>'; correct the YAML"),
        (b"data:\n\tx: 1\n", "{path}:2: found character '\\t' that cannot start any token; correct the YAML"),
        (b"data: {}\nmodels: {}\ndata: {}\n", "{path}:3: the key 'data' is there twice; correct the YAML"),
        (b"data:\n  a: {}\n  a: {}\n", "{path}:3: the key 'a' is there twice; correct the YAML"),
        (b"a: *b\n", "{path}:1: found undefined alias 'b'; correct the YAML"),
        (b"? [a]\n: 1\n", "{path}:1: found unhashable key; correct the YAML"),
        (b"a: \xff\n", "{path}: byte 3: invalid start byte; save the file as UTF-8 text"),
        (b"compute: {}\n", "experiments: missing; add it"),
    ],
)
def test_wrong_files(tmp_path, text, problem):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(error.value) == problem.replace("{path}", str(path))


def test_merge_keys_may_override(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("training: {adam: &a {max_steps: 40}, b: {<<: *a, max_steps: 60}}\nexperiments: {x: {}}\n")
    assert [training.max_steps for training in load(path).training.values()] == [40, 60]


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.yaml")


def paths(value: object, above: tuple = ()) -> list[tuple]:
    """The locations of everything inside nested mappings and lists."""
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path for key, inner in items for path in [(*above, key), *paths(inner, (*above, key))]]


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(
        [
            "any",
            "last",
            "cpu",
            "3e-3",
            "1e999",
            "nan",
            "{",
            "{value}",
            "",
            "and",
            "adam",
            "full",
            "mlp",
            "sgd",
            "fresh",
            10**400,
        ]
    )
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES, inner, max_size=3))


@settings(deadline=None)
@given(st.data())
def test_a_mutated_config_parses_or_raises_config_error(data):
    raw = valid()
    for _ in range(data.draw(st.integers(1, 4))):
        *above, key = data.draw(st.sampled_from(paths(raw)))
        section = raw
        for step in above:
            section = section[step]
        change = data.draw(st.sampled_from(["delete", "rename", "replace"]))
        if change == "replace" or isinstance(section, list):
            section[key] = data.draw(VALUES)
        else:
            value = section.pop(key)
            if change == "rename":
                section[data.draw(LEAVES)] = value
    try:
        config = parse(raw)
    except ConfigError as error:
        assert str(error)
    else:
        assert parse(config.model_dump(mode="json")) == config


# What is generated from the config


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
    with pytest.raises(SystemExit, match=r"^stale: workflow.*, docs.*; run `python -m pipeline.config_reference`$"):
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
