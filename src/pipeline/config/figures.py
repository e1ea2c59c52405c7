"""The figures and what each of them needs of the experiments that it shows."""

from pathlib import PurePath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from pipeline.config.sections import ListOf, Section, name_of


class Figure(Section):
    """A figure of some experiments; ``needs`` names conditions of :mod:`pipeline.config.conditions`."""

    needs: ClassVar[tuple[str, ...]] = ()

    experiments: ListOf[Annotated[str, name_of("experiment")]] = Field(description="Names of the experiments shown.")


class SampleSizeFigure(Figure):
    """A figure of success rates or critical sample sizes."""

    needs = ("fixed_samples",)


class ComparisonFigure(SampleSizeFigure):
    """A figure with one mark for each function, k, model and T, of whichever experiment."""


class NoiseFigure(ComparisonFigure):
    """Critical sample sizes over the rate of one kind of noise, with a mark for each rate."""

    needs = ("fixed_samples", "one_noise")


def _inside(path: str) -> str:
    if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
        raise ValueError(f"{path!r} leads out of the project's folder; use a path inside it, relative to it")
    return path


class PaperFigure(SampleSizeFigure):
    """A figure of critical sample sizes that can show the paper's beside them."""

    paper_points: Annotated[str, AfterValidator(_inside)] | None = Field(
        None, description="CSV file with the paper's digitised points, relative to the project's folder; null: none."
    )


class LearningCurvesFigure(Figure):
    """Learning curves."""

    needs = ("one_k", "one_T", "whole_curves")


class OnlineFigure(Figure):
    """A figure of runs that see fresh samples at every step."""

    needs = ("fresh_samples",)


class ProgressFigure(OnlineFigure):
    """Hidden progress."""

    needs = ("fresh_samples", "progress", "one_n_for_each_k")


class SensitivityFigure(PaperFigure):
    """Critical sample sizes of variants of one setting."""

    needs = ("fixed_samples", "one_k")

    base: Annotated[str, name_of("experiment")] = Field(
        description="Name of the experiment that they are compared with."
    )
    experiments: ListOf[Annotated[str, name_of("experiment")]] = Field(
        description="Names of the variants; each differs from the base in one setting of its data, model or training."
    )


class AttentionFigure(SampleSizeFigure):
    """Attention of all runs."""

    needs = ("fixed_samples", "attention")


class AttentionMapFigure(Figure):
    """Attention of one run of each sample size."""

    needs = ("one_k", "one_T", "attention")


class Figures(Section):
    """The figures; one that is left out or null, or whose experiments are all off, is not drawn."""

    critical_sample_size: PaperFigure | None = Field(
        None, description="Critical sample size against T, beside the paper's."
    )
    laws: SampleSizeFigure | None = Field(
        None, description="Laws of the critical sample size beyond the data, and the evidence for each."
    )
    success_heatmap: SampleSizeFigure | None = Field(None, description="Success rate over T and n.")
    learning_curves: LearningCurvesFigure | None = Field(
        None, description="Loss and holdout accuracy over steps; for experiments with one k and T and no early stops."
    )
    functions: ComparisonFigure | None = Field(
        None, description="Critical sample size against T, the functions side by side."
    )
    sparsity: ComparisonFigure | None = Field(None, description="Critical sample size against k.")
    learners: ComparisonFigure | None = Field(
        None, description="Critical sample size against T, all learners of a function in a panel."
    )
    noise: NoiseFigure | None = Field(
        None,
        description="Critical sample size against the rate of noise; for experiments with one kind of it, or none.",
    )
    sensitivity: SensitivityFigure | None = Field(
        None, description="How far each change of one setting moves the critical sample size, at each T of the base."
    )
    attention: AttentionFigure | None = Field(
        None, description="Attention on the support against n; for experiments that record attention."
    )
    attention_map: AttentionMapFigure | None = Field(
        None, description="[CLS]'s attention in the run of seed 0, position by position; one k and T."
    )
    transitions: OnlineFigure | None = Field(
        None, description="Step of the transition against T; for experiments on fresh samples."
    )
    progress: ProgressFigure | None = Field(
        None,
        description="Hidden progress over steps; for experiments on fresh samples that record it, one n for each k.",
    )
    representation: bool = Field(
        False, description="Norms of constructed heads and the width they take, if `theory.representation` is on."
    )
    capacity: bool = Field(
        False, description="Capacity bounds and observed gaps, if `theory.representation` and `theory.heads` are on."
    )
    basin: bool = Field(False, description="Training from constructed heads, if `theory.basin` is on.")
