"""What the workflow's rules take from the config: lists of files, and specifications of jobs."""

import glob
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.blocks import block_name, seed_range
from pipeline.config import NO_TRAINING, Cell, Config, Experiment, Figure
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
    blocks = config.seed_blocks(present)
    files = (
        pattern.format(**cell._asdict(), seeds=block_name(seeds))
        for experiment in experiments
        for cell, count in experiment.cells().items()
        for seeds in blocks[cell]
        if seeds[0] < count
    )
    return list(dict.fromkeys(files))


def training_spec(config: Config, cell: Cell) -> str:
    """The specification of a cell's training jobs."""
    settings = {"model": config.models[cell.model], "training": config.training[cell.training]}
    dumped = {name: value.model_dump(mode="json") for name, value in settings.items()}
    return json.dumps({"cell": cell._asdict(), **dumped})


def fitting_spec(config: Config, cell: Cell) -> str:
    """The specification of a cell's jobs of a learner that is fitted at once."""
    return json.dumps({"cell": cell._asdict(), "model": config.models[cell.model].model_dump(mode="json")})


def training_code(config: Config, cell: Cell) -> str:
    """The fingerprint of the code that a cell's training jobs come to: not of other models' or what is switched off."""
    model, training = config.models[cell.model], config.training[cell.training]
    unused = [] if training.norm_bound else ["norm_bound"]
    unused += [] if training.record else ["recording", "attention_weights"]
    entries = {"FUNCTIONS": cell.function, "RULES": training.optimiser}
    entries["ARCHITECTURES"] = architecture(model.model_dump())
    return fingerprint("pipeline.jobs.train", *(f"pipeline.engine.{name}" for name in unused), **entries)


def fitting_code(config: Config, cell: Cell) -> str:
    """The fingerprint of the code that a cell's jobs of a learner that is fitted at once come to."""
    return fingerprint("pipeline.jobs.fit", FUNCTIONS=cell.function, BASELINES=config.models[cell.model].kind)


def dataset_spec(config: Config, data: str, seeds: str, **address: str | int) -> str:
    """The specification of a job that draws a block of training sets."""
    protocol = config.data[data].model_dump(mode="json", exclude={"holdout_size"})
    return json.dumps({"cell": address, "seeds": seeds, **protocol})


def experiments_spec(experiments: Mapping[str, Experiment]) -> str:
    """The specification of a job that gathers the runs of some experiments, with their address in the runs' terms."""
    return json.dumps(
        {
            name: experiment.model_dump(mode="json") | {"training": experiment.training or NO_TRAINING}
            for name, experiment in experiments.items()
        }
    )


def noise_spec(config: Config) -> str:
    """The specification of the figure of noise: the rates of each experiment that it shows."""
    protocols = {name: config.data[experiment.data] for name, experiment in shown(config, "noise").items()}
    rates = {"label_noise", "feature_noise"}
    return json.dumps({name: protocol.model_dump(mode="json", include=rates) for name, protocol in protocols.items()})


def shown(config: Config, figure: str) -> dict[str, Experiment]:
    """The experiments that a figure shows, by name: of those it names the ones that are on."""
    drawn: Figure | None = getattr(config.figures, figure)
    return {name: config.enabled[name] for name in drawn.experiments if name in config.enabled} if drawn else {}


def figure_files(config: Config, folder: str) -> list[str]:
    """The files of all figures that show anything."""
    names = [name for name, _ in config.figures if shown(config, name)]
    return [f"{folder}/{name}.{suffix}" for name in names for suffix in ("svg", "png", "html")]


def paper_points(config: Config, root: Path) -> list[str]:
    """The file with the paper's points, as a list of one, or an empty list if the main figure does not show them."""
    figure = config.figures.critical_sample_size
    return [str(root / figure.paper_points)] if figure and figure.paper_points else []
