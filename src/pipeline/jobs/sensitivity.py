"""Critical sample sizes of the variants of a setting beside its own, from the tables of critical sizes and runs."""

from pipeline.jobs import arguments
from pipeline.statistics.sensitivity import sensitivity
from pipeline.storage import read_frame, write_frame

if __name__ == "__main__":
    given = arguments.parse(__doc__, "critical", "runs", "output")
    write_frame(sensitivity(read_frame(given.critical), read_frame(given.runs), **given.spec), given.output)
