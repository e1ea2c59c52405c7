"""Time of the engine's training step per run against the number of stacked runs, relative to the best number.

What pipeline.engine.stacking rests on. The sizes take turns; medians are printed.
"""

import argparse
from functools import partial

import pandas as pd

from engine import engine_step
from workers import Mode, measure

CELLS = [(100, 50), (300, 80), (500, 80), (1100, 110)]
SIZES = (1, 2, 4, 8, 16, 32, 50)


def main() -> None:
    """Prints a table: a row a cell, a column a stack size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rows = {}
    for context_length, n in CELLS:
        makers = {runs: partial(engine_step, context_length, n, runs) for runs in SIZES}
        measured = measure(makers, Mode(processes=1, threads=1), given.rounds)
        times = {runs: measured[runs].seconds / runs for runs in SIZES}
        rows[f"T = {context_length}, n = {n}"] = {runs: times[runs] / min(times.values()) for runs in SIZES}
    print(pd.DataFrame(rows).T.to_string(float_format="%.2f"))


if __name__ == "__main__":
    main()
