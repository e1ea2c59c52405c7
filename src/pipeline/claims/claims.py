"""The file of claims: what it may say, and every check on it."""

from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, ValidationInfo, create_model, field_validator

from pipeline.claims.evidence import Series
from pipeline.claims.rules import RULES
from pipeline.config.problems import ConfigError, Form, problems, read
from pipeline.config.sections import PROVENANCE, ListOf, Name, Section, show


class Claim(Section):
    """A claim and how it is decided; each rule has a kind of its own, with its parameters."""

    statement: str = Field(description="What is claimed, a sentence.")
    source: str = Field(description="Where it is claimed.")
    provenance: Literal[tuple(PROVENANCE)] = Field(description="How it is known that it is claimed there.")
    rule: str = Field(description="Name of the rule that decides it.")
    tables: ListOf[str] = Field(description="Names of the tables that the rule reads.")
    parameters: Section = Field(description="The rule's parameters.")

    @field_validator("tables")
    @classmethod
    def _tables_are_the_rules(cls, tables: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        read = RULES[info.data["rule"]].tables if "rule" in info.data else tables
        if set(tables) != set(read):
            raise ValueError(f"the rule {info.data['rule']} reads other tables; write [{', '.join(read)}]")
        return tables

    def series(self) -> list[Series]:
        """The series of runs that the parameters name."""
        values = [getattr(self.parameters, name) for name in type(self.parameters).model_fields]
        parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        return [part for part in parts if isinstance(part, Series)]


# A kind of claim for each rule.
KINDS: dict[str, type[Claim]] = {
    name: create_model(f"{name}_claim", __base__=Claim, rule=(Literal[name], ...), parameters=(rule.parameters, ...))
    for name, rule in RULES.items()
}


def _rule_of(claim: Any) -> str:
    """The name of a claim's rule, in a file or validated."""
    name = claim.get("rule") if isinstance(claim, dict) else getattr(claim, "rule", next(iter(RULES)))
    return name if isinstance(name, str) else show(name)


Kind = Annotated[reduce(or_, [Annotated[kind, Tag(name)] for name, kind in KINDS.items()]), Discriminator(_rule_of)]


class Claims(Section):
    """The whole file."""

    claims: dict[Name, Kind] = Field(min_length=1, description="Claims by id.")


_FORM = Form(Claims, "claims", "rule", KINDS)


def load(path: Path) -> dict[str, Claim]:
    """The claims in a YAML file, by id.

    Raises:
        ConfigError: it cannot be read, is no YAML, or something is wrong with it; the message lists every problem.
    """
    try:
        raw = read(path)
    except OSError as error:
        mend = "correct the path, or write claims: null"
        raise ConfigError(f"claims: {path}: {error.strerror}; {mend}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: {show(raw)} is not a mapping; write claims: and below it the claims by id")
    return parse(raw, f"{path}: ")


def parse(raw: dict[str, Any], prefix: str = "") -> dict[str, Claim]:
    """The claims that a mapping describes, by id.

    Args:
        raw: what YAML gives.
        prefix: what a message's lines begin with.

    Raises:
        ConfigError: something is wrong; the message lists every problem.
    """
    try:
        return Claims.model_validate(raw).claims
    except ValidationError as error:
        raise ConfigError("\n".join(prefix + line for line in problems(error, _FORM))) from None
