"""Draws the holdout inputs of a (function, k, T)."""

from pipeline.data.datasets import write_holdout
from pipeline.data.sampling import draw_holdout
from pipeline.jobs import arguments

if __name__ == "__main__":
    given = arguments.parse(__doc__, "output")
    spec = given.spec
    write_holdout(draw_holdout(spec["function"], spec["k"], spec["T"], spec["holdout_size"]), given.output)
