"""Evaluates the capacity bounds at the norms of constructed and trained heads, from their tables."""

from pipeline.jobs import arguments
from pipeline.storage import read_frame, write_frame
from pipeline.theory.evaluation import capacity

if __name__ == "__main__":
    given = arguments.parse(__doc__, "representation", "heads", "output")
    constructed = read_frame(given.representation)
    chosen = (constructed["sweep"] == "length") & (constructed["function"] == "and")
    write_frame(capacity(constructed[chosen], read_frame(given.heads), given.spec["model"]), given.output)
