"""What the workflow's rules take from the config: lists of files, and specifications of jobs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.claims.claims import Claim
from pipeline.claims.evidence import REFERENCES
from pipeline.config import NO_TRAINING, Cell, Config, Experiment, Figure
from pipeline.config.factors import factors


def run_files(config: Config, experiments: Iterable[Experiment], pattern: str) -> list[str]:
    """The result files of all blocks of runs of some experiments, each once.

    Args:
        config: the config, which sets the size of a block.
        experiments: the experiments; cells that they share give one file.
        pattern: a path with the wildcards of a training job.
    """
    blocks = config.seed_blocks()
    files = (
        pattern.format(**cell._asdict(), seeds=f"{seeds[0]}-{seeds[-1]}")
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


def sensitivity_spec(config: Config) -> str:
    """The specification of the table of sensitivity: the base and, of each variant, in what it differs."""
    variants = shown(config, "sensitivity")
    if not variants:
        return json.dumps({"base": None, "variants": {}})
    base, settings = config.figures.sensitivity.base, (config.data, config.models, config.training)
    differences = {name: factors(one, config.experiments[base], *settings) for name, one in variants.items()}
    return json.dumps({"base": base, "variants": {name: one._asdict() for name, [one] in differences.items()}})


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
    if config.online:
        made |= {"transitions", "transition_fits"}
    shown_in = {"learning_curves": "learning_curves", "attention_maps": "attention_map"}
    made |= {table for table, figure in shown_in.items() if shown(config, figure)}
    return made | {what for what in ("attention", "progress") if config.recording(what)}
