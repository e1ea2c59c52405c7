"""The whole config: its sections, and what follows from them together."""

from collections.abc import Collection, Mapping
from functools import cached_property
from math import ceil
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.blocks import cut
from pipeline.config.conditions import (
    experiment_problems,
    figure_problems,
    mark_problems,
    overlap_problems,
    sensitivity_problems,
)
from pipeline.config.experiments import NO_TRAINING, Cell, CurveAddress, Experiment
from pipeline.config.figures import Figures
from pipeline.config.learners import Model, Transformer
from pipeline.config.protocols import Data, Training
from pipeline.config.sections import Count, Name, Section, Share, reject, setting
from pipeline.config.theory import Theory, theory_problems
from pipeline.labels import percent

MAX_JOBS = 10_000  # their files are on one command line in the end, and Snakemake needs minutes to plan as many


class Analysis(Section):
    """From runs to critical sample sizes."""

    success_share: Share = setting(
        0.5, "remembered", "Share of a cell's runs that must succeed at the critical sample size; 0.4 or 0.5."
    )
    confidence: Share = setting(0.95, "ours", "Coverage of the confidence intervals, as a share.")
    bootstrap: Annotated[int, Field(ge=39)] = setting(
        1000,
        "ours",
        "Number of bootstrap resamples; of fewer than 39 none lies beyond the ends of a 95% interval, of fewer than "
        "199 none beyond those of 99%.",
    )

    @model_validator(mode="after")
    def _resamples_beyond_the_ends(self) -> "Analysis":
        least = ceil(2 / (1 - self.confidence) - 1 - 1e-6)
        if self.bootstrap < least:
            none = f"of {self.bootstrap} none lies beyond the ends of a {percent(self.confidence)} interval"
            reject([(("bootstrap",), f"{none}; use a value >= {least}")])
        return self


class Compute(Section):
    """How runs are computed; the values do not change what a run is."""

    seeds_per_job: Count = Field(50, description="Number of seeds that one training job packs.")
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="Where the training runs; `auto`: on a GPU if there is one."
    )
    precision: Literal["float32", "tf32"] = Field(
        "float32", description="Of matrix products on a GPU; `tf32` keeps about three digits and gains little."
    )


