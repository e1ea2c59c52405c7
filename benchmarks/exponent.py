"""Checks the interval of the exponent c of n = a·T^c + b by simulation, as ``python benchmarks/exponent.py``.

Prints a line for each true law and largest T: coverage, the median ends, how often an end is open, and how often the
interval leaves out that of the logarithm, 0, and that of the linear law, 1. Tables are those of ``simulate.py``.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np

import simulate
from pipeline.statistics.law_evidence import gather

BOOTSTRAP = 39  # of the comparison of laws, which is not looked at, and of the test for overdispersion
COLUMNS = "truth, largest T, c, covered, median ends, open, without 0, without 1"


def found(condition: simulate.Condition, repetition: int) -> tuple[float, float, float]:
    """The exponent and its ends, of one simulated table."""
    counts = simulate.table(condition, repetition)
    address = {"repetition": repetition}
    return gather(counts, simulate.SHARE, simulate.CONFIDENCE, BOOTSTRAP, address).exponent


def true_exponent(condition: simulate.Condition) -> float:
    """That of the true law."""
    model, parameters, _, _ = simulate.truth(condition)
    of_law = model.split(parameters)[0]
    return {"log": 0.0, "linear": 1.0, "power": model.law.coefficients(of_law)[1].item()}[condition.truth]


def line(condition: simulate.Condition, ends: np.ndarray) -> str:
    """A row of the table; ends [R, 2]."""
    low, high = np.where(np.isnan(ends), [-np.inf, np.inf], ends).T
    true = true_exponent(condition)
    without = [np.mean((high < c) | (low > c)) for c in (0, 1)]
    shares = f"{1 - np.mean((high < true) | (low > true)):.1%}"
    middle = f"{np.median(low):.2f} to {np.median(high):.2f}"
    is_open = f"{np.isnan(ends).any(axis=1).mean():.1%}"
    cells = [condition.truth, condition.last, f"{true:.2f}", shares, middle, is_open, *(f"{x:.1%}" for x in without)]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser("python benchmarks/exponent.py", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    print("| " + COLUMNS.replace(", ", " | ") + " |", "|---" * 8 + "|", sep="\n", flush=True)
    with ProcessPoolExecutor(given.processes) as pool:
        for truth, last in product(("log", "power", "linear"), (1100, 10_000)):
            condition = simulate.Condition("exponent", truth, last, bootstrap=BOOTSTRAP)
            ends = list(pool.map(partial(found, condition), range(given.repetitions)))
            print(line(condition, np.array(ends)[:, 1:]), flush=True)


if __name__ == "__main__":
    main()
