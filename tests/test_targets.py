"""What the rules take from the config."""

import json
from pathlib import Path

import pytest

from pipeline import targets
from pipeline.config import Config, parse

PATTERN = "{data}/{function}/{model}/{training}/{k}/{T}/{n}/{seeds}"


def config(**experiments: dict) -> Config:
    """A config with experiments of the given T, n and seeds, in blocks of 10 seeds."""
    grids = {name: {"grid": {"k": [3], **grid}} for name, grid in experiments.items()}
    return parse({"experiments": grids, "compute": {"seeds_per_job": 10}})


def files(made: Config, *names: str) -> list[str]:
    prefix = "standard/and/transformer/adam/3/"
    found = targets.run_files(made, [made.experiments[name] for name in names], PATTERN)
    return [path.removeprefix(prefix) for path in found]


def test_every_block_of_every_cell_has_a_file():
    made = config(one={"T": [5, 6], "n": [20], "seeds": 15})
    assert files(made, "one") == ["5/20/0-9", "5/20/10-14", "6/20/0-9", "6/20/10-14"]


def test_cells_that_experiments_share_are_computed_once_whatever_their_seeds():
    made = config(large={"T": [5], "n": [20, 30], "seeds": 12}, small={"T": [5, 6], "n": [30], "seeds": 4})
    assert files(made, "large", "small") == ["5/20/0-9", "5/20/10-11", "5/30/0-9", "5/30/10-11", "6/30/0-3"]
    assert files(made, "small") == ["5/30/0-9", "6/30/0-3"]


def test_a_training_job_is_told_its_cell_and_settings():
    made = config(one={"T": [5], "n": [20], "seeds": 1})
    cell = next(iter(made.experiments["one"].cells()))
    spec = json.loads(targets.training_spec(made, cell))
    assert spec["cell"] == {**cell._asdict()}
    assert spec["model"]["width"] == 64
    assert spec["training"]["success"] == {"accuracy": 1.0, "when": "any"}


def test_a_dataset_job_is_not_told_what_only_the_holdout_needs():
    made = config(one={"T": [5], "n": [20], "seeds": 1})
    spec = json.loads(targets.dataset_spec(made, "standard", "0-9", function="and", k=3, T=5, n=20))
    assert spec == {
        "cell": {"function": "and", "k": 3, "T": 5, "n": 20},
        "seeds": "0-9",
        "reject_ambiguous": True,
        "max_redraws": 100,
        "label_noise": 0.0,
        "feature_noise": 0.0,
    }


def test_the_figure_of_noise_is_told_the_rates_of_what_it_shows():
    grid = {"k": [3], "T": [5], "n": [20], "seeds": 1}
    raw = {name: {"grid": grid, "data": name} for name in ("clean", "noisy", "other")}
    data = {"clean": {}, "noisy": {"label_noise": 0.05}, "other": {"feature_noise": 0.1}}
    made = parse({"experiments": raw, "data": data, "figures": {"noise": {"experiments": ["noisy", "clean"]}}})
    assert json.loads(targets.noise_spec(made)) == {
        "noisy": {"label_noise": 0.05, "feature_noise": 0.0},
        "clean": {"label_noise": 0.0, "feature_noise": 0.0},
    }


def test_an_experiment_that_is_off_is_as_if_it_were_not_there():
    grid = {"k": [3], "T": [5], "n": [20, 30], "seeds": 1}
    raw = {"one": {"grid": grid}, "two": {"grid": grid | {"n": [40]}, "enabled": False}}
    drawn = {"success_heatmap": {"experiments": ["one", "two"]}, "functions": {"experiments": ["two"]}}
    made = parse({"experiments": raw, "figures": drawn})
    assert list(made.enabled) == list(targets.shown(made, "success_heatmap")) == ["one"]
    assert {cell.n for cell in made.seed_blocks()} == {20, 30}
    assert targets.figure_files(made, "f") == [f"f/success_heatmap.{kind}" for kind in ("svg", "png", "html")]


def test_a_learner_that_is_fitted_has_no_training():
    raw = {"tree": {"model": "tree", "training": None, "grid": {"k": [3], "T": [5], "n": [20], "seeds": 1}}}
    made = parse({"experiments": raw, "models": {"tree": {"kind": "decision_tree"}}})
    assert targets.run_files(made, made.enabled.values(), PATTERN) == ["standard/and/tree/none/3/5/20/0-0"]
    spec = json.loads(targets.fitting_spec(made, next(iter(made.experiments["tree"].cells()))))
    assert spec["model"]["criterion"] == "gini"
    assert "training" not in spec
    assert json.loads(targets.experiments_spec(made.enabled))["tree"]["training"] == "none"


@pytest.mark.parametrize("drawn", [True, False])
def test_figures_that_are_left_out_need_nothing(drawn):
    raw = {"experiments": {"one": {"grid": {"T": [5], "k": [3], "n": [20]}}}}
    figure = {"experiments": ["one"], "paper_points": "points.csv"}
    made = parse(raw | {"figures": {"critical_sample_size": figure if drawn else None}})
    assert list(targets.shown(made, "critical_sample_size")) == (["one"] if drawn else [])
    assert targets.figure_files(made, "f") == [
        f"f/critical_sample_size.{kind}" for kind in ("svg", "png", "html") if drawn
    ]
    assert targets.paper_points(made, Path("/root")) == (["/root/points.csv"] if drawn else [])
