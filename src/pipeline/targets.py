"""What the workflow's rules take from the config: lists of files, and specifications of jobs."""

import glob
import json
import math
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pipeline.blocks import block_name, seed_range
from pipeline.captions import Caption
from pipeline.claims.claims import Claim
from pipeline.claims.evidence import REFERENCES
from pipeline.config import NO_TRAINING, Adaptive, Cell, Config, ConfigError, CurveAddress, Experiment, Figure, Section
from pipeline.config.factors import factors
from pipeline.engine.architecture import architecture
from pipeline.fingerprint import fingerprint


def present_blocks(pattern: str) -> dict[Cell, list[range]]:
    """The blocks of seeds that there are result files of, by cell.

    Args:
        pattern: the path of a result file with the wildcards of a training job.
    """
    parts = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))
    present = defaultdict(list)
    for path in glob.iglob(re.sub(r"\{\w+\}", "*", pattern)):
        found = parts.fullmatch(path).groupdict()
        seeds = seed_range(found.pop("seeds"))
        present[Cell(**found | {name: int(found[name]) for name in ("k", "T", "n")})].append(seeds)
    return present


def run_files(
    config: Config,
    experiments: Iterable[Experiment],
    pattern: str,
    present: Mapping[Cell, list[range]] = MappingProxyType({}),
) -> list[str]:
    """The result files of all blocks of runs of some experiments, each once.

    Args:
        config: the config, which sets the size of a block.
        experiments: the experiments; cells that they share give one file.
        pattern: a path with the wildcards of a training job.
        present: the blocks that there are result files of.
    """
    cells = [cells for experiment in experiments for cells in experiment.cells().items()]
    return list(dict.fromkeys(_block_files(config, cells, pattern, present)))


def _block_files(
    config: Config, cells: Iterable[tuple[Cell, int]], pattern: str, present: Mapping[Cell, list[range]]
) -> Iterator[str]:
    """The files of the blocks of some cells, up to a number of runs of each."""
    blocks = config.seed_blocks(present)
    for cell, count in cells:
        for seeds in blocks[cell]:
            if seeds[0] < count:
                yield pattern.format(**cell._asdict(), seeds=block_name(seeds))


def adaptive_files(experiments: Iterable[Experiment], pattern: str) -> list[str]:
    """The result files of all adaptive rounds of some experiments.

    Args:
        experiments: the experiments; of those without adaptive rounds there are none.
        pattern: a path with the wildcards of a training job of an adaptive round.
    """
    return [
        path
        for experiment in experiments
        if (adaptive := experiment.adaptive)
        for curve in experiment.curves()
        for path in _round_files(curve, adaptive, adaptive.rounds, pattern)
    ]


def _round_files(curve: CurveAddress, adaptive: Adaptive, rounds: int, pattern: str) -> Iterator[str]:
    """The files of the first rounds of a curve; rounds and sizes count from 1."""
    for one, size in product(range(1, rounds + 1), range(1, adaptive.sizes + 1)):
        yield pattern.format(**curve._asdict(), round=one, size=size)


def design_inputs(
    config: Config,
    curve: CurveAddress,
    one: int,
    pattern: str,
    adaptive_pattern: str,
    present: Mapping[Cell, list[range]] = MappingProxyType({}),
) -> dict[str, list[str]]:
    """The result files by which a round chooses its sizes: of the curve's grid, and of the rounds before."""
    experiment = config.adaptive[curve]
    return {
        "grid": list(_block_files(config, experiment.curves()[curve].items(), pattern, present)),
        "rounds": list(_round_files(curve, experiment.adaptive, one - 1, adaptive_pattern)),
    }


def design_spec(config: Config, curve: CurveAddress) -> str:
    """The specification of the jobs that choose the sizes of a curve's rounds.

    It does not tell how many rounds there are, so more of them change nothing of the first ones.
    """
    experiment = config.adaptive[curve]
    grid = {cell.n: seeds for cell, seeds in experiment.curves()[curve].items()}
    chosen = experiment.adaptive.model_dump(include={"sizes", "seeds"})
    low, high = experiment.adaptive.bounds(grid)
    share = config.analysis.success_share
    return json.dumps(
        {"curve": curve._asdict(), "grid": list(grid.items()), **chosen, "bounds": [low, high], "share": share}
    )


