"""Constructs heads, checks them in the model that is trained, and writes a row a construction."""

import logging

from pipeline.jobs import arguments
from pipeline.storage import write_frame
from pipeline.theory.representation import representation

log = logging.getLogger(__name__)

if __name__ == "__main__":
    given = arguments.parse(__doc__, "output")
    table = representation(**given.spec)
    write_frame(table, given.output)
    log.info(
        "%d constructions: %d have the width, %d exact", len(table), table["feasible"].sum(), table["certified"].sum()
    )
