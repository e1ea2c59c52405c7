"""How long a workflow will take: what its jobs cost, in seconds of one core, by a small model.

Its numbers were measured on the machine of docs/results/paper; ``python benchmarks/costs.py`` compares them with the
benchmark files that a run of the workflow leaves. How many steps a run makes is known only when it has succeeded; of
runs that may stop early, a share of their steps is expected: Transformers made 46 % of theirs in the paper's set, where
most of the grid is easy, and 70 % in the extended one.

``python -m pipeline.commands.forecast config.yaml`` reads a config, says what is wrong with it, and forecasts it
from nothing.
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from types import MappingProxyType

from pipeline.blocks import block_name, seed_range
from pipeline.commands.shared import config_of
from pipeline.config import (
    NO_TRAINING,
    Cell,
    Config,
    CurveAddress,
    Data,
    DecisionTree,
    LogisticRegression,
    Lstm,
    Mlp,
    Section,
    Success,
    Training,
    Transformer,
)
from pipeline.data.search_bounds import search_size
from pipeline.durations import DAY, duration
from pipeline.workflow import targets

LEARNER = ("data", "model", "training")
Job = tuple[str, Mapping[str, str]]  # its rule and its wildcards

THEORY = {"head_norms": "heads", "basin": "basin"}  # of the rules that train for the theory, the part of its section
TOLD_APART = ("train", "train_adaptive", "fit", "dataset", "holdout", *THEORY)  # rules
START = 0.1  # of one of their jobs, a fork of the job server
CLUSTER_START = 4.0  # of any job on a cluster, where Snakemake and Python start once more for each
OTHER = 2.5  # a job that makes a table or a figure
TABLES = 10  # jobs that every config has

EARLY_SHARE = {Transformer: 0.6, Mlp: 0.72, Lstm: 0.96}  # of its steps that a run makes if it may stop early
EARLY_SAMPLES = 500  # of the holdout, seen at most of its evaluations
# Candidates a second (docs/baselines.md) of the search that rejects ambiguous samples; AND and OR are quick.
REJECTING = {"majority": 1.4e11, "junta": 1e9, "parity": 2.5e8}
SOLVING = {"majority": 1e10, "junta": 2.5e7, "parity": 2.5e8}  # of the exact learner's


def step_seconds(model: Section, T: int, n: int) -> float:
    """A training step of one run."""
    if isinstance(model, Mlp):
        sizes = (T, *model.widths, 1)
        return sum(map(prod, pairwise(sizes))) * (3.8e-9 + 3.7e-11 * n)
    if isinstance(model, Lstm):
        return model.layers * (model.width / 64) ** 2 * T * (9.7e-5 + 1.1e-6 * n)
    scale = model.width / 64 * (model.width + model.mlp_width) / 128
    if not _by_token(model):
        return scale * T * n * (3e-6 + (model.layers - 1) * (8e-6 + 2.2e-7 * T))
    masks = 8e-9 * T * n if model.dropout.attention else 0
    return scale * (6.1e-5 + 2.4e-7 * T + 9e-7 * n + 3.4e-9 * T * n) + masks


def _by_token(model: Section) -> bool:
    """Whether the engine has its table of tokens for the model."""
    return isinstance(model, Transformer) and model.layers == 1 and not model.dropout.embedding


def training_seconds(model: Section, training: Training, data: Data, T: int, n: int) -> float:
    """A run that is trained by steps, with its evaluations; of a learner that is not in ``EARLY_SHARE``, 0."""
    if type(model) not in EARLY_SHARE:
        return 0
    early = training.success.when == "any"
    steps = training.max_steps * (EARLY_SHARE[type(model)] if early else 1)
    judged = EARLY_SAMPLES if early and "progress" not in training.record else data.holdout_size
    samples = min(judged, data.holdout_size)
    evaluation = samples * (4e-7 + 2e-9 * T) if _by_token(model) else step_seconds(model, T, samples) / 3
    step = step_seconds(model, T, min(n, training.batch_size or n))
    return steps * (step + evaluation / training.eval_every)


def fitting_seconds(model: Section, function: str, k: int, T: int, n: int) -> float:
    """A run of a learner that is fitted at once."""
    if isinstance(model, LogisticRegression):
        return len(model.inverse_penalties) * model.folds / 25 * (0.035 + 2.5e-6 * min(T, n) * n + 5e-8 * T * n)
    if isinstance(model, DecisionTree):
        return len(model.prunings) * model.folds / 25 * (0.034 + 4.6e-5 * n + 5.5e-7 * T * n)
    return _search_seconds(SOLVING, function, k, T, n)


def drawing_seconds(data: Data, function: str, k: int, T: int, n: int) -> float:
    """The training set of a run."""
    search = _search_seconds(REJECTING, function, k, T, n) if data.reject_ambiguous else 0
    return search + 5e-9 * T * n


def _search_seconds(speeds: Mapping[str, float], function: str, k: int, T: int, n: int) -> float:
    return search_size(function, k, T, n) / speeds[function] if function in speeds else 0


def job_seconds(config: Config, rule: str, wildcards: Mapping[str, str]) -> float:
    """A job."""
    if rule not in TOLD_APART:
        return OTHER
    if rule in THEORY:
        return START + _theory_seconds(config, THEORY[rule])
    function, data = wildcards["function"], config.data[wildcards["data"]]
    k, T, n = (int(wildcards.get(name, 0)) for name in ("k", "T", "n"))
    if rule == "train_adaptive":
        return START + _adaptive_seconds(config, CurveAddress(function, *map(wildcards.get, LEARNER), k, T))
    if rule == "holdout":
        return START + 1e-9 * data.holdout_size * T
    if rule == "dataset":
        run = drawing_seconds(data, function, k, T, n)
    elif rule == "fit":
        run = fitting_seconds(config.models[wildcards["model"]], function, k, T, n)
    else:
        run = training_seconds(config.models[wildcards["model"]], config.training[wildcards["training"]], data, T, n)
    return START + len(seed_range(wildcards["seeds"])) * run


def _adaptive_seconds(config: Config, curve: CurveAddress) -> float:
    """The runs of one size of an adaptive round; it is not known yet, so a middle one is taken."""
    experiment = config.adaptive[curve]
    low, high = experiment.adaptive.bounds([cell.n for cell in experiment.curves()[curve]])
    data, n = config.data[curve.data], round((low * high) ** 0.5)
    run = training_seconds(config.models[curve.model], config.training[curve.training], data, curve.T, n)
    return experiment.adaptive.seeds * (run + drawing_seconds(data, curve.function, curve.k, curve.T, n))


def _theory_seconds(config: Config, part: str) -> float:
    """All runs of ``theory.heads``, which go on to the last step, or of ``theory.basin``, from each of its starts."""
    one = getattr(config.theory, part)
    data, model, training = config.data[one.data], config.models[one.model], config.training[one.training]
    if part == "heads":
        training = training.model_copy(update={"success": Success(when="last")})
    starts = 1 if part == "heads" else 1 + len(one.noise)
    cells = [(int(address["T"]), int(address["n"])) for address in targets.theory_addresses(config, part)]
    return one.seeds * starts * sum(training_seconds(model, training, data, T, n) for T, n in cells)


def all_jobs(config: Config) -> list[Job]:
    """The jobs of a config when nothing is done yet; those of tables and figures by number only."""
    found: dict[tuple[str, ...], Job] = {}
    for rule, block in learning_jobs(config):
        found |= _data_jobs(block)
        found[rule, *block.values()] = rule, block
    for rule, part in THEORY.items():
        for block in targets.theory_addresses(config, part):
            found |= _data_jobs(block)
            found[rule,] = rule, {}
    rounds = [(curve, one.adaptive) for curve, one in config.adaptive.items()]
    chosen = [
        ("train_adaptive", {name: str(value) for name, value in curve._asdict().items()})
        for curve, adaptive in rounds
        for _ in range(adaptive.rounds * adaptive.sizes)
    ]
    others = len(targets.figure_files(config, "")) // 3 + TABLES + sum(adaptive.rounds for _, adaptive in rounds)
    return [*found.values(), *chosen, *[("other", {})] * others]


def learning_jobs(config: Config, present: Mapping[Cell, list[range]] = MappingProxyType({})) -> Iterator[Job]:
    """The jobs that train or fit the runs of a config's grids, each with the wildcards of its run file.

    Args:
        config: the config.
        present: the blocks of runs that there are files of, which are kept.
    """
    for cell, blocks in config.seed_blocks(present).items():
        address = {name: str(value) for name, value in cell._asdict().items()}
        for seeds in blocks:
            yield "fit" if cell.training == NO_TRAINING else "train", {**address, "seeds": block_name(seeds)}


def _data_jobs(block: Mapping[str, str]) -> dict[tuple[str, ...], Job]:
    """The jobs that draw the data of a block of runs, each by what tells it apart."""
    sample = [block[name] for name in ("data", "function", "k", "T")]
    return {
        ("holdout", *sample): ("holdout", block),
        ("dataset", *sample, block["n"], block["seeds"]): ("dataset", block),
    }


def forecast(config: Config, jobs: Iterable[Job], cores: int, start: float = 0) -> str:
    """What to expect of these jobs, in a line; of more than a day with a warning and the mend.

    Args:
        config: the config.
        jobs: what is to be done.
        cores: how many jobs run at a time.
        start: seconds that a job takes besides: on a cluster ``CLUSTER_START``.
    """
    costs = [start + job_seconds(config, *job) for job in jobs]
    seconds = max(sum(costs) / cores, max(costs, default=0))
    where = f"on {cores} {'core' if cores == 1 else 'cores'}, {len(costs):_} jobs".replace("_", " ")
    line = (
        f"Forecast: about {duration(seconds)} {where}, within a factor of 2 on idle cores like those of docs/results."
    )
    if config.compute.device != "cpu":
        line += " A GPU is not in it."
    if seconds <= DAY:
        return line
    return f"WARNING: this takes long. {line}\nFewer seeds, T or n take less, more cores or a cluster share the work."


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="+")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    given = parser.parse_args()
    config = config_of(given.config)
    print(forecast(config, all_jobs(config), given.cores))


if __name__ == "__main__":
    main()
