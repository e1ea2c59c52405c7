"""Writes the page of results: claims, figures with their tables, and how all of it was made."""

from pathlib import Path

from pipeline.claims import ledger
from pipeline.jobs import arguments
from pipeline.page.figures import drawing
from pipeline.page.render import render
from pipeline.page.tables import table
from pipeline.page.times import times
from pipeline.provenance import provenance
from pipeline.storage import whole_file
from pipeline.workflow.captions import Caption


def main() -> None:
    """The job; ``--spec`` has, of each figure, its caption, experiments and tables."""
    given = arguments.parse(
        __doc__,
        "figures",
        "config",
        "benchmarks",
        "output",
        command={"help": "what rebuilds the results"},
        claims={"type": Path, "required": False},
        tables={"type": Path, "nargs": "*"},
    )
    tables = {path.stem: table(path) for path in given.tables}
    drawings = [
        drawing(name, Caption(**told.pop("caption")), told, given.figures, tables)
        for name, told in given.spec["figures"].items()
    ]
    page = render(
        claims=ledger.read(given.claims) if given.claims else None,
        figures=drawings,
        tables=tables.values(),
        config=given.config.read_text(encoding="utf-8"),
        command=given.command,
        provenance=provenance(Path(__file__).parent),
        times=times(given.benchmarks),
    )
    with whole_file(given.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
