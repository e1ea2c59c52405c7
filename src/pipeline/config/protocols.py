"""The protocols: how the samples of a run are drawn, and how it is trained."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.config.sections import Count, Rate, Section, SetOf, Size, divisor_of, setting

Noise = Annotated[float, Field(ge=0, lt=0.5)]

# where the search for a second support of a training set is too large
REJECTION_MEND = "use a smaller T or k, or a data protocol with reject_ambiguous: false"


class Data(Section):
    """How the samples of a run are drawn."""

    holdout_size: Size = setting(10_000, "read", "Number of holdout samples, drawn like the training samples.")
    reject_ambiguous: bool = setting(
        True,
        "read",
        "Whether a training set that fits more than one k-subset is rejected and redrawn; where T and k make "
        "the search for another one too large, the config is refused.",
    )
    max_redraws: Annotated[int, Field(ge=0)] = setting(
        100, "ours", "Redraws at most; after them an ambiguous training set is kept and marked as not unique."
    )
    label_noise: Noise = setting(
        0.0,
        "ours",
        "Probability that a training label is flipped, after the check for ambiguity; never on the holdout.",
    )
    feature_noise: Noise = setting(
        0.0, "ours", "Probability that a bit of a training input is flipped, after labels and check were made of it."
    )

    @property
    def rates(self) -> tuple[float, float]:
        """The rates of noise, of labels and of bits."""
        return self.label_noise, self.feature_noise

    @property
    def noisy(self) -> bool:
        """Whether training samples are changed after they were drawn."""
        return any(self.rates)


class Success(Section):
    """What makes a run a success."""

    accuracy: Annotated[float, Field(gt=0, le=1)] = setting(
        1.0, "remembered", "Share of the holdout samples that must be classified correctly."
    )
    when: Literal["any", "last"] = setting(
        "any",
        "remembered",
        "`any`: the accuracy is reached at some evaluation, and the run stops there; "
        "`last`: it holds at the last evaluation, and no run stops early.",
    )


class NormBound(Section):
    """Bounds on the weights of each attention head, kept by a projection after every step; Transformers only."""

    norm: Literal["frobenius", "2,1"] = setting(
        "2,1",
        "remembered",
        "The norm; `2,1` is the sum of the columns' 2-norms, as in the paper's bound. No section, no bound.",
    )
    value: Annotated[float, Field(gt=0)] | None = setting(None, "ours", "Bound on the norm of W_V; null: none.")
    query_key: Annotated[float, Field(gt=0)] | None = setting(
        None, "ours", "Bound on the norm of W_QK = W_Kᵀ W_Q; null: none. One of the two bounds is needed."
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "NormBound":
        if self.value is None and self.query_key is None:
            raise ValueError("nothing is bounded; give value or query_key a number, or write null")
        return self


class Training(Section):
    """How a run is trained; Adam's betas are 0.9 and 0.999 (peer)."""

    optimiser: Literal["adam", "adamw", "sgd"] = setting("adam", "peer", "The optimiser.")
    learning_rate: Annotated[float, Field(gt=0)] = setting(
        3e-3, "ours", "Step size, its largest; measured here to give critical sample sizes of the paper's order."
    )
    weight_decay: Annotated[float, Field(ge=0)] = setting(
        1e-4, "peer", "L2 penalty that `adam` and `sgd` add to the gradient; `adamw` shrinks the weights apart from it."
    )
    momentum: Rate = setting(0.0, "ours", "Momentum of `sgd`.")
    max_steps: Count = setting(1000, "peer", "Number of steps after which a run ends.")
    eval_every: Annotated[Count, divisor_of("max_steps")] = setting(
        20, "ours", "Steps between evaluations on the holdout samples; must divide `max_steps`."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = setting(
        0, "ours", "Steps over which the step size grows linearly to `learning_rate`; fewer than `max_steps`."
    )
    schedule: Literal["constant", "cosine"] = setting(
        "constant", "ours", "Step size after that: constant, or by a cosine down to 0 at `max_steps`."
    )
    samples: Literal["fixed", "fresh"] = setting(
        "fixed", "peer", "`fixed`: n training samples; `fresh`: n new ones at every step, the online setting."
    )
    batch_size: Count | None = setting(
        None, "peer", "Samples of a step, at most n; each epoch shuffles and drops what is left over. null: all n."
    )
    norm_bound: NormBound | None = setting(None, "ours", "Bounds on the attention weights; null: none.")
    success: Success = Field(Success(), description="What makes a run a success.")
    record: SetOf[Literal["attention", "progress"]] = setting(
        (),
        "ours",
        "What else a run records. `attention`: [CLS]'s attention weights when it ends; `progress`: at every evaluation "
        "the distance from initialisation, the attention on the support and the correlation with the target.",
    )

    @field_validator("momentum")
    @classmethod
    def _momentum_is_used(cls, momentum: float, info: ValidationInfo) -> float:
        optimiser = info.data.get("optimiser", "sgd")
        if momentum and optimiser != "sgd":
            raise ValueError(f"{optimiser} has no momentum; use optimiser: sgd or leave it out")
        return momentum

    @field_validator("warmup_steps")
    @classmethod
    def _warmup_ends(cls, warmup_steps: int, info: ValidationInfo) -> int:
        max_steps = info.data.get("max_steps", math.inf)
        if warmup_steps >= max_steps:
            raise ValueError(f"{warmup_steps} is not below max_steps = {max_steps}; use fewer")
        return warmup_steps

    @field_validator("batch_size")
    @classmethod
    def _samples_are_fixed(cls, batch_size: int | None, info: ValidationInfo) -> int | None:
        if batch_size is not None and info.data.get("samples") == "fresh":
            raise ValueError("fresh samples come in batches of n; leave it out or use samples: fixed")
        return batch_size
