"""Laws of the critical sample size, fitted jointly to all runs and compared, from the table of success rates."""

from pipeline.jobs import arguments
from pipeline.statistics.law_tables import Tables, law_tables
from pipeline.storage import read_frame, write_frame

if __name__ == "__main__":
    given = arguments.parse(__doc__, "rates", *Tables._fields)
    tables = law_tables(read_frame(given.rates), **given.spec)
    for name, table in tables._asdict().items():
        write_frame(table, getattr(given, name))
