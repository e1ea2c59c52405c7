"""The configuration: what a config may say, its defaults (the paper's values) and every check on it.

`parse` turns a mapping into a `Config`; it finds all problems at once and names each by its path. A field that stands
for a value of the paper carries that value's provenance, one of `PROVENANCE`.
"""

import json
import math
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from pipeline.functions import FUNCTIONS

PROVENANCE = {
    "read": "seen in the paper's abstract, its figure, or a text that quotes it",
    "peer": "read in an independent re-implementation of the main experiment",
    "remembered": "recalled by people who know the paper, not checked",
    "unresolved": "sources disagree, one value was chosen",
    "ours": "chosen or measured here",
}

Location = tuple[int | str, ...]
Item = TypeVar("Item")


class ConfigError(ValueError):
    """A config that cannot be used; the message has one line per problem, ``path.to.key: what is wrong; the mend``."""


# Checks that need more than one value. A value that failed its own check is absent from `info.data`: the check that
# compares with it is then left out, so one mistake is reported once.


def _nearest(name: str, known: Iterable[str]) -> str:
    """The mend for an unknown name."""
    known = sorted(known)
    matches = get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {matches[0]!r}?" if matches else f"use one of: {', '.join(known)}"


def _check_known(kind: str, name: str, known: Collection[str]) -> str:
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}; {_nearest(name, known)}")
    return name


def _name_of(kind: str) -> AfterValidator:
    """A name that must be defined in the config; `parse` hands over the names in the validation context."""

    def check(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(kind)
        return _check_known(kind, name, known) if known else name

    return AfterValidator(check)


def _divisor_of(field: str) -> AfterValidator:
    """A number that must divide the value of an earlier field of the same section."""

    def check(divisor: int, info: ValidationInfo) -> int:
        total = info.data.get(field)
        if total is not None and total % divisor:
            mend = math.gcd(divisor, total)
            raise ValueError(f"{divisor} does not divide {field} = {total}; use a divisor such as {mend}")
        return divisor

    return AfterValidator(check)


def _at_least_k(T: int, info: ValidationInfo) -> int:
    k = max(info.data.get("k", [0]))
    if k > T:
        raise ValueError(f"{T} is smaller than k = {k}; use T >= {k}")
    return T


def _unique(values: tuple[Item, ...]) -> tuple[Item, ...]:
    repeated = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if repeated:
        raise ValueError(f"more than once: {', '.join(map(str, repeated))}; write each value once")
    return values


def _reject(problems: Iterable[tuple[Location, str]]) -> None:
    """Raise all problems together, each at its location below the field that is being validated."""
    details = [
        InitErrorDetails(type="value_error", loc=location, input=None, ctx={"error": problem})
        for location, problem in problems
    ]
    if details:
        raise ValidationError.from_exception_data("config", details)


Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]  # names become parts of file paths
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
ListOf = Annotated[  # strict mode would take tuples only, and YAML has none
    tuple[Item, ...],
    Field(strict=False, min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_unique),
]


def _setting(default: Any, provenance: str, description: str) -> Any:
    """A field that stands for a value of the paper."""
    return Field(default, description=description, json_schema_extra={"provenance": provenance})


