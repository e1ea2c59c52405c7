"""Writes the summary that the workflow prints at its end."""

from pathlib import Path

from pipeline.claims import ledger
from pipeline.jobs import arguments
from pipeline.storage import read_frame, whole_file
from pipeline.summary import summary

if __name__ == "__main__":
    optional = {name: {"type": Path, "required": False} for name in ("transitions", "growth", "claims")}
    given = arguments.parse(__doc__, "critical", "fits", "verdicts", "runs", "output", **optional)
    tables = {name: getattr(given, name) for name in ("critical", "fits", "verdicts", "runs", "transitions", "growth")}
    frames = {name: read_frame(path) for name, path in tables.items() if path}
    claims = ledger.read(given.claims) if given.claims else []
    with whole_file(given.output) as temporary:
        temporary.write_text(summary(**frames, claims=claims, **given.spec), encoding="utf-8")
