"""Trains runs from constructed heads with noise, and from ordinary initialisations, and writes a row a run."""

from pathlib import Path

import torch

from pipeline.jobs import arguments
from pipeline.storage import write_frame
from pipeline.theory.basin import basin
from pipeline.theory.cells import read_cells

if __name__ == "__main__":
    files = {"type": Path, "nargs": "+"}
    given = arguments.parse(__doc__, "output", datasets=files, holdouts=files)
    torch.set_num_threads(1)
    cells = read_cells(given.spec["function"], given.spec["k"], given.datasets, given.holdouts)
    write_frame(basin(given.spec, given.spec["noise"], cells), given.output)
