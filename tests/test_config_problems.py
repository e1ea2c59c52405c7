"""What is wrong with a config is told with its place and mend."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bad_inputs import REMOVE, WRONG, WRONG_ELSEWHERE, WRONG_FILES, edited, problems, valid
from pipeline.baselines.consistent import ELIMINATION
from pipeline.config import (
    ConfigError,
    parse,
)
from pipeline.data.functions import FUNCTIONS


def test_every_bad_input_is_told_with_place_and_mend():
    assert len(WRONG) + len(WRONG_ELSEWHERE) + len(WRONG_FILES) >= 40
    lines = [f"{path}: {problem}" for path, _, problem in WRONG]
    lines += [line for _, _, told in WRONG_ELSEWHERE for line in told.splitlines()]
    assert [line for line in lines if not LINE.fullmatch(line)] == []


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
        "data": {"standard": {"reject_ambiguous": False}},
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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_exact_search_on_samples_that_were_searched_is_refused(function):
    one = {"function": function, "model": "exact", "training": None, "grid": {"k": [3], "T": [8]}}
    raw = {"models": {"exact": {"kind": "consistent"}}, "experiments": {"one": one}}
    if function in ELIMINATION:
        parse(raw)
    else:
        assert problems(raw) == [
            "experiments.one.data: 'standard' rejects ambiguous samples, and on the others the exact search of 'exact' "
            "cannot fail; use a data protocol with reject_ambiguous: false"
        ]
    parse(raw | {"data": {"standard": {"label_noise": 0.1}}})
    parse(raw | {"data": {"standard": {"reject_ambiguous": False}}})


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
        "analysis.bootstrap: 0 is out of range; use a value >= 39",
        "figures.success_heatmap.experiments[0]: unknown experiment 'and4'; did you mean 'and3'?",
        "extra: unknown key; use one of: "
        "analysis, claims, compute, data, experiments, figures, models, theory, training",
    ]


def test_the_resamples_reach_beyond_the_ends_of_the_interval():
    enough = edited(("analysis", {"confidence": 0.99, "bootstrap": 199}))
    assert parse(enough).analysis.bootstrap == 199
    assert problems(edited(("analysis", {"confidence": 0.999, "bootstrap": 199}))) == [
        "analysis.bootstrap: of 199 none lies beyond the ends of a 99.9% interval; use a value >= 1999"
    ]


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
