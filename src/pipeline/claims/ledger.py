"""The ledger: every claim with its verdict, the numbers behind it and the runs that they rest on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.claims.claims import Claim
from pipeline.claims.evidence import Evidence, Series
from pipeline.claims.rules import RULES
from pipeline.claims.verdicts import UNDECIDED, Estimate
from pipeline.families import CELL
from pipeline.texts import read_json

DIGITS = 6  # significant digits, fewer than what differs between machines

Entry = dict[str, Any]


def ledger(claims: Mapping[str, Claim], evidence: Evidence, pattern: str) -> list[Entry]:
    """An entry for each claim, in the order of the claims.

    Args:
        claims: by id.
        evidence: the tables; ``runs`` among them.
        pattern: the path of a run file, with the wildcards of a training job.

    Returns:
        Of each claim ``id``, ``statement``, ``source``, ``provenance``, ``rule``, ``criterion`` (in words),
        ``verdict``, ``reason``, ``numbers`` (each ``name``, ``value``, ``low`` and ``high``; null where there is none
        or the interval is open) and ``runs`` (``count``, ``experiments``, ``files`` as patterns of paths, ``tables``).
    """
    return [_entry(name, claim, evidence, pattern) for name, claim in claims.items()]


def read(path: Path) -> list[Entry]:
    """The entries of a ledger that was written as JSON; raises what :func:`pipeline.texts.read_json` does."""
    return read_json(path)["claims"]


def parted(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries that these results bear on, and those that have no runs of their experiments, or no table."""
    absent = [one for one in entries if one["verdict"] == UNDECIDED and _has_nothing(one)]
    return [one for one in entries if one not in absent], absent


def _has_nothing(entry: Entry) -> bool:
    """Whether there are no runs of a claim's experiments or, of a claim on the theory, no table."""
    names, count = entry["runs"]["experiments"], entry["runs"]["count"]
    return not count if names else entry["reason"].startswith("no table")


def _entry(name: str, claim: Claim, evidence: Evidence, pattern: str) -> Entry:
    rule = RULES[claim.rule]
    finding = rule.apply(evidence, claim.parameters)
    told = claim.model_dump(include={"statement", "source", "provenance", "rule"})
    return {
        "id": name,
        **told,
        "criterion": rule.criterion.format(**_readable(claim)),
        "verdict": finding.verdict,
        "reason": finding.reason,
        "numbers": [_number(estimate) for estimate in finding.numbers],
        "runs": _runs(claim.series(), evidence.tables["runs"], pattern) | {"tables": list(claim.tables)},
    }


def _readable(claim: Claim) -> dict[str, Any]:
    """The parameters as the criterion writes them."""
    values = {name: getattr(claim.parameters, name) for name in type(claim.parameters).model_fields}
    return {name: ", ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in values.items()}


def _number(estimate: Estimate) -> dict[str, str | float | None]:
    ends = {name: getattr(estimate, name) for name in ("value", "low", "high")}
    return {"name": estimate.name} | {name: _rounded(number) for name, number in ends.items()}


def _rounded(number: float) -> float | None:
    """To some significant digits; None for what is not finite."""
    number = float(number)
    return float(f"{number:.{DIGITS}g}") if abs(number) < float("inf") else None


def _runs(series: list[Series], runs: pd.DataFrame, pattern: str) -> Entry:
    """The runs of some series: how many, of which experiments, and in which files."""
    own = pd.concat([runs.head(0), *(one.of(runs) for one in series)])
    addresses = own[["function", "data", "model", "training", "k"]].drop_duplicates().to_dict("records")
    files = [pattern.format(**address, T="*", n="*", seeds="*") for address in addresses]
    return {
        "count": len(own.drop_duplicates([*CELL, "seed"])),
        "experiments": list(dict.fromkeys(one.experiment for one in series)),
        "files": sorted(files),
    }
