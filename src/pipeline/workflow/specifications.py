"""What the workflow tells its jobs: specifications, as JSON, and fingerprints of the code that they come to."""

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from pipeline.claims.claims import Claim
from pipeline.claims.evidence import REFERENCES
from pipeline.config import NO_TRAINING, Cell, Config, CurveAddress, Experiment, Section
from pipeline.config.factors import factors
from pipeline.engine.architecture import architecture
from pipeline.workflow.captions import Caption
from pipeline.workflow.fingerprint import fingerprint
from pipeline.workflow.targets import THEORY_FIGURES, drawn, mapped_cells, shown


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


def attention_steps_spec(config: Config) -> str:
    """The specification of the job that follows the attention of the runs in the figure attention_map."""
    settings = [{"experiment": name, **json.loads(training_spec(config, one))} for name, one in mapped_cells(config)]
    return json.dumps({"cells": settings})


def attention_steps_code(config: Config) -> list[str]:
    """The fingerprints of the code that this job comes to, of each kind of training."""
    return sorted({training_code(config, cell, "attention_steps") for _, cell in mapped_cells(config)})


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
