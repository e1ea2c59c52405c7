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
from snakemake.utils import update_config

from bad_inputs import REMOVE, WRONG, WRONG_ELSEWHERE, WRONG_FILES, edited, valid
from pipeline import config_reference
from pipeline.config import (
    PROVENANCE,
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
# Of the study; somebody may add more to the registries.
STUDIED_FUNCTIONS = {"and", "or", "majority", "parity", "junta"}
STUDIED_LEARNERS = {"transformer", "mlp", "lstm", "logistic_regression", "decision_tree", "consistent"}


def test_every_bad_input_is_told_with_place_and_mend():
    assert len(WRONG) + len(WRONG_ELSEWHERE) + len(WRONG_FILES) >= 40
    lines = [f"{path}: {problem}" for path, _, problem in WRONG]
    lines += [line for _, _, told in WRONG_ELSEWHERE for line in told.splitlines()]
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def problems(raw: object) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse(raw)
    return str(error.value).splitlines()


# What a config says


@pytest.mark.parametrize("name", [*CONFIGS, "tuning", "extended", "sensitivity", "adaptive"])
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


def test_the_learning_rate_is_all_that_tuning_varies():
    paper, tuning = load(ROOT / "config/config.yaml"), load(ROOT / "config/tuning.yaml")
    for training in tuning.training.values():
        rate = {"learning_rate": training.learning_rate}
        assert training == paper.training["paper_baseline"].model_copy(update=rate)
    lengths = {T for one in paper.enabled.values() for T in one.grid.T if one.function == "and"}
    assert not lengths & {T for one in tuning.enabled.values() for T in one.grid.T}
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


@pytest.mark.parametrize(("path", "value", "problem"), WRONG)
def test_wrong_value(path, value, problem):
    assert problems(edited((path, value))) == [f"{path}: {problem}"]


@pytest.mark.parametrize(("path", "value", "lines"), WRONG_ELSEWHERE)
def test_wrong_value_found_elsewhere(path, value, lines):
    assert problems(edited((path, value))) == lines.splitlines()


ADAPTIVE = {"sizes": 2}
NOT_ADAPTIVE = [
    (
        {"training.paper.samples": "fresh"},
        "experiments.and3.adaptive: 'paper' draws fresh samples at every step, so n is no sample size; "
        "write adaptive: null",
    ),
    (
        {"models.tree": {"kind": "decision_tree"}, "experiments.and3.model": "tree", "experiments.and3.training": None},
        "experiments.and3.adaptive: 'tree' is fitted without training steps, so a run costs little; "
        "write adaptive: null and a finer grid",
    ),
    (
        {"training.paper.batch_size": 10, "experiments.and3.adaptive": {"sizes": 2, "n_min": 9}},
        "experiments.and3.adaptive.n_min: 9 is smaller than batch_size = 10 of 'paper'; use n_min >= 10",
    ),
    (
        {"experiments.aaa": {**valid()["experiments"]["and3"], "adaptive": ADAPTIVE}},
        "experiments.aaa.adaptive: k = 3, T = 12 of the same learner is adaptive in 'and3'; leave it out of one",
    ),
]


@pytest.mark.parametrize(("edits", "problem"), NOT_ADAPTIVE)
def test_what_cannot_have_adaptive_rounds(edits, problem):
    raw = edited(("experiments.and3.adaptive", ADAPTIVE), *edits.items())
    assert problem in problems(raw)


def test_an_experiment_that_is_off_has_no_adaptive_rounds_to_share():
    other = {**valid()["experiments"]["and3"], "adaptive": ADAPTIVE, "enabled": False}
    made = parse(edited(("experiments.and3.adaptive", ADAPTIVE), ("experiments.other", other)))
    assert [(curve.k, curve.T) for curve in made.adaptive] == [(3, 8), (3, 12)]
    assert set(map(id, made.adaptive.values())) == {id(made.experiments["and3"])}


def test_fresh_samples_have_no_batch_size():
    raw = edited(("training.paper.samples", "fresh"), ("training.paper.batch_size", 5))
    complaint = "fresh samples come in batches of n; leave it out or use samples: fixed"
    assert problems(raw) == [f"training.paper.batch_size: {complaint}"]


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
        ({"kind": "decision_tree"}, "paper", "'tiny' is fitted without training steps; write training: null"),
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
    told = "k = 3, T = 5000: too large a search, 2.1e+10 supports where 1e+09 are allowed; use a smaller T or k"
    assert problems(raw) == [f"experiments.junta3.grid.T[1]: {told}"]
    rejecting = {"junta3": {"function": "junta", "grid": grid}, "and3": {"grid": grid}}
    assert problems({"experiments": rejecting}) == [
        f"experiments.junta3.grid.T[1]: {told}, or a data protocol with reject_ambiguous: false"
    ]
    parse({"data": {"standard": {"reject_ambiguous": False}}, "experiments": rejecting})


def test_the_largest_cell_of_a_parity_is_allowed():
    grid = {"k": [3], "T": [100_000], "n": [2000]}
    parse({"experiments": {"parity3": {"function": "parity", "grid": grid}}})
    grid["k"] = [3, 5]
    assert problems({"experiments": {"parity": {"function": "parity", "grid": grid}}}) == [
        "experiments.parity.grid.T[0]: k = 5, T = 100000: too large a search, 1.7e+14 3-subsets where 5e+09 are "
        "allowed; use a smaller T or k, or a data protocol with reject_ambiguous: false"
    ]


def test_fresh_samples_have_no_noise():
    raw = {
        "data": {"standard": {"label_noise": 0.1}},
        "training": {"paper": {"samples": "fresh"}},
        "experiments": {"one": {}},
    }
    complaint = "'standard' has noise, and 'paper' draws fresh samples, without it"
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
    raw = edited(("figures", {figure: {"experiments": ["and3"]}}), ("experiments.and3.grid.n", [10]))
    raw["training"]["paper"] |= training
    assert problems(raw) == [f"figures.{figure}.experiments[0]: {problem}"]


def test_progress_is_of_runs_with_one_n_for_each_k():
    raw = edited(("figures", {"progress": {"experiments": ["and3"]}}))
    raw["training"]["paper"] |= {"samples": "fresh", "record": ["progress"]}
    assert problems(raw) == [
        "figures.progress.experiments[0]: 'and3' has 2 values of n at k = 3; use an experiment with one"
    ]
    grids = {"grid": {"k": [3], "T": [8, 12], "n": [10]}, "more_grids": [{"k": [2], "T": [8], "n": [20]}]}
    raw["experiments"]["and3"] |= grids
    assert parse(raw).figures.progress


def test_the_figure_of_noise_shows_one_kind_of_it():
    raw = edited(("figures", {"noise": {"experiments": ["and3"]}}))
    raw["data"]["standard"] |= {"label_noise": 0.1}
    assert parse(raw).figures.noise
    raw["data"]["standard"] |= {"feature_noise": 0.1}
    assert problems(raw) == [
        "figures.noise.experiments[0]: 'and3' has noise of labels and of bits; use an experiment with one kind"
    ]


COMPARISONS = ["functions", "sparsity", "learners", "noise"]


def compared(figure: str, *edits: tuple[str, object]) -> dict:
    """A config with a figure of two experiments that differ in their training alone."""
    two = {**valid()["experiments"]["and3"], "training": "slow"}
    figures = {figure: {"experiments": ["and3", "two"]}}
    training = {"learning_rate": 0.001}
    return edited(("training.slow", training), ("experiments.two", two), ("figures", figures), *edits)


@pytest.mark.parametrize("figure", COMPARISONS)
@pytest.mark.parametrize(
    ("edit", "both"),
    [
        (("experiments.two.enabled", False), None),
        (("experiments.two.function", "or"), None),
        (("experiments.two.grid.k", [2]), None),
        (("experiments.two.grid.T", [9]), None),
        (("experiments.two.model", "other"), None),
        (("experiments.two.grid.T", [9, 12]), "T = 12"),
        (("experiments.two.grid.n", [30]), "T = 8"),
        (("experiments.two.training", "paper"), "T = 8"),
    ],
)
def test_figures_that_compare_have_one_experiment_for_a_mark(figure, edit, both):
    raw = compared(figure, ("models.other", {}), edit)
    if both is None:
        assert getattr(parse(raw).figures, figure)
    else:
        mark = f"tiny on and of k = 3 bits at {both}" + (" with the same noise" if figure == "noise" else "")
        assert problems(raw) == [
            f"figures.{figure}.experiments[1]: 'two' and 'and3' would share a mark: {mark}; show one of them"
        ]


@pytest.mark.parametrize("figure", COMPARISONS)
def test_only_the_figure_of_noise_tells_rates_of_noise_apart(figure):
    raw = compared(figure, ("data.noisy", {"label_noise": 0.1}), ("experiments.two.data", "noisy"))
    if figure == "noise":
        assert parse(raw).figures.noise
    else:
        assert len(problems(raw)) == 1


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ((), None),
        (
            ("experiments.two.training", "paper"),
            "experiments[0]: 'two' differs from 'and3' in nothing; change one setting",
        ),
        (
            ("training.full.learning_rate", 0.1),
            "experiments[0]: 'two' differs from 'and3' in learning_rate and success; change one setting",
        ),
        (
            ("experiments.two.grid.T", [9]),
            "experiments[0]: 'two' has no T in common with 'and3'; add one",
        ),
        (
            ("experiments.two.function", "or"),
            "experiments[0]: 'two' has another function or k than 'and3'; use the same",
        ),
        (
            ("experiments.two.grid.k", [2, 3]),
            "experiments[0]: 'two' has 2 values of k; use an experiment with one",
        ),
        (
            ("experiments.and3.enabled", False),
            "base: 'and3' is off; write enabled: true in it, or leave the figure out",
        ),
        (("figures.sensitivity.base", "and"), "base: unknown experiment 'and'; did you mean 'and3'?"),
        (
            ("training.paper", {"samples": "fresh", "success": {"when": "last"}}),
            "base: 'and3' draws fresh samples at every step; use an experiment with samples: fixed",
        ),
    ],
)
def test_sensitivity_compares_experiments_that_differ_in_one_setting(edit, problem):
    two = {"model": "tiny", "training": "full", "grid": {"k": [3], "T": [12, 16], "n": [10], "seeds": 3}}
    figure = {"base": "and3", "experiments": ["two"]}
    edits = [("figures", {"sensitivity": figure}), ("experiments.two", two)]
    raw = edited(*edits, *([edit] if edit else []))
    if problem is None:
        assert parse(raw).figures.sensitivity.base == "and3"
    else:
        assert f"figures.sensitivity.{problem}" in problems(raw)


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
        ("training.paper.lerning_rate", 1e-3),
        ("experiments.and3.grid.T", [8, 1.5, 2]),
        ("experiments.curves.model", "tinny"),
        ("figures.success_heatmap.experiments", ["and4"]),
        ("analysis.bootstrap", 0),
        ("extra", 1),
    )
    assert problems(raw) == [
        "data.standard.holdout_size: 'many' is not an integer; write a whole number",
        "models.tiny.heads: 3 does not divide width = 16; use a divisor such as 1",
        "training.paper.lerning_rate: unknown key; did you mean 'learning_rate'?",
        "experiments.and3.grid.T[1]: 1.5 is not an integer; write a whole number",
        "experiments.and3.grid.T[2]: 2 is smaller than k = 3; use T >= 3",
        "experiments.curves.model: unknown model 'tinny'; did you mean 'tiny'?",
        "analysis.bootstrap: 0 is out of range; use a value >= 1",
        "figures.success_heatmap.experiments[0]: unknown experiment 'and4'; did you mean 'and3'?",
        "extra: unknown key; use one of: "
        "analysis, claims, compute, data, experiments, figures, models, theory, training",
    ]


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
            "paper",
            "full",
            "mlp",
            "sgd",
            "fresh",
            10**400,
            10**6,
            10**9,
            "a\nb",
            "../x",
            "аnd",
        ]
    )
)
LINE = re.compile(r"[^:]+: .+(; |must be ).+")  # place, problem and mend
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
        assert all(LINE.fullmatch(line) for line in str(error).splitlines()), error
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
