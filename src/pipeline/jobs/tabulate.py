"""Gathers the results of training jobs into one table; :mod:`pipeline.runs` says what its rows are."""

from pathlib import Path

from pipeline.jobs import arguments
from pipeline.runs import attention, attention_maps, learning_curves, progress, runs_table
from pipeline.storage import write_frame

if __name__ == "__main__":
    tables = {
        "runs": runs_table,
        "learning_curves": learning_curves,
        "progress": progress,
        "attention": attention,
        "attention_maps": attention_maps,
    }
    files = {name: {"type": Path, "nargs": "*"} for name in ("files", "adaptive")}
    given = arguments.parse(__doc__, "output", table={"choices": tables}, **files)
    write_frame(tables[given.table](given.files, given.spec, given.adaptive), given.output)