class Section(BaseModel):
    """A mapping of the config: unknown keys are errors, values are neither converted nor changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


class Data(Section):
    """How the samples of a run are drawn."""

    holdout_size: Count = _setting(10_000, "read", "Number of holdout samples, drawn like the training samples.")
    reject_ambiguous: bool = _setting(
        True, "read", "Whether a training set that fits more than one k-subset is rejected and redrawn."
    )
    max_redraws: Annotated[int, Field(ge=0)] = _setting(
        100, "ours", "Redraws at most; after them an ambiguous training set is kept and marked as not unique."
    )


Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["gelu", "relu"]


class Dropout(Section):
    """Dropout rates of a Transformer; sources say 0.1 everywhere, or none."""

    attention: Rate = _setting(0.0, "unresolved", "Share of the attention weights dropped after the softmax.")
    residual: Rate = _setting(0.0, "unresolved", "Share dropped of what attention and MLP add to the residual stream.")
    mlp: Rate = _setting(0.0, "unresolved", "Share of the MLP's hidden units dropped after the activation.")
    embedding: Rate = _setting(
        0.0, "unresolved", "Share dropped of the summed token and position embeddings; above 0, training is slower."
    )


class Transformer(Section):
    """Pre-LN Transformer encoder with trainable positions, read out at [CLS]."""

    kind: Literal["transformer"] = _setting("transformer", "read", "The architecture.")
    layers: Count = _setting(1, "read", "Number of layers; more than one train much more slowly.")
    width: Count = _setting(64, "peer", "Embedding size, in units.")
    heads: Annotated[Count, _divisor_of("width")] = _setting(
        16, "peer", "Number of attention heads; must divide `width`."
    )
    mlp_width: Count = _setting(64, "unresolved", "Hidden size of the MLP, in units; the sources say 64 or 128.")
    activation: Activation = _setting("gelu", "peer", "Activation of the MLP.")
    init_std: Annotated[float, Field(gt=0)] = _setting(
        0.02, "peer", "Standard deviation of the initial weights and embeddings."
    )
    dropout: Dropout = Field(Dropout(), description="Dropout rates.")


class Mlp(Section):
    """Multilayer perceptron on the bits as ±1, with the initialisation of torch.nn.Linear."""

    kind: Literal["mlp"] = Field(description="The architecture.")
    widths: Annotated[tuple[Count, ...], Field(strict=False)] = _setting(
        (128,), "ours", "Sizes of the hidden layers, in units; none: logistic regression."
    )
    activation: Activation = _setting("relu", "ours", "Activation of the hidden layers.")
    dropout: Rate = _setting(0.0, "ours", "Share of the hidden units dropped after the activation.")


class Lstm(Section):
    """LSTM that reads the bits as ±1 and is read out at the last, with the initialisation of torch.nn.LSTM."""

    kind: Literal["lstm"] = Field(description="The architecture.")
    width: Count = _setting(64, "ours", "Size of the hidden state, in units.")
    layers: Count = _setting(1, "ours", "Number of layers.")


def _kind_of(model: Any) -> str:
    """The kind of a model, in a config or validated; that of the default model if it is not given."""
    kind = model.get("kind", "transformer") if isinstance(model, dict) else getattr(model, "kind", "transformer")
    return kind if isinstance(kind, str) else _show(kind)


KINDS: dict[str, type[Section]] = {"transformer": Transformer, "mlp": Mlp, "lstm": Lstm}
Model = Annotated[
    Annotated[Transformer, Tag("transformer")] | Annotated[Mlp, Tag("mlp")] | Annotated[Lstm, Tag("lstm")],
    Discriminator(_kind_of),
]


class Success(Section):
    """What makes a run a success."""

    accuracy: Annotated[float, Field(gt=0, le=1)] = _setting(
        1.0, "remembered", "Share of the holdout samples that must be classified correctly."
    )
    when: Literal["any", "last"] = _setting(
        "any",
        "remembered",
        "`any`: the accuracy is reached at some evaluation, and the run stops there; "
        "`last`: it holds at the last evaluation, and no run stops early.",
    )


class NormBound(Section):
    """Bounds on the weights of each attention head, kept by a projection after every step; Transformers only."""

    norm: Literal["frobenius", "2,1"] = _setting(
        "2,1",
        "remembered",
        "The norm; `2,1` is the sum of the columns' 2-norms, as in the paper's bound. No section, no bound.",
    )
    value: Annotated[float, Field(gt=0)] | None = _setting(None, "ours", "Bound on the norm of W_V; null: none.")
    query_key: Annotated[float, Field(gt=0)] | None = _setting(
        None, "ours", "Bound on the norm of W_QK = W_Kᵀ W_Q; null: none. One of the two bounds is needed."
    )

    @model_validator(mode="after")
    def _bounds_something(self) -> "NormBound":
        if self.value is None and self.query_key is None:
            raise ValueError("nothing is bounded; give value or query_key a number, or write null")
        return self


class Training(Section):
    """How a run is trained; Adam's betas are 0.9 and 0.999 (peer)."""

    optimiser: Literal["adam", "adamw", "sgd"] = _setting("adam", "peer", "The optimiser.")
    learning_rate: Annotated[float, Field(gt=0)] = _setting(
        3e-3, "ours", "Step size, its largest; measured here to give critical sample sizes of the paper's order."
    )
    weight_decay: Annotated[float, Field(ge=0)] = _setting(
        1e-4, "peer", "L2 penalty that `adam` and `sgd` add to the gradient; `adamw` shrinks the weights apart from it."
    )
    momentum: Rate = _setting(0.0, "ours", "Momentum of `sgd`.")
    max_steps: Count = _setting(1000, "peer", "Number of steps after which a run ends.")
    eval_every: Annotated[Count, _divisor_of("max_steps")] = _setting(
        20, "ours", "Steps between evaluations on the holdout samples; must divide `max_steps`."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = _setting(
        0, "ours", "Steps over which the step size grows linearly to `learning_rate`; fewer than `max_steps`."
    )
    schedule: Literal["constant", "cosine"] = _setting(
        "constant", "ours", "Step size after that: constant, or by a cosine down to 0 at `max_steps`."
    )
    samples: Literal["fixed", "fresh"] = _setting(
        "fixed", "peer", "`fixed`: n training samples; `fresh`: n new ones at every step, the online setting."
    )
    batch_size: Count | None = _setting(
        None, "peer", "Samples of a step, at most n; each epoch shuffles and drops what is left over. null: all n."
    )
    norm_bound: NormBound | None = _setting(None, "ours", "Bounds on the attention weights; null: none.")
    success: Success = Field(Success(), description="What makes a run a success.")

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


class Grid(Section):
    """The cells of an experiment: every combination of k, T and n."""

    k: ListOf[Count] = _setting((3,), "read", "Sparsities: numbers of relevant positions.")
    T: ListOf[Annotated[Count, AfterValidator(_at_least_k)]] = _setting(
        (*range(100, 800, 50), 800, 900, 1000, 1100), "read", "Context lengths, in bits; each at least every k."
    )
    n: ListOf[Count] = _setting(tuple(range(20, 201, 10)), "ours", "Numbers of training samples.")
    seeds: Count = _setting(50, "remembered", "Number of runs per cell; their seeds are 0, 1, …, `seeds` - 1.")


class Cell(NamedTuple):
    """What the runs of one cell share: everything but the seed."""

    function: str
    data: str
    model: str
    training: str
    k: int
    T: int
    n: int


class Experiment(Section):
    """One Boolean function learned by one model on a grid of cells."""

    function: str = _setting(
        "and", "read", "The Boolean function, by its name in `pipeline.functions`; it fixes the input distribution too."
    )
    data: Annotated[str, _name_of("data")] = Field("standard", description="Name of a data protocol.")
    model: Annotated[str, _name_of("model")] = Field("transformer", description="Name of a model.")
    training: Annotated[str, _name_of("training")] = Field("adam", description="Name of a training protocol.")
    grid: Grid = Field(Grid(), description="The cells.")

    @field_validator("function")
    @classmethod
    def _function_exists(cls, function: str) -> str:
        return _check_known("function", function, FUNCTIONS)

    @field_validator("grid")
    @classmethod
    def _function_allows_k(cls, grid: Grid, info: ValidationInfo) -> Grid:
        if "function" in info.data:
            check = FUNCTIONS[info.data["function"]].check_sparsity
            _reject((("k", index), problem) for index, k in enumerate(grid.k) if (problem := check(k)))
        return grid

    def cells(self) -> Iterator[Cell]:
        """The cells in the grid's order, n varying fastest."""
        for k, T, n in product(self.grid.k, self.grid.T, self.grid.n):
            yield Cell(self.function, self.data, self.model, self.training, k, T, n)


class Analysis(Section):
    """From runs to critical sample sizes."""

    success_share: Share = _setting(
        0.5, "remembered", "Share of a cell's runs that must succeed at the critical sample size; 0.4 or 0.5."
    )
    confidence: Share = _setting(0.95, "ours", "Coverage of the confidence intervals, as a share.")
    bootstrap: Count = _setting(1000, "ours", "Number of bootstrap resamples.")


class Figure(Section):
    """A figure of some experiments."""

    experiments: ListOf[Annotated[str, _name_of("experiment")]] = Field(description="Names of the experiments shown.")


class CriticalSampleSizeFigure(Figure):
    """Critical sample size against T."""

    paper_points: str | None = Field(
        None, description="CSV file with the paper's digitised points, relative to the project's folder; null: none."
    )


class Figures(Section):
    """The figures; one that is left out or null is not drawn.

    Learning curves need experiments with a single k and T, and runs that do not stop early.
    """

    critical_sample_size: CriticalSampleSizeFigure | None = Field(None, description="Critical sample size against T.")
    success_heatmap: Figure | None = Field(None, description="Success rate over T and n.")
    learning_curves: Figure | None = Field(None, description="Holdout accuracy over steps.")


class Compute(Section):
    """How runs are computed; the values do not change what a run is."""

    seeds_per_job: Count = Field(50, description="Number of seeds that one training job packs.")
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="Where the training runs; `auto`: on a GPU if there is one."
    )
    precision: Literal["float32", "tf32"] = Field(
        "float32", description="Of matrix products on a GPU; `tf32` is faster and keeps about three digits."
    )


