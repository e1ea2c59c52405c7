"""Wrong configs and command lines, each with what is said of it: the place, the problem, and the mend."""

import pytest
import yaml

from pipeline.config import FITTED, TRAINED, ConfigError, parse
from pipeline.data.functions import FUNCTIONS

VALID = """
data: {standard: {holdout_size: 100, reject_ambiguous: true, max_redraws: 10}}
models: {tiny: {kind: transformer, width: 16, heads: 4, mlp_width: 16, init_std: 0.02}}
training:
  paper: {learning_rate: 0.003, weight_decay: 0, max_steps: 100, eval_every: 20, success: {accuracy: 1, when: any}}
  full: {learning_rate: 0.003, weight_decay: 0, max_steps: 100, eval_every: 20, success: {accuracy: 1, when: last}}
experiments:
  and3: {function: and, data: standard, model: tiny, training: paper, grid: {k: [3], T: [8, 12], n: [10, 20], seeds: 5}}
  curves: {function: parity, data: standard, model: tiny, training: full, grid: {k: [2], T: [8], n: [10], seeds: 3}}
analysis: {success_share: 0.5, confidence: 0.9, bootstrap: 50}
figures:
  critical_sample_size: {experiments: [and3, curves], paper_points: points.csv}
  success_heatmap: {experiments: [and3]}
  learning_curves: {experiments: [curves]}
compute: {seeds_per_job: 2, device: auto}
"""
REMOVE = object()
NAMES, KINDS = (", ".join(sorted(known)) for known in (FUNCTIONS, TRAINED | FITTED))


def valid() -> dict:
    return yaml.safe_load(VALID)


def problems(raw: object) -> list[str]:
    """The lines of what is said of a config that is refused."""
    with pytest.raises(ConfigError) as error:
        parse(raw)
    return str(error.value).splitlines()


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


# of the valid config: a path, a value to write there (or REMOVE), and the problem found at that path
WRONG = [
    # unknown keys and names
    ("training.paper.lerning_rate", 0.1, "unknown key; did you mean 'learning_rate'?"),
    ("training.paper.success.accurracy", 0.1, "unknown key; did you mean 'accuracy'?"),
    ("modells", {}, "unknown key; did you mean 'models'?"),
    ("compute.zzz", 1, "unknown key; use one of: device, precision, seeds_per_job"),
    ("experiments.and3.grid.t", [3], "unknown key; use one of: T, k, n, seeds"),
    ("figures.success_heatmap.paper_points", "x", "unknown key; use one of: experiments"),
    ("experiments.and3.function", "ands", "unknown function 'ands'; did you mean 'and'?"),
    (
        "experiments.and3.function",
        "zzz",
        f"unknown function 'zzz'; use one of: {NAMES}",
    ),
    ("experiments.and3.data", "standrad", "unknown data 'standrad'; did you mean 'standard'?"),
    ("experiments.and3.model", "tinny", "unknown model 'tinny'; did you mean 'tiny'?"),
    ("experiments.and3.training", "papre", "unknown training 'papre'; did you mean 'paper'?"),
    ("data.Xor", {}, "'Xor' is not a valid name; use a-z, 0-9 and _, a letter first"),
    # kinds of values
    ("training.paper.learning_rate", "3e-3", "YAML reads '3e-3' as text, not as a number; write 0.003"),
    ("training.paper.learning_rate", "1e-5", "YAML reads '1e-5' as text, not as a number; write 1.0e-05"),
    ("training.paper.max_steps", "1e3", "YAML reads '1e3' as text, not as a number; write 1000"),
    ("training.paper.learning_rate", "fast", "'fast' is not a number; write a number such as 0.5"),
    ("training.paper.learning_rate", "inf", "'inf' is not a number; write a number such as 0.5"),
    ("training.paper.learning_rate", float("inf"), "inf is not finite; write a finite number"),
    ("training.paper.learning_rate", True, "true is not a number; write a number such as 0.5"),
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
    ("training.paper.learning_rate", 0, "0 is out of range; use a value > 0.0"),
    ("training.paper.weight_decay", -0.1, "-0.1 is out of range; use a value >= 0.0"),
    ("training.paper.success.accuracy", 1.5, "1.5 is out of range; use a value <= 1.0"),
    ("analysis.success_share", 1, "1 is out of range; use a value < 1.0"),
    ("analysis.bootstrap", 1, "1 is out of range; use a value >= 39"),
    ("data.standard.holdout_size", 1_000_001, "1000001 is out of range; use a value <= 1000000"),
    ("models.tiny.heads", 0, "0 is out of range; use a value >= 1"),
    ("experiments.and3.grid.seeds", 0, "0 is out of range; use a value >= 1"),
    (
        "experiments.and3.more_grids",
        [{"k": [3], "T": [12, 20], "n": [20, 30]}],
        "k = 3, T = 12, n = 20 is in two grids; leave it out of one",
    ),
    ("training.paper.success.when", "never", "'never' is not allowed; use 'any' or 'last'"),
    ("models.tiny.activation", "tanh", "'tanh' is not allowed; use 'gelu' or 'relu'"),
    ("models.tiny.kind", "lstmm", "unknown kind 'lstmm'; did you mean 'lstm'?"),
    (
        "models.tiny.kind",
        "cnn",
        f"unknown kind 'cnn'; use one of: {KINDS}",
    ),
    (
        "models.tiny.kind",
        None,
        f"unknown kind 'null'; use one of: {KINDS}",
    ),
    ("models.tiny", [], "a list is not a mapping; write 'key: value' lines"),
    ("compute.device", "gpu", "'gpu' is not allowed; use 'cpu', 'cuda' or 'auto'"),
    # empty or missing
    ("experiments", REMOVE, "missing; add it"),
    ("experiments.and3.grid.T", [], "empty; add at least one entry"),
    ("figures.success_heatmap.experiments", [], "empty; add at least one entry"),
    # values that must fit each other
    ("models.tiny.heads", 6, "6 does not divide width = 16; use a divisor such as 2"),
    ("training.paper.eval_every", 30, "30 does not divide max_steps = 100; use a divisor such as 10"),
    ("training.paper.momentum", 0.9, "adam has no momentum; use optimiser: sgd or leave it out"),
    ("training.paper.warmup_steps", 100, "100 is not below max_steps = 100; use fewer"),
    (
        "training.paper.norm_bound",
        {"norm": "frobenius"},
        "nothing is bounded; give value or query_key a number, or write null",
    ),
    ("experiments.and3.grid.n", [5, 6, 5, 6, 7], "more than once: 5, 6; write each value once"),
    # unicode
    (
        "experiments.and3.function",
        "аnd",
        f"unknown function 'аnd'; use one of: {NAMES}",
    ),  # a Cyrillic а
    ("data.bücher", {}, "'bücher' is not a valid name; use a-z, 0-9 and _, a letter first"),
    ("training.paper.max_steps", "１００", "YAML reads '１００' as text, not as a number; write 100"),
    ("models.tiny.activation", "gelu\u200b", "'gelu\\u200b' is not allowed; use 'gelu' or 'relu'"),
    ("training.paper.success.when", "✓", "'✓' is not allowed; use 'any' or 'last'"),
    # paths outside the folder
    (
        "figures.critical_sample_size.paper_points",
        "/etc/passwd",
        "'/etc/passwd' leads out of the project's folder; use a path inside it, relative to it",
    ),
    (
        "figures.critical_sample_size.paper_points",
        "data/../../points.csv",
        "'data/../../points.csv' leads out of the project's folder; use a path inside it, relative to it",
    ),
    # sizes that nothing can compute, and grids that nothing can plan
    ("experiments.and3.grid.seeds", 10**9, "1000000000 is out of range; use a value <= 1000000"),
    ("training.paper.learning_rate", 10**400, f"1{56 * '0'}… is not a number; write a number such as 0.5"),
]


