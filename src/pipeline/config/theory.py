"""The section ``theory``: the paper's theorem as experiments of its own."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from pipeline.config.experiments import FunctionName
from pipeline.config.learners import Transformer
from pipeline.config.protocols import REJECTION_MEND, Data, Training
from pipeline.config.sections import Count, Length, ListOf, Location, Section, Size, name_of
from pipeline.data.functions import FUNCTIONS, function_problem
from pipeline.data.search_bounds import too_large

MAX_SPARSITY = 8  # the general construction takes up to 2^k - 1 hidden units


def _defined(k: int, info: ValidationInfo) -> int:
    function = info.data.get("function")
    if function and (wrong := function_problem(function, k)):
        raise ValueError(wrong)
    return k


Sparsity = Annotated[int, Field(ge=1, le=MAX_SPARSITY)]


class Sweep(Section):
    """Constructions for every combination of k, T and width."""

    k: ListOf[Sparsity] = Field(description="Sparsities.")
    T: ListOf[Length] = Field(description="Context lengths, in bits; each at least every k.")
    width: ListOf[Annotated[Size, Field(ge=8)]] = Field(description="Embedding widths, in units.")
    supports: Size = Field(10, description="Number of random supports for each combination.")


class Sweeps(Section):
    """What the norms grow with, and what width the construction takes."""

    length: Sweep = Field(description="Over T, at one k and width; its AND is what the capacity bounds look at.")
    sparsity: Sweep = Field(description="Over k, at one T and width.")
    width: Sweep = Field(description="Over the width, at one k.")


class Representation(Section):
    """Constructed heads: whether they are exact, and their norms."""

    functions: ListOf[FunctionName] = Field(
        ("and", "or", "majority", "parity", "junta"),
        description="The Boolean functions, `and` among them; where one is not defined for a k, it is left out.",
    )
    random_inputs: Size = Field(
        8, description="Random settings of the other bits for each setting of the support, besides all 0 and all 1."
    )
    sweeps: Sweeps = Field(description="The sweeps.")


class _Trained(Section):
    """Runs of one function and k; the data and the ordinary start are those of experiments at the same address."""

    data: Annotated[str, name_of("data")] = Field("standard", description="Name of a data protocol.")
    model: Annotated[str, name_of("model")] = Field("transformer", description="Name of a one-layer Transformer.")
    training: Annotated[str, name_of("training")] = Field(
        "paper", description="Name of a training protocol on fixed samples."
    )
    seeds: Size = Field(10, description="Number of runs of each cell.")


class TrainedHeads(_Trained):
    """Trained heads beside the constructed ones; every run is trained to the last step."""

    function: FunctionName = Field("and", description="The Boolean function.")
    k: Annotated[Count, AfterValidator(_defined)] = Field(3, description="Sparsity.")
    T: ListOf[Length] = Field((100, 300, 1000), description="Context lengths, in bits.")
    n: Size = Field(200, description="Number of training samples.")


class Basin(_Trained):
    """Training from the constructed head with noise."""

    function: Literal["and", "or", "majority"] = Field("and", description="The Boolean function, a threshold.")
    k: Annotated[Sparsity, AfterValidator(_defined)] = Field(3, description="Sparsity.")
    T: Length = Field(300, description="Context length, in bits.")
    n: ListOf[Size] = Field((20, 50, 120), description="Numbers of training samples.")
    noise: ListOf[Annotated[float, Field(ge=0)]] = Field(
        (0.0, 0.005, 0.01, 0.02, 0.04, 0.08), description="Standard deviations of the noise on weights and embeddings."
    )


class Theory(Section):
    """The paper's theorem on the computer (docs/theory.md); a part that is null is off."""

    representation: Representation | None = Field(None, description="Constructed heads.")
    heads: TrainedHeads | None = Field(
        None, description="Norms of trained heads, and with `representation` the capacity bounds at the norms of both."
    )
    basin: Basin | None = Field(None, description="Training from constructed heads.")


def theory_problems(
    theory: Theory, data: Mapping[str, Data], models: Mapping[str, Section], training: Mapping[str, Training]
) -> Iterator[tuple[Location, str]]:
    """What does not fit together in the section, each at its location below it."""
    if theory.representation and "and" not in theory.representation.functions:
        yield ("representation", "functions"), "'and' is missing, which the capacity bounds look at; add it"
    if theory.representation:
        yield from ((("representation", *at), wrong) for at, wrong in _function_problems(theory.representation))
    for name, part in (("heads", theory.heads), ("basin", theory.basin)):
        if part:
            yield from (((name, *at), wrong) for at, wrong in _run_problems(part, data, models, training))


def _function_problems(part: Representation) -> Iterator[tuple[Location, str]]:
    """Functions that are not what their entries say at some k of a sweep, where they are defined."""
    sparsities = sorted({k for _, sweep in part.sweeps for k in sweep.k})
    for index, name in enumerate(part.functions):
        defined = (k for k in sparsities if not FUNCTIONS[name].check_sparsity(k))
        if wrong := next(filter(None, (function_problem(name, k) for k in defined)), None):
            yield ("functions", index), wrong


def _run_problems(
    part: TrainedHeads | Basin,
    data: Mapping[str, Data],
    models: Mapping[str, Section],
    training: Mapping[str, Training],
) -> Iterator[tuple[Location, str]]:
    model, protocol = models[part.model], training[part.training]
    if not isinstance(model, Transformer) or model.layers > 1 or model.dropout.embedding:
        yield ("model",), f"{part.model!r} is no one-layer Transformer without embedding dropout; use one"
    if protocol.samples == "fresh":
        yield ("training",), f"{part.training!r} draws fresh samples; use a protocol with samples: fixed"
    largest = part.T if isinstance(part.T, int) else max(part.T)
    smallest = min((part.n,) if isinstance(part.n, int) else part.n)
    if data[part.data].reject_ambiguous and (wrong := too_large(part.function, part.k, largest, smallest)):
        yield ("T",), f"{wrong}; {REJECTION_MEND}"
    if smallest < (protocol.batch_size or 0):
        yield ("n",), f"{smallest} is smaller than batch_size = {protocol.batch_size}; use n >= {protocol.batch_size}"
