"""What the sections of the config are made of: their base class, the types of their values, and checks of values."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails

PROVENANCE = {
    "read": "seen in the paper's abstract, its figure, or a text that quotes it",
    "peer": "read in an independent re-implementation of the main experiment",
    "remembered": "recalled by people who know the paper, not checked",
    "unresolved": "sources disagree, one value was chosen",
    "ours": "chosen or measured here",
}

LONGEST = 58  # characters of a value in a message

Location = tuple[int | str, ...]
Item = TypeVar("Item")


class Section(BaseModel):
    """A mapping of the config: unknown keys are errors, values are neither converted nor changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


def setting(default: Any, provenance: str, description: str) -> Any:
    """A field that stands for a value of the paper."""
    return Field(default, description=description, json_schema_extra={"provenance": provenance})


def show(value: Any) -> str:
    """A value as YAML would write it, cut if it is long; collections by their kind only."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    shown = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


# Checks that need more than one value. A value that failed its own check is absent from `info.data`: the check that
# compares with it is then left out, so one mistake is reported once.


def nearest(name: str, known: Iterable[str]) -> str:
    """The mend for an unknown name."""
    known = sorted(known)
    matches = get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {matches[0]!r}?" if matches else f"use one of: {', '.join(map(on_a_line, known))}"


def on_a_line(key: str) -> str:
    """A key as it is written, quoted if it would not stay on its line."""
    return key if key and key.isprintable() else repr(key)


def check_known(kind: str, name: str, known: Collection[str]) -> str:
    """The name, if it is known.

    Raises:
        ValueError: it is not; the message has the nearest name that is.
    """
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}; {nearest(name, known)}")
    return name


def name_of(kind: str) -> AfterValidator:
    """A name that must be defined in the config; `parse` hands over the names in the validation context."""

    def check(name: str, info: ValidationInfo) -> str:
        known = (info.context or {}).get(kind)
        return check_known(kind, name, known) if known else name

    return AfterValidator(check)


def divisor_of(field: str) -> AfterValidator:
    """A number that must divide the value of an earlier field of the same section."""

    def check(divisor: int, info: ValidationInfo) -> int:
        total = info.data.get(field)
        if total is not None and total % divisor:
            mend = math.gcd(divisor, total)
            raise ValueError(f"{divisor} does not divide {field} = {total}; use a divisor such as {mend}")
        return divisor

    return AfterValidator(check)


def _holds_k(T: int, info: ValidationInfo) -> int:
    """A context length of at least every k, an earlier field of the same section: a number, or several."""
    k = info.data.get("k", 0)
    largest = k if isinstance(k, int) else max(k)
    if largest > T:
        raise ValueError(f"{T} is smaller than k = {largest}; use T >= {largest}")
    return T


def unique(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """The values, if none is there twice.

    Raises:
        ValueError: some are.
    """
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"more than once: {', '.join(map(str, repeated))}; write each value once")
    return values


def reject(problems: Iterable[tuple[Location, str]]) -> None:
    """Raises all problems together, each at its location below the field that is being validated."""
    details = [
        InitErrorDetails(type="value_error", loc=location, input=None, ctx={"error": problem})
        for location, problem in problems
    ]
    if details:
        raise ValidationError.from_exception_data("config", details)


Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]  # names become parts of file paths
Count = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1, le=10**6)]  # of a cell or a construction; about ten times what was ever run
Length = Annotated[Size, AfterValidator(_holds_k)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
SetOf = Annotated[  # strict mode would take tuples only, and YAML has none
    tuple[Item, ...], Field(strict=False, json_schema_extra={"uniqueItems": True}), AfterValidator(unique)
]
ListOf = Annotated[SetOf[Item], Field(min_length=1)]