# the same, with all that is said where it is found at another path
WRONG_ELSEWHERE = [
    (
        "experiments.and3.adaptive",
        {"rounds": 0},
        "experiments.and3.adaptive.rounds: 0 is out of range; use a value >= 1",
    ),
    (
        "experiments.and3.adaptive",
        {"round": 2},
        "experiments.and3.adaptive.round: unknown key; did you mean 'rounds'?",
    ),
    (
        "experiments.and3.adaptive",
        {"sizes": 12},
        "\n".join(
            f"experiments.and3.adaptive.sizes: k = 3, T = {T}: 12 sizes are more than the 11 from n = 10 to 20; "
            "use fewer, or set n_min and n_max further apart"
            for T in (8, 12)
        ),
    ),
    (
        "experiments.curves.adaptive",
        {"n_min": 30, "sizes": 1},
        "experiments.curves.adaptive.sizes: k = 2, T = 8: 1 sizes are more than the 0 from n = 30 to 10; "
        "use fewer, or set n_min and n_max further apart",
    ),
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
    (
        "experiments.curves.grid",
        {"k": [2, 5], "T": [8, 10_000], "n": [10]},
        "experiments.curves.grid.T[1]: k = 5, T = 10000: too large a search, 1.7e+11 3-subsets where 5e+09 are "
        "allowed for n < 10030; use a smaller T or k, or a data protocol with reject_ambiguous: false",
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
        "training.paper.norm_bound",
        {"norm": "1,2", "valeu": 3},
        "training.paper.norm_bound.norm: '1,2' is not allowed; use 'frobenius' or '2,1'\n"
        "training.paper.norm_bound.valeu: unknown key; did you mean 'value'?",
    ),
    (
        "training.paper.batch_size",
        15,
        "experiments.and3.grid.n[0]: 10 is smaller than batch_size = 15 of 'paper'; use n >= 15",
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
        "data",
        {"a\nb": {}},
        "data.'a\\nb': 'a\\nb' is not a valid name; use a-z, 0-9 and _, a letter first\n"
        "experiments.and3.data: unknown data 'standard'; use one of: 'a\\nb'\n"
        "experiments.curves.data: unknown data 'standard'; use one of: 'a\\nb'",
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
    (
        "experiments.and3.grid.T",
        [8, 10**12],
        "experiments.and3.grid.T[1]: 1000000000000 is out of range; use a value <= 1000000",
    ),
    ("experiments.and3.grid", {"k": [17], "T": [20]}, "experiments.and3.grid.k[0]: k must be from 1 to 16, not 17"),
    (
        "models",
        {"../../etc": {}, "tiny": {"heads": 4, "width": 16}},
        "models.../../etc: '../../etc' is not a valid name; use a-z, 0-9 and _, a letter first",
    ),
    (
        "models.tiny",
        {"": 4},
        "models.tiny.'': unknown key; use one of: activation, dropout, heads, init_std, kind, layers, mlp_width, width",
    ),
    ("models.tiny", {"hea\nds": 4}, "models.tiny.'hea\\nds': unknown key; did you mean 'heads'?"),
    (
        "experiments.and3.grid.seeds",
        10**6,
        "experiments.and3: 2000000 jobs up to here where 10000 can be planned;"
        " use fewer T, n or seeds, or more seeds_per_job",
    ),
    (
        "experiments.and3.grid",
        {"k": [3], "T": [*range(3, 1003)], "n": [*range(1, 1001)], "seeds": 1},
        "experiments.and3: 1000000 jobs up to here where 10000 can be planned;"
        " use fewer T, n or seeds, or more seeds_per_job",
    ),
]


WRONG_FILES = [
    # a file's bytes, and what is said of them
    (b"", "{path}: empty; write at least one section, such as 'experiments'"),
    (b"data: {}\nmodels: [1\n", "{path}:3: expected ',' or ']', but got '<stream end>'; correct the YAML"),
    (b"data:\n\tx: 1\n", "{path}:2: found character '\\t' that cannot start any token; correct the YAML"),
    (b"data: {}\nmodels: {}\ndata: {}\n", "{path}:3: the key 'data' is there twice; correct the YAML"),
    (b"data:\n  a: {}\n  a: {}\n", "{path}:3: the key 'a' is there twice; correct the YAML"),
    (b"a: *b\n", "{path}:1: found undefined alias 'b'; correct the YAML"),
    (b"? [a]\n: 1\n", "{path}:1: found unhashable key; correct the YAML"),
    (b"a: \xff\n", "{path}: byte 3: invalid start byte; save the file as UTF-8 text"),
    (b"compute: {}\n", "experiments: missing; add it"),
    (b"data: {}\n".decode().encode("utf-16"), "{path}: byte 0: invalid start byte; save the file as UTF-8 text"),
    (
        b"\x7fELF\x02\x01\x01\0\0",
        "{path}: character 0: special characters are not allowed; save the file as UTF-8 text",
    ),
    (b"experiments: &a {x: *a}\n", "experiments.x.x: unknown key; use one of: "),
    (
        b"experiments: {x: {grid: {T: &a [*a]}}}\n",
        "experiments.x.grid.T[0]: a list is not an integer; write a whole number",
    ),
    (b"--- {}\n--- {}\n", "{path}:2: but found another document; correct the YAML"),
    (b"experiments: {x: !!python/object:os.system {}}\n", "{path}:1: could not determine a constructor"),
]

WRONG_COMMANDS = [
    # options of Snakemake, and what it says; a path is one of the files that the test writes
    (["--cores", "0"], "--cores 0: no job could run; use a number of at least 1, or all"),
    (["--cores", "many"], "number of cores (--cores, -c): must be integer or 'all'"),
    (["nonsense", "--cores", "2"], "No rule to produce nonsense"),
    (["--cores", "2", "--frobnicate"], "unrecognized arguments: --frobnicate"),
    (["--cores", "2", "--config", "k=4"], "Config entry must start with a valid identifier"),
    (
        ["--cores", "2", "--config", "nonsense=1"],
        "nonsense: unknown key; use one of: "
        "analysis, claims, compute, data, experiments, figures, models, theory, training",
    ),
    (
        ["--cores", "2", "--config", "compute={seeds_per_job: 3e9, device: gpu}"],
        "compute.seeds_per_job: YAML reads '3e9' as text, not as a number; write 3000000000\n"
        "compute.device: 'gpu' is not allowed; use 'cpu', 'cuda' or 'auto'",
    ),
    (["--cores", "2", "--configfile", "absent.yaml"], "No such file or directory: 'absent.yaml'"),
    (
        ["--cores", "2", "--config", "figures={critical_sample_size: {experiments: [and3], paper_points: absent.csv}}"],
        "absent.csv; correct the path, or write paper_points: null",
    ),
    (
        ["--cores", "2", "--config", "claims=absent.yaml"],
        "absent.yaml: No such file or directory; correct the path, or write claims: null",
    ),
    (["--cores", "2", "--config", "claims=config"], "config: Is a directory; correct the path, or write claims: null"),
    (["--cores", "2", "--configfile", "folder"], "Is a directory: 'folder'"),
    (
        ["--cores", "2", "--configfile", "empty.yaml"],
        "Config file must be given as JSON or YAML with keys at top level.",
    ),
    (
        ["--cores", "2", "--configfile", "twice.yaml"],
        "twice.yaml:2: the key 'experiments' is there twice; correct the YAML",
    ),
]
