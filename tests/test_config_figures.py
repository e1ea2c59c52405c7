"""Figures that a config cannot draw."""

import pytest

from bad_inputs import edited, problems, valid
from pipeline.config import parse
from pipeline.workflow import targets


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


def test_experiments_that_are_off_are_not_checked_with_figures():
    """They are as if they were not there; a figure of them alone is not drawn."""
    off = {**valid()["experiments"]["and3"], "enabled": False}
    figures = {"transitions": {"experiments": ["off"]}, "sensitivity": {"base": "off", "experiments": ["off"]}}
    figures |= {"learning_curves": {"experiments": ["curves", "off"]}, "noise": {"experiments": ["and3", "off"]}}
    raw = edited(("experiments.off", off), ("figures", figures))
    assert parse(raw).figures.learning_curves.experiments == ("curves", "off")
    assert targets.drawn(parse(raw)) == ["learning_curves", "noise"]
    raw["experiments"]["off"]["enabled"] = True
    places = [problem.partition(": ")[0] for problem in problems(raw)]
    assert places == ["figures.learning_curves.experiments[1]"] * 2 + ["figures.transitions.experiments[0]"]


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