def adaptive_training_spec(config: Config, curve: CurveAddress, size: int) -> str:
    """The specification of the job that draws and trains the runs of one size of a round: all but n and seeds."""
    settings = _learning(config, curve) | {"data": _drawing(config, curve.data)}
    return json.dumps({"curve": curve._asdict(), "size": size, **settings})


def training_spec(config: Config, cell: Cell) -> str:
    """The specification of a cell's training jobs."""
    return json.dumps({"cell": cell._asdict(), **_learning(config, cell)})


def _learning(config: Config, address: Cell | CurveAddress) -> dict:
    """The settings of model and training."""
    settings = {"model": config.models[address.model], "training": config.training[address.training]}
    return {name: value.model_dump(mode="json") for name, value in settings.items()}


def fitting_spec(config: Config, cell: Cell) -> str:
    """The specification of a cell's jobs of a learner that is fitted at once."""
    return json.dumps({"cell": cell._asdict(), "model": config.models[cell.model].model_dump(mode="json")})


def training_code(config: Config, address: Cell | CurveAddress, job: str = "train") -> str:
    """The fingerprint of the code that the training jobs of a cell, or of a curve's rounds, come to.

    Other models' code is left out, and what is switched off.
    """
    training = config.training[address.training]
    unused = [] if training.norm_bound else ["norm_bound"]
    unused += [] if training.record else ["recording", "attention_weights"]
    entries = _learning_entries(config, address) | {"FUNCTIONS": address.function}
    return fingerprint(f"pipeline.jobs.{job}", *(f"pipeline.engine.{name}" for name in unused), **entries)


def theory_code(config: Config, job: str, part: str) -> list[str]:
    """The fingerprints of the code that a job of the theory comes to, one a Boolean function that it uses."""
    section = getattr(config.theory, part, None)
    entries = _learning_entries(config, section) if hasattr(section, "training") else {}
    functions = theory_functions(config, part)
    return [fingerprint(f"pipeline.jobs.{job}", FUNCTIONS=function, **entries) for function in functions]


def _learning_entries(config: Config, names: Cell | CurveAddress | Section) -> dict[str, str]:
    """The entries of the engine's registries that training uses, by what names its model and protocol."""
    model, training = config.models[names.model], config.training[names.training]
    return {"ARCHITECTURES": architecture(model.model_dump()), "RULES": training.optimiser}


def fitting_code(config: Config, cell: Cell) -> str:
    """The fingerprint of the code that a cell's jobs of a learner that is fitted at once come to."""
    return fingerprint("pipeline.jobs.fit", FUNCTIONS=cell.function, BASELINES=config.models[cell.model].kind)


def dataset_spec(config: Config, data: str, seeds: str, **address: str | int) -> str:
    """The specification of a job that draws a block of training sets."""
    return json.dumps({"cell": address, "seeds": seeds, **_drawing(config, data)})


def _drawing(config: Config, data: str) -> dict:
    """How training sets are drawn."""
    return config.data[data].model_dump(mode="json", exclude={"holdout_size"})


def experiments_spec(experiments: Mapping[str, Experiment]) -> str:
    """The specification of a job that gathers the runs of some experiments, with their address in the runs' terms."""
    return json.dumps(
        {
            name: experiment.model_dump(mode="json") | {"training": experiment.training or NO_TRAINING}
            for name, experiment in experiments.items()
        }
    )


def attention_steps_inputs(
    config: Config, dataset: str, holdout: str, present: Mapping[Cell, list[range]]
) -> dict[str, list[str]]:
    """The data of the cells of the figure attention_map: the block of each with its first seed, and its holdout.

    Args:
        config: the config.
        dataset: the path of a block of training sets, with its wildcards.
        holdout: that of a cell's holdout.
        present: the blocks of runs that there are result files of.
    """
    cells, blocks = [cell for _, cell in _mapped_cells(config)], config.seed_blocks(present)
    return {
        "datasets": [dataset.format(**cell._asdict(), seeds=block_name(min(blocks[cell], key=min))) for cell in cells],
        "holdouts": [holdout.format(**cell._asdict()) for cell in cells],
    }


def attention_steps_spec(config: Config) -> str:
    """The specification of the job that follows the attention of the runs in the figure attention_map."""
    settings = [{"experiment": name, **json.loads(training_spec(config, one))} for name, one in _mapped_cells(config)]
    return json.dumps({"cells": settings})


