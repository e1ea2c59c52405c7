"""Checks the interval of the exponent c of n = a·T^c + b by simulation, as ``python benchmarks/exponent.py``.

Prints a line for each true law, largest T and correlation of a cell's runs: coverage, the median ends, how often an end
is open, and how often the interval leaves out the logarithm, c = 0, and the linear law, 1. Tables are those of
``simulate.py``.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

import simulate
from pipeline.statistics.law_evidence import gather

BOOTSTRAP = 39  # of the comparison of laws, which is not looked at, and of the test for overdispersion
CONDITIONS = [  # law, largest T, correlation
    *[("log", 1100, 0.0), ("power", 1100, 0.0), ("linear", 1100, 0.0)],
    *[("log", 1100, simulate.CORRELATION), ("log", 10_000, 0.0), ("power", 10_000, 0.0)],
]
COLUMNS = "truth, largest T, correlation, c, covered, median ends, open, without 0, without 1"


def found(condition: simulate.Condition, repetition: int) -> tuple[float, float, float]:
    """The exponent and its ends, of one simulated table."""
    counts = simulate.table(condition, repetition)
    address = {"repetition": repetition}
    return gather(counts, simulate.SHARE, simulate.CONFIDENCE, BOOTSTRAP, address).exponent[:3]


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
    of = [condition.truth, condition.last, condition.correlation, f"{true:.2f}"]
    return "| " + " | ".join(map(str, [*of, shares, middle, is_open, *(f"{x:.1%}" for x in without)])) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser("python benchmarks/exponent.py", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    print("| " + COLUMNS.replace(", ", " | ") + " |", "|---" * 9 + "|", sep="\n", flush=True)
    with ProcessPoolExecutor(given.processes) as pool:
        for truth, last, correlation in CONDITIONS:
            condition = simulate.Condition("exponent", truth, last, correlation=correlation, bootstrap=BOOTSTRAP)
            ends = list(pool.map(partial(found, condition), range(given.repetitions)))
            print(line(condition, np.array(ends)[:, 1:]), flush=True)


if __name__ == "__main__":
    main()
