"""Compares the engine with its rivals, shows its cost over T, and writes tables and figures to docs/results/bench.

As ``python benchmarks``: a folder, so that the processes that are started import nothing of this file.
"""

import argparse
from pathlib import Path

import pandas as pd

import compare
import large
import report
from pipeline.storage import write_frame
from workers import Mode

RESULTS = Path("results/bench")


def main() -> None:
    """Runs the benchmarks."""
    parser = argparse.ArgumentParser("python benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--modes", type=Mode.parse, nargs="+", default=[Mode(1, 1), Mode(2, 1)], metavar="PROCESSESxTHREADS"
    )
    parser.add_argument("--to", type=Path, default=Path("docs/results/bench"), help="where tables and figures go")
    given = parser.parse_args()
    cells = [(cell, mode) for mode in given.modes for cell in compare.CELLS + compare.ENGINE_CELLS]
    steps = [row for cell, mode in cells for row in compare.rows(cell, mode, given.rounds)]
    write_frame(pd.DataFrame(steps), RESULTS / "tables/steps.parquet")
    write_frame(pd.DataFrame(large.rows(large.CONTEXT_LENGTHS, given.rounds)), RESULTS / "tables/large.parquet")
    print(report.write(RESULTS, given.to))


main()
