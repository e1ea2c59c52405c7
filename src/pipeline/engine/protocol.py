"""How a run is trained and when it counts as a success."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Success:
    """The success rule.

    Args:
        accuracy: share of the holdout samples that a run must get right.
        when: ``any``: reached at some evaluation, and the run stops there; ``last``: held at the last evaluation.
    """

    accuracy: float
    when: Literal["any", "last"]


@dataclass(frozen=True)
class NormBound:
    """Bounds on the weights of each attention head; :mod:`pipeline.engine.norm_bound` says what is measured.

    Args:
        norm: the Frobenius norm or the (2,1) norm.
        value: bound on the norm of W_V; None: no bound.
        query_key: bound on the norm of W_QK; None: no bound.
    """

    norm: Literal["frobenius", "2,1"]
    value: float | None
    query_key: float | None


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The training protocol; the defaults are the plainest one, full-batch Adam at a constant rate.

    Args:
        optimiser: ``adam`` (β = 0.9, 0.999; weight decay as an L2 penalty), ``adamw`` (likewise, weight decay apart
            from the gradient) or ``sgd`` (with momentum and an L2 penalty).
        learning_rate: the largest step size of the schedule.
        weight_decay: as the optimiser takes it.
        momentum: of ``sgd``.
        warmup_steps: steps over which the step size grows linearly.
        schedule: of the step size after them: ``constant``, or ``cosine``, which ends at 0.
        batch_size: samples of a minibatch; None: all n at every step.
        samples: ``fixed``: the training set; ``fresh``: n new samples at every step, the online setting.
        norm_bound: bounds that the weights are brought back to after every step; None: no bounds.
        max_steps: steps after which a run ends.
        eval_every: steps between evaluations on the holdout; divides ``max_steps``.
        success: the success rule.
        record: what else a run records, ``attention`` when it ends or ``progress`` at every evaluation.
    """

    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float
    weight_decay: float
    momentum: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    batch_size: int | None = None
    samples: Literal["fixed", "fresh"] = "fixed"
    norm_bound: NormBound | None = None
    max_steps: int
    eval_every: int
    success: Success
    record: tuple[Literal["attention", "progress"], ...] = ()

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Protocol":
        """The protocol that a training protocol's settings in the config describe."""
        bound = settings["norm_bound"]
        nested = {
            "record": tuple(settings["record"]),
            "success": Success(**settings["success"]),
            "norm_bound": bound and NormBound(**bound),
        }
        return cls(**settings | nested)