class Config(Section):
    """The whole config. Use `parse` or `load` to make one: they also check that the names it refers to exist."""

    data: dict[Name, Data] = Field({"standard": Data()}, min_length=1, description="Data protocols by name.")
    models: dict[Name, Model] = Field({"transformer": Transformer()}, min_length=1, description="Learners by name.")
    training: dict[Name, Training] = Field(
        {"paper": Training()}, min_length=1, description="Training protocols by name."
    )
    experiments: dict[Name, Experiment] = Field(min_length=1, description="Experiments by name.")
    theory: Theory | None = Field(None, description="The paper's theorem as experiments; null: off.")
    analysis: Analysis = Field(Analysis(), description="From runs to critical sample sizes.")
    figures: Figures = Field(Figures(), description="The figures and the experiments they show.")
    compute: Compute = Field(Compute(), description="How runs are computed.")
    claims: str | None = Field(
        "config/claims.yaml",
        description="File with the claims to decide (docs/claims.md), relative to the project's folder; null: none.",
    )

    @field_validator("training")
    @classmethod
    def _no_training_is_called_none(cls, training: dict[str, Training]) -> dict[str, Training]:
        if NO_TRAINING in training:
            reject([((NO_TRAINING,), "this name stands for no training; use another name")])
        return training

    @field_validator("experiments")
    @classmethod
    def _parts_fit(cls, experiments: dict[str, Experiment], info: ValidationInfo) -> dict[str, Experiment]:
        if {"data", "models", "training"} <= info.data.keys():
            data, models, training = (info.data[key] for key in ("data", "models", "training"))
            reject(
                ((name, *location), problem)
                for name, one in experiments.items()
                for location, problem in experiment_problems(
                    one, data[one.data], models[one.model], one.training and training[one.training]
                )
            )
        enabled = {name: one for name, one in experiments.items() if one.enabled}
        if not enabled:
            raise ValueError("all are off; write enabled: true in at least one")
        reject(overlap_problems(enabled))
        return experiments

    @field_validator("theory")
    @classmethod
    def _theory_fits(cls, theory: Theory | None, info: ValidationInfo) -> Theory | None:
        sections = ("data", "models", "training")
        if theory and info.data.keys() >= set(sections):
            reject(theory_problems(theory, *(info.data[key] for key in sections)))
        return theory

    @field_validator("figures")
    @classmethod
    def _figures_can_be_drawn(cls, figures: Figures, info: ValidationInfo) -> Figures:
        if {"data", "training", "experiments"} <= info.data.keys():
            experiments, data, training = (info.data[key] for key in ("experiments", "data", "training"))
            reject(figure_problems(figures, experiments, data, training))
            reject(mark_problems(figures, experiments, data))
        sections = ("experiments", "data", "models", "training")
        if figures.sensitivity and info.data.keys() >= set(sections):
            found = sensitivity_problems(figures.sensitivity, *(info.data[key] for key in sections))
            reject((("sensitivity", *location), problem) for location, problem in found)
        return figures

    @model_validator(mode="after")
    def _jobs_can_be_counted(self) -> "Config":
        size, jobs = self.compute.seeds_per_job, 0
        for name, one in self.enabled.items():
            grids = (grid for _, grid in one.located_grids())
            jobs += sum(len(grid.k) * len(grid.T) * len(grid.n) * ceil(grid.seeds / size) for grid in grids)
            if jobs > MAX_JOBS:
                mend = "use fewer T, n or seeds, or more seeds_per_job"
                reject([(("experiments", name), f"{jobs} jobs up to here where {MAX_JOBS} can be planned; {mend}")])
        return self

    @cached_property
    def enabled(self) -> dict[str, Experiment]:
        """The experiments that are on, by name."""
        return {name: experiment for name, experiment in self.experiments.items() if experiment.enabled}

    @cached_property
    def online(self) -> dict[str, Experiment]:
        """Those of them whose runs see fresh samples at every step."""
        return {name: one for name, one in self.enabled.items() if self._training_of(one, "samples") == "fresh"}

    @cached_property
    def offline(self) -> dict[str, Experiment]:
        """The other experiments that are on: they have critical sample sizes."""
        return {name: one for name, one in self.enabled.items() if name not in self.online}

    @cached_property
    def adaptive(self) -> dict[CurveAddress, Experiment]:
        """Of each curve that gets adaptive rounds, the experiment that asks for them."""
        return {curve: one for one in self.enabled.values() if one.adaptive for curve in one.curves()}

    def recording(self, what: Literal["attention", "progress"]) -> dict[str, Experiment]:
        """The experiments that are on and record something, by name."""
        return {name: one for name, one in self.enabled.items() if what in (self._training_of(one, "record") or ())}

    def _training_of(self, experiment: Experiment, field: str) -> Any:
        """A field of an experiment's training protocol; None without training."""
        return getattr(self.training[experiment.training], field) if experiment.training else None

    def seed_blocks(self, present: Mapping[Cell, Collection[range]] = MappingProxyType({})) -> dict[Cell, list[range]]:
        """Of each cell, the seeds of each of its jobs; the last job may have fewer.

        A cell that experiments share has as many seeds as the largest of them asks for, so that it is computed once.

        Args:
            present: the blocks of seeds that there are results of, which are kept as they are.
        """
        counts: dict[Cell, int] = {}
        for experiment in self.enabled.values():
            for cell, seeds in experiment.cells().items():
                counts[cell] = max(counts.get(cell, 0), seeds)
        size = self.compute.seeds_per_job
        return {cell: cut(count, size, present.get(cell, ())) for cell, count in counts.items()}