class Config(Section):
    """The whole config. Use `parse` or `load` to make one: they also check that the names it refers to exist."""

    data: dict[Name, Data] = Field({"standard": Data()}, min_length=1, description="Data protocols by name.")
    models: dict[Name, Model] = Field(
        {"transformer": Transformer()}, min_length=1, description="Architectures by name."
    )
    training: dict[Name, Training] = Field(
        {"adam": Training()}, min_length=1, description="Training protocols by name."
    )
    experiments: dict[Name, Experiment] = Field(min_length=1, description="Experiments by name.")
    analysis: Analysis = Field(Analysis(), description="From runs to critical sample sizes.")
    figures: Figures = Field(Figures(), description="The figures and the experiments they show.")
    compute: Compute = Field(Compute(), description="How runs are computed.")

    @field_validator("experiments")
    @classmethod
    def _training_suits(cls, experiments: dict[str, Experiment], info: ValidationInfo) -> dict[str, Experiment]:
        if {"models", "training"} <= info.data.keys():
            _reject(
                ((name, *location), problem)
                for name, experiment in experiments.items()
                for location, problem in _training_problems(
                    experiment, info.data["models"][experiment.model], info.data["training"][experiment.training]
                )
            )
        return experiments

    @field_validator("figures")
    @classmethod
    def _curves_can_be_drawn(cls, figures: Figures, info: ValidationInfo) -> Figures:
        if figures.learning_curves and {"training", "experiments"} <= info.data.keys():
            _reject(
                (("learning_curves", "experiments", index), problem)
                for index, name in enumerate(figures.learning_curves.experiments)
                for problem in _curve_problems(name, info.data["experiments"][name], info.data["training"])
            )
        return figures

    def seed_blocks(self) -> dict[Cell, list[range]]:
        """Of each cell, the seeds of each of its jobs; the last job may have fewer.

        A cell that experiments share has as many seeds as the largest of them asks for, so that it is computed once.
        """
        counts: dict[Cell, int] = {}
        for experiment in self.experiments.values():
            for cell in experiment.cells():
                counts[cell] = max(counts.get(cell, 0), experiment.grid.seeds)
        size = self.compute.seeds_per_job
        return {
            cell: [range(first, min(first + size, count)) for first in range(0, count, size)]
            for cell, count in counts.items()
        }


