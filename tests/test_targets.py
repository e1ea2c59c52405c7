"""What the rules take from the config."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline.config import Cell, Config, parse
from pipeline.workflow import specifications, targets
from running import ROOT

PATTERN = "{data}/{function}/{model}/{training}/{k}/{T}/{n}/{seeds}"


def config(**experiments: dict) -> Config:
    """A config with experiments of the given T, n and seeds, in blocks of 10 seeds."""
    grids = {name: {"grid": {"k": [3], **grid}} for name, grid in experiments.items()}
    return parse({"experiments": grids, "compute": {"seeds_per_job": 10}})


def files(made: Config, *names: str) -> list[str]:
    prefix = "standard/and/transformer/paper/3/"
    found = targets.run_files(made, [made.experiments[name] for name in names], PATTERN)
    return [path.removeprefix(prefix) for path in found]


def test_the_path_of_a_run_file_is_that_of_the_rule():
    assert f'"{targets.RUN_FILE}"' in (ROOT / "workflow/rules/training.smk").read_text(encoding="utf-8")


def test_blocks_are_present_by_the_names_of_their_files(tmp_path):
    tmp_path = tmp_path / "runs [1]"
    folder = tmp_path / "standard/and/transformer/paper/3/5/20"
    folder.mkdir(parents=True)
    for name in ("0-9", "10-14", "10-14 (copy)", "all", "0-9.bak"):
        (folder / name).touch()
    (tmp_path / "standard/and/transformer/paper/3/five/20").mkdir(parents=True)
    (tmp_path / "standard/and/transformer/paper/3/five/20/0-9").touch()
    present = targets.present_blocks(PATTERN, tmp_path)
    assert {cell: sorted(blocks, key=min) for cell, blocks in present.items()} == {
        Cell("and", "standard", "transformer", "paper", 3, 5, 20): [range(10), range(10, 15)]
    }


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
    spec = json.loads(specifications.training_spec(made, cell))
    assert spec["cell"] == {**cell._asdict()}
    assert spec["model"]["width"] == 64
    assert spec["training"]["success"] == {"accuracy": 1.0, "when": "any"}


def test_a_dataset_job_is_not_told_what_only_the_holdout_needs():
    made = config(one={"T": [5], "n": [20], "seeds": 1})
    spec = json.loads(specifications.dataset_spec(made, "standard", "0-9", function="and", k=3, T=5, n=20))
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
    assert json.loads(specifications.noise_spec(made)) == {
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
    spec = json.loads(specifications.fitting_spec(made, next(iter(made.experiments["tree"].cells()))))
    assert spec["model"]["criterion"] == "gini"
    assert "training" not in spec
    assert json.loads(specifications.experiments_spec(made.enabled))["tree"]["training"] == "none"


@pytest.mark.parametrize("drawn", [True, False])
def test_figures_that_are_left_out_are_not_made(drawn):
    raw = {"experiments": {"one": {"grid": {"T": [5], "k": [3], "n": [20]}}}}
    made = parse(raw | {"figures": {"critical_sample_size": {"experiments": ["one"]} if drawn else None}})
    assert list(targets.shown(made, "critical_sample_size")) == (["one"] if drawn else [])
    assert targets.figure_files(made, "f") == [
        f"f/critical_sample_size.{kind}" for kind in ("svg", "png", "html") if drawn
    ]


ADAPTIVE = "{T}/{round}/{size}"


def adaptive(rounds: int = 2, **changes) -> Config:
    """An experiment with adaptive rounds of two sizes, in blocks of 2 seeds."""
    grid = {"k": [3], "T": [5, 6], "n": [20, 30], "seeds": 3}
    rounds_of = {"rounds": rounds, "sizes": 2, "seeds": 4, **changes}
    experiments = {"one": {"grid": grid, "adaptive": rounds_of}, "larger": {"grid": {**grid, "seeds": 5}}}
    return parse({"experiments": experiments, "compute": {"seeds_per_job": 2}})


def test_every_size_of_every_round_has_a_file():
    files = targets.adaptive_files(adaptive().enabled.values(), ADAPTIVE)
    assert files == ["5/1/1", "5/1/2", "5/2/1", "5/2/2", "6/1/1", "6/1/2", "6/2/1", "6/2/2"]
    assert targets.adaptive_files(adaptive(rounds=1).enabled.values(), ADAPTIVE) == [
        file for file in files if file[2] == "1"
    ]


def test_a_round_is_designed_by_its_grid_and_the_rounds_before():
    made = adaptive()
    curve = next(curve for curve in made.adaptive if curve.T == 6)
    first, second = (targets.design_inputs(made, curve, one, "{T}/{n}/{seeds}", ADAPTIVE) for one in (1, 2))
    assert first == {"grid": ["6/20/0-1", "6/20/2-3", "6/30/0-1", "6/30/2-3"], "rounds": []}
    assert second == {"grid": first["grid"], "rounds": ["6/1/1", "6/1/2"]}


def test_a_design_is_told_its_own_grid_and_nothing_that_a_further_round_changes():
    specs = [
        [json.loads(specifications.design_spec(made, curve)) for curve in made.adaptive]
        for made in (adaptive(2), adaptive(3))
    ]
    assert specs[0] == specs[1]
    assert specs[0][0]["grid"] == [[20, 3], [30, 3]]
    assert specs[0][0]["bounds"] == [20, 30]
    wider = adaptive(n_min=10, n_max=99)
    assert json.loads(specifications.design_spec(wider, next(iter(wider.adaptive))))["bounds"] == [10, 99]


def test_a_job_of_a_round_is_told_all_but_n_and_seeds():
    made = adaptive()
    curve = next(iter(made.adaptive))
    spec = json.loads(specifications.adaptive_training_spec(made, curve, 2))
    cell = next(iter(made.experiments["one"].cells()))
    grid = json.loads(specifications.training_spec(made, cell))
    assert (spec["model"], spec["training"]) == (grid["model"], grid["training"])
    assert spec["curve"] == {name: value for name, value in grid["cell"].items() if name != "n"}
    assert spec["size"] == 2
    assert spec["data"]["max_redraws"] == 100
    assert "holdout_size" not in spec["data"]


def test_the_command_that_rebuilds_names_files_from_the_projects_folder():
    root = Path("/project")
    command = specifications.rebuild_command([root / "config/a.yaml", Path("/other/b c.yaml")], {}, root)
    assert command == "snakemake --cores all --configfile config/a.yaml '/other/b c.yaml'"


def test_the_command_that_rebuilds_has_the_values_of_its_command_line():
    values = {"claims": None, "training": {"paper": {"learning_rate": 1e-5}}, "models": {"a b": [1, "3"]}}
    command = specifications.rebuild_command([Path("/project/a.yaml")], values, Path("/project"))
    given = dict(part.split("=") for part in shlex.split(command)[6:])
    assert {key: yaml.safe_load(value) for key, value in given.items()} == values


def test_the_runs_whose_attention_is_followed_have_the_block_with_the_first_seed():
    grids = {"one": {"T": [5], "n": [20, 30], "seeds": 25}, "two": {"T": [6], "n": [20], "seeds": 1}}
    made = config(**grids).model_dump(mode="json", exclude_defaults=True)
    made["training"] = {"recording": {"record": ["attention"]}}
    for experiment in made["experiments"].values():
        experiment["training"] = "recording"
    made = parse(made | {"figures": {"attention_map": {"experiments": ["two", "one"]}}})
    present = {cell: [range(10, 30), range(4)] for cell in made.experiments["one"].cells()}
    inputs = targets.attention_steps_inputs(made, "{data}/{T}/{n}/{seeds}", "{data}/{T}", present)
    assert inputs["datasets"] == ["standard/6/20/0-0", "standard/5/20/0-3", "standard/5/30/0-3"]
    assert inputs["holdouts"] == ["standard/6", "standard/5", "standard/5"]
    told = json.loads(specifications.attention_steps_spec(made))["cells"]
    assert [(one["experiment"], one["cell"]["n"]) for one in told] == [("two", 20), ("one", 20), ("one", 30)]
    assert told[0]["training"]["record"] == ["attention"]
    assert len(specifications.attention_steps_code(made)) == 1
