"""Growth of the transition's step with the context length in online experiments, from the table of runs."""

from pipeline.jobs import arguments
from pipeline.statistics.transitions import transition_fits
from pipeline.storage import read_frame, write_frame

if __name__ == "__main__":
    given = arguments.parse(__doc__, "runs", "output")
    runs = read_frame(given.runs)
    every = given.spec["eval_every"]
    online = runs[runs["experiment"].isin(every)].assign(eval_every=lambda table: table["experiment"].map(every))
    write_frame(transition_fits(online, given.spec["confidence"]), given.output)
