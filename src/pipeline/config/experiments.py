"""The experiments: what is learned by which learner, on which grid of cells."""

from collections.abc import Collection, Iterator
from itertools import combinations, product
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from pipeline.config.sections import (
    Count,
    Length,
    ListOf,
    Location,
    Section,
    Size,
    check_known,
    name_of,
    reject,
    setting,
)
from pipeline.data.functions import FUNCTIONS, function_problem

NO_TRAINING = "none"  # the name of the training protocol of a learner that is fitted at once, in paths

FunctionName = Annotated[str, AfterValidator(lambda name: check_known("function", name, FUNCTIONS))]


class Grid(Section):
    """The cells of an experiment: every combination of k, T and n."""

    k: ListOf[Count] = setting((3,), "read", "Sparsities: numbers of relevant positions.")
    T: ListOf[Length] = setting(
        (*range(100, 800, 50), 800, 900, 1000, 1100), "read", "Context lengths, in bits; each at least every k."
    )
    n: ListOf[Size] = setting(tuple(range(20, 201, 10)), "ours", "Numbers of training samples.")
    seeds: Size = setting(50, "remembered", "Number of runs per cell; their seeds are 0, 1, …, `seeds` - 1.")


class Cell(NamedTuple):
    """What the runs of one cell share: everything but the seed."""

    function: str
    data: str
    model: str
    training: str
    k: int
    T: int
    n: int


class CurveAddress(NamedTuple):
    """What the cells of one curve of success rates share: everything but n."""

    function: str
    data: str
    model: str
    training: str
    k: int
    T: int


class Adaptive(Section):
    """Further runs of every (k, T) at sizes near its threshold, in rounds; the grid is the first, coarse pass."""

    rounds: Count = setting(4, "ours", "Rounds; each chooses its sizes by the runs of the grid and of earlier rounds.")
    sizes: Count = setting(3, "ours", "Numbers of training samples in a round.")
    seeds: Count = setting(10, "ours", "Runs of each of them; their seeds follow those of earlier runs at the same n.")
    n_min: Count | None = setting(None, "ours", "The smallest n that may be chosen; null: the smallest of the grid.")
    n_max: Count | None = setting(None, "ours", "The largest n that may be chosen; null: the largest of the grid.")

    def bounds(self, sizes: Collection[int]) -> tuple[int, int]:
        """The smallest and the largest n that may be chosen, given the sizes of the grid."""
        return self.n_min or min(sizes), self.n_max or max(sizes)


class Experiment(Section):
    """One Boolean function learned by one model on a grid of cells."""

    function: FunctionName = setting(
        "and",
        "read",
        "The Boolean function, by its name in `pipeline.data.functions`; it fixes the input distribution too.",
    )
    data: Annotated[str, name_of("data")] = Field("standard", description="Name of a data protocol.")
    model: Annotated[str, name_of("model")] = Field("transformer", description="Name of a model.")
    training: Annotated[str, name_of("training")] | None = Field(
        "paper", description="Name of a training protocol; null for a learner that is fitted without training steps."
    )
    grid: Grid = Field(Grid(), description="The cells.")
    more_grids: Annotated[tuple[Grid, ...], Field(strict=False)] = Field(
        (),
        description="Further cells, where other T need other n; what one leaves out is that of `grid`. No cell twice.",
    )
    adaptive: Adaptive | None = Field(
        None, description="Further runs near the threshold; null: none. For runs that are trained on fixed samples."
    )
    enabled: bool = Field(True, description="false: the experiment is off, as if it were not there.")

    @model_validator(mode="after")
    def _function_allows_k(self) -> "Experiment":
        reject(
            ((*location, "k", index), wrong)
            for location, grid in self.located_grids()
            for index, k in enumerate(grid.k)
            if (wrong := function_problem(self.function, k))
        )
        return self

    @field_validator("more_grids", mode="before")
    @classmethod
    def _grids_start_from_the_first(cls, more: object, info: ValidationInfo) -> object:
        if not isinstance(more, list) or "grid" not in info.data:
            return more
        first = info.data["grid"].model_dump()
        return [first | one if isinstance(one, dict) else one for one in more]

    @field_validator("more_grids")
    @classmethod
    def _grids_are_apart(cls, more: tuple[Grid, ...], info: ValidationInfo) -> tuple[Grid, ...]:
        grids = [info.data["grid"], *more] if "grid" in info.data else more
        for one, other in combinations(grids, 2):
            shared = [sorted({*getattr(one, axis)} & {*getattr(other, axis)}) for axis in ("k", "T", "n")]
            if all(shared):
                k, T, n = (values[0] for values in shared)
                raise ValueError(f"k = {k}, T = {T}, n = {n} is in two grids; leave it out of one")
        return more

    def located_grids(self) -> Iterator[tuple[Location, Grid]]:
        """All grids, each with its location below the experiment."""
        yield ("grid",), self.grid
        yield from ((("more_grids", index), grid) for index, grid in enumerate(self.more_grids))

    def cells(self) -> dict[Cell, int]:
        """The number of runs of each cell; grid after grid, n varying fastest."""
        names = (self.function, self.data, self.model, self.training or NO_TRAINING)
        grids = (grid for _, grid in self.located_grids())
        return {Cell(*names, *numbers): grid.seeds for grid in grids for numbers in product(grid.k, grid.T, grid.n)}

    def curves(self) -> dict[CurveAddress, dict[Cell, int]]:
        """The cells of each curve with their numbers of runs."""
        curves: dict[CurveAddress, dict[Cell, int]] = {}
        for cell, seeds in self.cells().items():
            curves.setdefault(CurveAddress(*cell[:-1]), {})[cell] = seeds
        return curves
