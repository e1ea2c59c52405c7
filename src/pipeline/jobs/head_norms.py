"""Trains the runs of some cells and writes the norms of their heads, a row a head."""

from pathlib import Path

import torch

from pipeline.jobs import arguments
from pipeline.storage import write_frame
from pipeline.theory.cells import read_cells
from pipeline.theory.trained import trained_heads

if __name__ == "__main__":
    files = {"type": Path, "nargs": "+"}
    given = arguments.parse(__doc__, "output", datasets=files, holdouts=files)
    torch.set_num_threads(1)
    cells = read_cells(given.spec["function"], given.spec["k"], given.datasets, given.holdouts)
    write_frame(trained_heads(given.spec, cells), given.output)