def attention_steps_code(config: Config) -> list[str]:
    """The fingerprints of the code that this job comes to, of each kind of training."""
    return sorted({training_code(config, cell, "attention_steps") for _, cell in _mapped_cells(config)})


def _mapped_cells(config: Config) -> list[tuple[str, Cell]]:
    """The cells of the figure attention_map with their experiments, but for those of adaptive rounds."""
    return [(name, cell) for name, one in shown(config, "attention_map").items() for cell in one.cells()]


def transition_spec(config: Config) -> str:
    """What the power law of transitions needs: each experiment's steps between evaluations, and the confidence."""
    every = {name: config.training[one.training].eval_every for name, one in config.online.items()}
    return json.dumps({"eval_every": every, "confidence": config.analysis.confidence})


def noise_spec(config: Config) -> str:
    """The specification of the figure of noise: the rates of each experiment that it shows."""
    protocols = {name: config.data[experiment.data] for name, experiment in shown(config, "noise").items()}
    rates = {"label_noise", "feature_noise"}
    return json.dumps({name: protocol.model_dump(mode="json", include=rates) for name, protocol in protocols.items()})


def sensitivity_spec(config: Config) -> str:
    """The specification of the table of sensitivity: the share, the base and, of each variant, in what it differs."""
    variants, share = shown(config, "sensitivity"), config.analysis.success_share
    if not variants:
        return json.dumps({"base": None, "variants": {}, "share": share})
    base, settings = config.figures.sensitivity.base, (config.data, config.models, config.training)
    differences = {name: factors(one, config.experiments[base], *settings) for name, one in variants.items()}
    named = {name: one._asdict() for name, [one] in differences.items()}
    return json.dumps({"base": base, "variants": named, "share": share})


def shown(config: Config, figure: str) -> dict[str, Experiment]:
    """The experiments that a figure shows, by name: of those it names the ones that are on."""
    drawn: Figure | None = getattr(config.figures, figure)
    return {name: config.enabled[name] for name in drawn.experiments if name in config.enabled} if drawn else {}


THEORY_FIGURES = {"representation": ("representation",), "capacity": ("representation", "heads"), "basin": ("basin",)}


def theory_parts(config: Config) -> set[str]:
    """The parts of the section ``theory`` that are on."""
    return {name for name, part in config.theory or () if part}


def theory_figures(config: Config) -> list[str]:
    """The figures of the theory that are asked for and whose parts are on."""
    parts = theory_parts(config)
    return [name for name, needs in THEORY_FIGURES.items() if getattr(config.figures, name) and parts.issuperset(needs)]


def theory_tables(config: Config) -> list[str]:
    """The tables of the theory."""
    parts = theory_parts(config)
    tables = {"representation": {"representation"}, "head_norms": {"heads"}, "basin": {"basin"}}
    tables |= {"capacity": {"representation", "heads"}}
    return [name for name, needs in tables.items() if needs <= parts]


def theory_cells(config: Config, part: str, pattern: str) -> list[str]:
    """The files of the cells that ``theory.heads`` or ``theory.basin`` trains; none if it is off.

    Args:
        config: the config.
        part: ``heads`` or ``basin``.
        pattern: a path with the wildcards of a block of training sets, or of a holdout.
    """
    return [pattern.format(**address) for address in theory_addresses(config, part)]


def theory_addresses(config: Config, part: str) -> list[dict[str, str]]:
    """Of each of these cells, the wildcards of its training sets."""
    one = getattr(config.theory, part, None)
    if not one:
        return []
    lengths, sizes = ((value,) if isinstance(value, int) else value for value in (one.T, one.n))
    values = {"data": one.data, "function": one.function, "k": str(one.k), "seeds": f"0-{one.seeds - 1}"}
    return [{**values, "T": str(T), "n": str(n)} for T in lengths for n in sizes]


def theory_functions(config: Config, part: str) -> tuple[str, ...]:
    """The Boolean functions that a part of the theory uses; none if it is off."""
    section = getattr(config.theory, part, None)
    return getattr(section, "functions", None) or ((section.function,) if section else ())


