"""Trains the runs of some cells and writes the norms of their heads, a row a head."""

from pathlib import Path

import torch

from pipeline.checkpoints import Checkpoint
from pipeline.jobs import arguments
from pipeline.storage import write_frame
from pipeline.theory.cells import read_cells
from pipeline.theory.trained import trained_heads

if __name__ == "__main__":
    files = {"type": Path, "nargs": "+"}
    given = arguments.parse(__doc__, "output", "checkpoint", datasets=files, holdouts=files, code={"nargs": "+"})
    torch.set_num_threads(1)
    cells = read_cells(given.spec["function"], given.spec["k"], given.datasets, given.holdouts)
    saved = Checkpoint(given.checkpoint, given.spec, " ".join(given.code), *given.datasets, *given.holdouts)
    write_frame(trained_heads(given.spec, cells, saved), given.output)
    saved.remove()
