"""What makes a function a rule: the tables that it reads, its criterion in words, and parameters that YAML gives."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import create_model

from pipeline.claims.evidence import Evidence
from pipeline.claims.verdicts import UNDECIDED, Finding, Undecided
from pipeline.config.sections import Section


@dataclass(frozen=True)
class Rule:
    """A way to decide a claim.

    ``parameters`` is the form of what a claim may set; ``criterion`` is text with the parameters' names in braces.
    """

    name: str
    tables: tuple[str, ...]
    criterion: str
    parameters: type[Section]
    decide: Callable[..., Finding]

    def apply(self, evidence: Evidence, parameters: Section) -> Finding:
        """What the rule finds; undecided, with the reason, if the tables do not allow a verdict."""
        try:
            return self.decide(evidence, **{name: getattr(parameters, name) for name in type(parameters).model_fields})
        except Undecided as reason:
            return Finding(UNDECIDED, str(reason))


RULES: dict[str, Rule] = {}


def rule(*tables: str, criterion: str) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """Registers a function under its name; its arguments after the first, the evidence, are the rule's parameters.

    Args:
        tables: names of the tables that it reads.
        criterion: when the verdict is which; ``{name}`` stands for a parameter's value, line breaks for spaces.
    """

    def register(decide: Callable[..., Finding]) -> Callable[..., Finding]:
        name, (_, *parameters) = decide.__name__, inspect.signature(decide).parameters.values()
        fields: dict[str, Any] = {
            one.name: (one.annotation, ... if one.default is one.empty else one.default) for one in parameters
        }
        form = create_model(name, __base__=Section, __doc__=f"Parameters of the rule {name}.", **fields)
        RULES[name] = Rule(name, tables, " ".join(criterion.split()), form, decide)
        return decide

    return register