def theory_spec(config: Config, part: str) -> str:
    """The specification of the job of a part of the theory, with the settings of what it names."""
    one = getattr(config.theory, part, None)
    if not one:
        return "{}"
    spec = one.model_dump(mode="json")
    if part != "representation":
        spec |= {"model": config.models[one.model].model_dump(mode="json")}
        spec |= {"training": config.training[one.training].model_dump(mode="json")}
    return json.dumps(spec)


def drawn(config: Config) -> list[str]:
    """The figures that show anything; last, those of the theory."""
    of_experiments = [name for name, _ in config.figures if name not in THEORY_FIGURES and shown(config, name)]
    return [*of_experiments, *theory_figures(config)]


def figure_files(config: Config, folder: str) -> list[str]:
    """The files of all figures that show anything."""
    return [f"{folder}/{name}.{suffix}" for name in drawn(config) for suffix in ("svg", "png", "html")]


def paper_points(config: Config, root: Path, name: str) -> list[str]:
    """The file with the paper's points, as a list of one, or an empty list if a figure does not show them.

    Raises:
        ConfigError: there is no such file.
    """
    path = getattr(getattr(config.figures, name), "paper_points", None)
    if path and not (root / path).is_file():
        mend = "correct the path, or write paper_points: null"
        raise ConfigError(f"figures.{name}.paper_points: there is no file {root / path}; {mend}")
    return [str(root / path)] if path else []


def claims_spec(config: Config, claims: Mapping[str, Claim], run_file: str, root: Path) -> str:
    """The specification of the job that decides the claims, with the reference tables that they read.

    Args:
        config: the config.
        claims: by id.
        run_file: the path of a run file, with the wildcards of a training job.
        root: the project's folder. The tables in it are given by their content, so that moving it reruns nothing.
    """
    named = {table for claim in claims.values() for table in claim.tables}
    references = {name: (root / f"config/reference/{name}.csv").read_text() for name in REFERENCES if name in named}
    dumped = {name: claim.model_dump(mode="json") for name, claim in claims.items()}
    analysis = {"share": config.analysis.success_share, "confidence": config.analysis.confidence}
    return json.dumps({"claims": dumped, **analysis, "run_file": run_file, "references": references})


def claims_tables(config: Config, claims: Mapping[str, Claim], folder: str) -> list[str]:
    """The files of the tables that claims read, of those that the config's experiments give, and the table of runs.

    Args:
        config: the config.
        claims: by id.
        folder: where the workflow puts tables.
    """
    named = {"runs"} | {table for claim in claims.values() for table in claim.tables}
    return [f"{folder}/{name}.parquet" for name in sorted(named & _tables(config))]


def _tables(config: Config) -> set[str]:
    """The names of the tables that the workflow makes."""
    made = {"runs", "success_rates", "critical_sample_size", "scaling_fits"}
    made |= {"law_fits", "law_verdicts", "law_sizes"}
    made |= set(theory_tables(config))
    if config.online:
        made |= {"transitions", "transition_fits"}
    shown_in = {"learning_curves": "learning_curves", "attention_maps": "attention_map"}
    made |= {table for table, figure in shown_in.items() if shown(config, figure)}
    return made | {what for what in ("attention", "progress") if config.recording(what)}


def page_spec(config: Config, tables: Mapping[str, Mapping[str, str]], captions: Mapping[str, Caption]) -> str:
    """The specification of the page of results.

    Args:
        config: the config.
        tables: of each figure, the files that it reads.
        captions: of each figure.

    Returns:
        JSON; ``experiments`` of a figure that shows none, as those of the theory, is null.
    """
    figures = {
        name: {
            "caption": asdict(captions[name]),
            "experiments": None if name in THEORY_FIGURES else list(shown(config, name)),
            "tables": [Path(path).stem for path in tables[name].values()],
        }
        for name in drawn(config)
    }
    return json.dumps({"figures": figures})


def rebuild_command(files: Iterable[Path], values: Mapping[str, Any], root: Path) -> str:
    """The command that builds the results again, in the project's folder ``root``.

    Args:
        files: the config files.
        values: of ``--config``.
        root: the project's folder.
    """
    names = (path.relative_to(root) if path.is_relative_to(root) else path for path in files)
    given = [f"{key}={_in_a_line(value)}" for key, value in values.items()]
    config = ["--config", *given] if given else []
    return shlex.join(["snakemake", "--cores", "all", "--configfile", *map(str, names), *config])


def _in_a_line(value: Any) -> str:
    """A value as YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()
