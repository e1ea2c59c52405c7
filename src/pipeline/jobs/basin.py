"""Trains runs from constructed heads with noise, and from ordinary initialisations, and writes a row a run."""

from pathlib import Path

import torch

from pipeline.checkpoints import Checkpoint
from pipeline.jobs import arguments
from pipeline.storage import write_frame
from pipeline.theory.basin import basin
from pipeline.theory.cells import read_cells

if __name__ == "__main__":
    files = {"type": Path, "nargs": "+"}
    given = arguments.parse(__doc__, "output", "checkpoint", datasets=files, holdouts=files, code={"nargs": "+"})
    torch.set_num_threads(1)
    cells = read_cells(given.spec["function"], given.spec["k"], given.datasets, given.holdouts)
    saved = Checkpoint(given.checkpoint, given.spec, " ".join(given.code), *given.datasets, *given.holdouts)
    write_frame(basin(given.spec, given.spec["noise"], cells, saved), given.output)
    saved.remove()
