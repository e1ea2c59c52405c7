"""The ledger as Markdown."""

from collections.abc import Iterable, Iterator

from pipeline.claims.ledger import Entry, parted

PREAMBLE = """\
# Claims and what the runs say

Each claim is decided by a rule that is code, from the tables of this run of the workflow. It is undecided if the
intervals leave it open or the runs are too few.
"""


def markdown(entries: list[Entry]) -> str:
    """The ledger as a page: a line for each claim, then a section for each; last, those on what was not run."""
    told, absent = parted(entries)
    lines = [PREAMBLE]
    if told:
        lines += ["| claim | provenance | verdict |", "|---|---|---|"]
    lines += [f"| [{one['statement']}](#{one['id']}) | {one['provenance']} | **{one['verdict']}** |" for one in told]
    lines += [line for one in told for line in _section(one)]
    if absent:
        lines += ["", "## On what this config does not run", ""]
    lines += [f"- {one['statement']} ({one['provenance']})" for one in absent]
    return "\n".join(lines) + "\n"


def _section(entry: Entry) -> Iterator[str]:
    runs = entry["runs"]
    yield from ("", f"## {entry['id']}", "", entry["statement"], "")
    yield f"- **{entry['verdict'].capitalize()}:** {entry['reason']}."
    yield f"- Source: {entry['source']} ({entry['provenance']})."
    yield f"- Rule `{entry['rule']}`. {entry['criterion']}"
    of_runs = f"Runs: {runs['count']} of {_list(runs['experiments'])}, through" if runs["experiments"] else "Tables:"
    yield f"- {of_runs} {_list(runs['tables'])}."
    yield from (f"  `{pattern}`" for pattern in runs["files"])
    if entry["numbers"]:
        yield from ("", "| number | value | interval |", "|---|---|---|")
    for one in entry["numbers"]:
        yield f"| {one['name']} | {text(one['value'], 'not known')} | {interval(one['low'], one['high'])} |"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def interval(low: float | None, high: float | None) -> str:
    """An interval in brackets; nothing, if both ends are open."""
    return "" if low is None and high is None else f"[{text(low, 'open')}, {text(high, 'open')}]"


def text(number: float | None, missing: str) -> str:
    """Four digits of a number, or what stands for one that is missing."""
    return missing if number is None else f"{number:.4g}"
