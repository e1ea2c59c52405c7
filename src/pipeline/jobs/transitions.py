"""Median step of the transition in all cells of online experiments, from the table of runs."""

from pipeline.jobs import arguments
from pipeline.statistics.transitions import transitions
from pipeline.storage import read_frame, write_frame

if __name__ == "__main__":
    given = arguments.parse(__doc__, "runs", "output")
    runs = read_frame(given.runs)
    online = runs[runs["experiment"].isin(given.spec["experiments"])]
    write_frame(transitions(online, given.spec["confidence"]), given.output)
