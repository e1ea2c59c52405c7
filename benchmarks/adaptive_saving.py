"""Compares the kept run of the adaptive design with the paper's full grid: intervals, runs, and runs at equal width.

``python benchmarks/adaptive_saving.py`` prints a table. Widths are of ln n and scale as one over the square root of the
runs, so the full grid would need its runs times the squared ratio of the widths to have the adaptive design's.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.storage import read_frame

FULL, ADAPTIVE = Path("docs/results/paper"), Path("docs/results/adaptive")
COLUMNS = ["T", *(f"{design}: {what}" for design in ("full grid", "adaptive") for what in ("runs", "size", "width"))]
COLUMNS += ["runs of a full grid at the adaptive width", "times the adaptive"]
RUN = ["k", "T", "n", "seed"]


def rows(full: pd.DataFrame, adaptive: pd.DataFrame) -> Iterator[str]:
    """A line of the table for each T of the adaptive design; both tables are indexed by T and have ``runs``."""
    for T, one in adaptive.iterrows():
        grid = full.loc[T]
        widths = [np.log(sizes["ci_high"] / sizes["ci_low"]) for sizes in (grid, one)]
        needed = grid["runs"] * (widths[0] / widths[1]) ** 2
        sizes = [f"{it['n_critical']:.1f} [{it['ci_low']:.1f}, {it['ci_high']:.1f}]" for it in (grid, one)]
        cells = [T, grid["runs"], sizes[0], f"{widths[0]:.3f}", one["runs"], sizes[1], f"{widths[1]:.3f}"]
        yield f"| {' | '.join(map(str, cells))} | {needed:.0f} | {needed / one['runs']:.2g} |"


def sizes_with_runs(folder: Path, experiment: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The critical sizes of an experiment by T, with their numbers of runs, and the runs."""
    sizes, runs = (read_frame(folder / f"{name}.parquet") for name in ("critical_sample_size", "runs"))
    sizes, runs = (table[table["experiment"] == experiment] for table in (sizes, runs))
    return sizes.set_index("T").assign(runs=runs.groupby("T").size()), runs


def main() -> None:
    """Prints the table, and how many runs that both have end the same."""
    (full, grid_runs), (adaptive, runs) = (
        sizes_with_runs(FULL, "and3"),
        sizes_with_runs(ADAPTIVE, "and3_adaptive"),
    )
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n")
    print(*rows(full, adaptive), sep="\n")
    both = runs.merge(grid_runs, on=RUN, suffixes=("", "_grid"))
    same = (both["success"] == both["success_grid"]) & (both["steps"] == both["steps_grid"])
    print(f"{same.sum()} of the {len(both)} runs that both have end the same, at the same step.")


if __name__ == "__main__":
    main()
