"""Success rates of all cells of the experiments that have them, from the table of runs."""

from pipeline.jobs import arguments
from pipeline.statistics.success_rates import success_rates
from pipeline.storage import read_frame, write_frame

if __name__ == "__main__":
    given = arguments.parse(__doc__, "runs", "output")
    runs = read_frame(given.runs)
    shown = runs[runs["experiment"].isin(given.spec["experiments"])]
    write_frame(success_rates(shown, given.spec["confidence"]), given.output)