def _training_problems(experiment: Experiment, model: Section, training: Training) -> Iterator[tuple[Location, str]]:
    if training.norm_bound and not isinstance(model, Transformer):
        yield (
            ("training",),
            f"{experiment.training!r} has a norm_bound, and {experiment.model!r} is no transformer; "
            "use a training protocol without norm_bound",
        )
    for index, n in enumerate(experiment.grid.n):
        if n < (training.batch_size or 0):
            yield (
                ("grid", "n", index),
                f"{n} is smaller than batch_size = {training.batch_size} of {experiment.training!r}; "
                f"use n >= {training.batch_size}",
            )


def _curve_problems(name: str, experiment: Experiment, training: dict[str, Training]) -> Iterator[str]:
    for axis in ("k", "T"):
        count = len(getattr(experiment.grid, axis))
        if count > 1:
            yield f"{name!r} has {count} values of {axis}; use an experiment with one"
    if training[experiment.training].success.when != "last":
        yield f"the runs of {name!r} stop early; use a training protocol with success.when: last"


def parse(raw: dict[str, Any]) -> Config:
    """The config that a mapping (YAML after loading and merging) describes.

    Raises:
        ConfigError: if anything is wrong with it; the message lists every problem that was found.
    """
    if raw is None:
        raise ConfigError("config: empty; write at least the section 'experiments'")
    if not isinstance(raw, dict):
        raise ConfigError(f"config: {_show(raw)} is not a mapping; write 'key: value' lines")
    try:
        return Config.model_validate(raw, context=_defined_names(raw))
    except ValidationError as error:
        # pydantic does not count wrong entries, so it calls a list that holds nothing else too short as well
        problems = [found for found in error.errors() if not (found["type"] == "too_short" and found["input"])]
        lines = [f"{_path(problem)}: {_explain(problem)}" for problem in problems]
        raise ConfigError("\n".join(lines)) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe YAML loader for which a key written twice is an error; PyYAML silently keeps the last one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def load(path: str | Path) -> Config:
    """The config in a YAML file.

    Raises:
        ConfigError: if the file is not YAML, has a key twice, or `parse` finds a problem.
        OSError: if the file cannot be read.
    """
    try:
        raw = yaml.load(Path(path).read_bytes(), _UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}:{error.problem_mark.line + 1}: {error.problem}; correct the YAML") from None
    except yaml.reader.ReaderError as error:  # names a byte, not a line
        raise ConfigError(f"{path}: byte {error.position}: {error.reason}; save the file as UTF-8 text") from None
    return parse(raw)


