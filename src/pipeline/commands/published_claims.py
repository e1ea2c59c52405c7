"""The table of claims in the README, from the published ledgers.

``python -m pipeline.commands.published_claims`` writes it. With ``--check`` it only says whether the table is stale.
"""

import argparse
import re
from collections.abc import Mapping

from pipeline.claims.ledger import Entry, read
from pipeline.claims.rendering import interval, text
from pipeline.commands.shared import ROOT

README = ROOT / "README.md"
PUBLISHED = ROOT / "docs/results"
COMMAND = "python -m pipeline.commands.published_claims"
SMALL = "quick"  # the set of results that any other goes before, where they have as many runs
OURS = "ours"

BEGIN, END = f"<!-- claims, written by `{COMMAND}` -->", "<!-- end of claims -->"
_BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def ledgers() -> dict[str, list[Entry]]:
    """The published ledgers by the name of their set of results, that of the small runs last."""
    paths = sorted(PUBLISHED.glob("*/claims.json"), key=lambda path: (path.parent.name == SMALL, path))
    return {path.parent.name: read(path) for path in paths}


def table(ledgers: Mapping[str, list[Entry]]) -> str:
    """The claims of the paper and of related work with their verdicts, and those that are this project's own.

    Of several ledgers, that with most runs on a claim decides, whatever its verdict. Claims that no ledger has runs or
    numbers on are counted.

    Args:
        ledgers: by the name of their set of results; of equal ones the first decides.
    """
    decided: dict[str, tuple[str, Entry]] = {}
    for name, entries in ledgers.items():
        for entry in entries:
            if entry["id"] not in decided or _weight(entry) > _weight(decided[entry["id"]][1]):
                decided[entry["id"]] = name, entry
    known = [(name, entry) for name, entry in decided.values() if any(_weight(entry))]
    lines = _table("claim", [one for one in known if one[1]["provenance"] != OURS])
    if own := [one for one in known if one[1]["provenance"] == OURS]:
        verdicts = [entry["verdict"] for _, entry in own]
        told = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
        summary = f"<summary>And claims of this project's own: {told}</summary>"
        lines += ["", "<details>", summary, "", *_table("claim of this project's own", own), "", "</details>"]
    if unknown := len(decided) - len(known):
        lines += ["", f"Claims on which no published results bear yet: {unknown}."]
    return "\n".join(lines)


def _weight(entry: Entry) -> tuple[int, bool]:
    """How much a ledger knows of a claim: the number of runs, and whether there are any numbers."""
    return entry["runs"]["count"], bool(entry["numbers"])


def _table(heading: str, known: list[tuple[str, Entry]]) -> list[str]:
    return [f"| {heading} | known how | verdict | why |", "|---|---|---|---|", *(_row(*one) for one in known)]


def _row(name: str, entry: Entry) -> str:
    ledger, runs = f"docs/results/{name}/claims.md#{entry['id']}", entry["runs"]["count"]
    of = f"{name}, {runs} runs" if runs else name
    verdict = f"[**{entry['verdict']}**]({ledger})"
    cells = [entry["statement"], entry["provenance"], verdict, f"{_why(entry)} ({of})"]
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _why(entry: Entry) -> str:
    """The reason of a verdict, with the values of the numbers that it names."""
    values = {
        one["name"]: f"{text(one['value'], 'not known')} {interval(one['low'], one['high'])}"
        for one in entry["numbers"]
    }
    verb, colon, names = entry["reason"].partition(": ")
    told = [f"{name} {values.get(name, '')}".rstrip() for name in names.split("; ")]
    return f"{verb}{colon}{'; '.join(told)}"


def readme(before: str) -> str:
    """The README's text with the table as it is now."""
    block = f"{BEGIN}\n\n{table(ledgers())}\n\n{END}"
    return _BLOCK.sub(lambda _: block, before)


def main() -> None:
    """Writes the table, or with ``--check`` exits with status 1 if it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the table is stale")
    before = README.read_text(encoding="utf-8")
    if not parser.parse_args().check:
        README.write_text(readme(before), encoding="utf-8")
    elif before != readme(before):
        raise SystemExit(f"the claims in {README.name} are stale; run `{COMMAND}`")


if __name__ == "__main__":
    main()
