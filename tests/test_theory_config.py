"""The section theory: what it refuses, and what the rules take from it."""

import json

import numpy as np
import pytest

from pipeline.config import Config, ConfigError, parse
from pipeline.data.functions import FUNCTIONS, BooleanFunction
from pipeline.workflow import specifications, targets

SWEEP = {"k": [2], "T": [8, 32], "width": [16], "supports": 1}
THEORY = {
    "representation": {"functions": ["and"], "sweeps": {"length": SWEEP, "sparsity": SWEEP, "width": SWEEP}},
    "heads": {"T": [20, 30], "n": 10, "seeds": 2},
    "basin": {"T": 20, "n": [10, 40], "seeds": 3},
}
FIGURES = dict.fromkeys(("representation", "capacity", "basin"), True)


def config(path: str = "", value: object = None, **others: dict) -> Config:
    """A config with all of the theory, one value of the section changed."""
    raw = json.loads(json.dumps({"experiments": {"and3": {}}, "theory": THEORY, "figures": FIGURES})) | others
    if path:
        *sections, key = path.split(".")
        section = raw["theory"]
        for name in sections:
            section = section[name]
        section[key] = value
    return parse(raw)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("basin.nois", [0.1], "theory.basin.nois: unknown key; did you mean 'noise'?"),
        ("basin.function", "parity", "theory.basin.function: 'parity' is not allowed; use 'and', 'or' or 'majority'"),
        ("basin.T", 2, "theory.basin.T: 2 is smaller than k = 3; use T >= 3"),
        ("basin.noise", [-0.1], "theory.basin.noise[0]: -0.1 is out of range; use a value >= 0.0"),
        ("heads.T", [20, 1], "theory.heads.T[1]: 1 is smaller than k = 3; use T >= 3"),
        ("heads.function", "ands", "theory.heads.function: unknown function 'ands'; did you mean 'and'?"),
        (
            "heads.model",
            "mlp",
            "theory.heads.model: 'mlp' is no one-layer Transformer without embedding dropout; use one",
        ),
        (
            "heads.training",
            "online",
            "theory.heads.training: 'online' draws fresh samples; use a protocol with samples: fixed",
        ),
        (
            "heads",
            {"function": "junta", "T": [20, 5000]},
            "theory.heads.T: k = 3, T = 5000: too large a search, 2.1e+10 supports where 1e+09 are allowed; "
            "use a smaller T or k, or a data protocol with reject_ambiguous: false",
        ),
        ("basin.training", "batches", "theory.basin.n: 10 is smaller than batch_size = 20; use n >= 20"),
        ("heads.T", [20, 10**9], "theory.heads.T[1]: 1000000000 is out of range; use a value <= 1000000"),
        ("basin.seeds", 10**7, "theory.basin.seeds: 10000000 is out of range; use a value <= 1000000"),
        (
            "representation.sweeps.width.k",
            [9],
            "theory.representation.sweeps.width.k[0]: 9 is out of range; use a value <= 8",
        ),
        (
            "representation.functions",
            ["or"],
            "theory.representation.functions: 'and' is missing, which the capacity bounds look at; add it",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_mend(path, value, problem):
    others = {
        "models": {"transformer": {"kind": "transformer"}, "mlp": {"kind": "mlp"}},
        "training": {"paper": {}, "online": {"samples": "fresh"}, "batches": {"batch_size": 20}},
    }
    with pytest.raises(ConfigError) as error:
        config(path, value, **others)
    assert str(error.value) == problem


def test_a_function_that_is_not_what_it_says_is_named(monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "own", BooleanFunction(lambda k, stream: np.bitwise_count(np.arange(2**k)) > k))
    with pytest.raises(
        ConfigError, match=r"^theory\.representation\.functions\[1\]: the entry 'own' of FUNCTIONS, at k = "
    ):
        config("representation.functions", ["and", "own", "majority"])


def test_tables_and_figures_are_those_of_the_parts_that_are_on():
    everything = ["representation", "head_norms", "basin", "capacity"]
    assert targets.theory_tables(config()) == everything
    assert targets.theory_figures(config()) == ["representation", "capacity", "basin"]
    assert targets.theory_tables(config("heads", None)) == ["representation", "basin"]
    assert targets.theory_figures(config("heads", None)) == ["representation", "basin"]
    assert targets.theory_figures(config(figures={"basin": True})) == ["basin"]
    off = config(theory=None)
    assert (targets.theory_tables(off), targets.theory_figures(off), targets.figure_files(off, "x")) == ([], [], [])
    assert targets.figure_files(config("basin", None), "x")[-1] == "x/capacity.html"


def test_cells_have_files_of_their_own_number_of_seeds():
    pattern = "{data}/{function}/k{k}/T{T}/n{n}/seeds{seeds}"
    assert targets.theory_cells(config(), "heads", pattern) == [
        "standard/and/k3/T20/n10/seeds0-1",
        "standard/and/k3/T30/n10/seeds0-1",
    ]
    holdouts = targets.theory_cells(config(), "basin", "{data}/{function}/k{k}/T{T}")
    assert holdouts == ["standard/and/k3/T20"] * 2
    assert targets.theory_cells(config("basin", None), "basin", pattern) == []


def test_a_job_is_told_the_settings_behind_the_names():
    spec = json.loads(specifications.theory_spec(config(), "basin"))
    assert (spec["model"]["width"], spec["training"]["max_steps"], spec["n"]) == (64, 1000, [10, 40])
    assert json.loads(specifications.theory_spec(config(), "representation"))["sweeps"]["length"] == SWEEP
    assert specifications.theory_spec(config(theory=None), "basin") == "{}"