def _defined_names(raw: dict[str, Any]) -> dict[str, list[str]]:
    """Names by kind, read before validation: an entry with a mistake in it is still there to be referred to."""
    sections = {"data": "data", "model": "models", "training": "training", "experiment": "experiments"}
    entries = {kind: raw.get(key, Config.model_fields[key].default) for kind, key in sections.items()}
    return {
        kind: [name for name in named if isinstance(name, str)]
        for kind, named in entries.items()
        if isinstance(named, dict)
    }


# Every error type that the fields above can raise, in our words; a placeholder is the value or in the error's context.
_MAPPING = "{value} is not a mapping; write 'key: value' lines"
_TEXT = "{value} is not text; write text, in quotes if need be"
_MESSAGES = {
    "value_error": "{error}",
    "missing": "missing; add it",
    "too_short": "empty; add at least one entry",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": "{value} is not a list; put the values in brackets: [...]",
    "string_type": _TEXT,
    "invalid_key": _TEXT,
    "string_pattern_mismatch": "{value} is not a valid name; use a-z, 0-9 and _, a letter first",
    "bool_type": "{value} is not a truth value; write true or false",
    "int_type": "{value} is not an integer; write a whole number",
    "float_type": "{value} is not a number; write a number such as 0.5",
    "finite_number": "{value} is not finite; write a finite number",
    "literal_error": "{value} is not allowed; use {expected}",
    "greater_than": "{value} is out of range; use a value > {gt}",
    "greater_than_equal": "{value} is out of range; use a value >= {ge}",
    "less_than": "{value} is out of range; use a value < {lt}",
    "less_than_equal": "{value} is out of range; use a value <= {le}",
}


def _path(error: ErrorDetails) -> str:
    location = error["loc"]
    if error["type"] == "union_tag_invalid":
        location += ("kind",)
    elif location[0] == "models" and location[2:3] and location[2] in KINDS:
        location = location[:2] + location[3:]  # pydantic tells the kind, which is no key
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")


def _explain(error: ErrorDetails) -> str:
    """One of pydantic's errors as ``what is wrong; the mend``."""
    kind, value, location = error["type"], error["input"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key; {_nearest(str(location[-1]), _keys_at(location[:-1]))}"
    if kind == "union_tag_invalid":
        tag = error["ctx"]["tag"]
        return f"unknown kind {tag!r}; {_nearest(tag, KINDS)}"
    if kind in ("int_type", "float_type") and isinstance(value, str) and (number := _number_in(value)):
        return f"YAML reads {value!r} as text, not as a number; write {number}"
    return _MESSAGES[kind].format(value=_show(value), **error.get("ctx", {}))


def _show(value: Any) -> str:
    """A value as YAML would write it; collections by their kind only."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _number_in(text: str) -> str | None:
    """The number that a text stands for, in a form that YAML reads as a number; 3e-3 is text, as it has no dot."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return yaml.safe_dump(int(number) if number.is_integer() else number).split()[0]


def _keys_at(location: Location) -> Iterable[str]:
    """The keys that the section at a location may have."""
    section = Config
    parts = iter(location)
    for part in parts:
        if part == "models":
            next(parts)  # the entry's name
            section = KINDS[next(parts)]
            continue
        annotation = section.model_fields[part].annotation
        if get_origin(annotation) is dict:
            next(parts)  # the entry's name
        section = next(
            kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
        )
    return section.model_fields
