"""Compares the runs of two machines: of the same cells and seeds, does either succeed more often?

``python benchmarks/agreement.py docs/results/paper/runs.parquet docs/results/gpu/runs.parquet`` prints a row a context
length, and McNemar's test over all runs: data and initialisation are equal, so runs are compared in pairs, and of those
whose outcome differs either machine should have as many.
"""

import argparse
from pathlib import Path

import pandas as pd
from scipy import stats

from pipeline.storage import read_frame

RUN = ["experiment", "T", "n", "seed"]


def pairs(first: Path, second: Path) -> pd.DataFrame:
    """The runs that both have, a row each, with the outcomes of the two.

    Raises:
        SystemExit: they have none in common.
    """
    one, other = (read_frame(path)[[*RUN, "success", "success_step"]] for path in (first, second))
    found = one.merge(other, on=RUN, suffixes=("_first", "_second"))
    if found.empty:
        raise SystemExit(f"{first} and {second} have no run in common")
    return found


def table(found: pd.DataFrame) -> pd.DataFrame:
    """By context length: runs, and how many succeeded in the first, in the second, and in one of them alone."""
    first, second = found["success_first"], found["success_second"]
    counted = found.assign(only_first=first & ~second, only_second=second & ~first, runs=1)
    return counted.groupby("T")[["runs", "success_first", "success_second", "only_first", "only_second"]].sum()


def p_value(found: pd.DataFrame) -> float:
    """Of McNemar's exact test that either succeeds as often; 1 if no outcome differs."""
    lost, gained = table(found)[["only_first", "only_second"]].sum()
    return float(stats.binomtest(int(gained), int(gained + lost)).pvalue) if gained + lost else 1.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    given = parser.parse_args()
    found = pairs(given.first, given.second)
    counts = table(found)
    counts.loc["all"] = counts.sum()
    both = found[found["success_first"] & found["success_second"]]
    same = (both["success_step_first"] == both["success_step_second"]).mean()
    print(counts.to_string())
    print(
        f"McNemar's test: p = {p_value(found):.2g}; of the runs that both learned, {same:.0%} did so at the same step"
    )


if __name__ == "__main__":
    main()
