"""Chooses the sample sizes of one adaptive round of a curve, and the seeds of their runs.

Each size gets the seeds that follow those of the earlier runs at this size, so no run is done twice.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.jobs import arguments
from pipeline.statistics.adaptive_design import choose_sizes
from pipeline.statistics.critical_sample_size import Curve
from pipeline.storage import read_table, write_table

log = logging.getLogger(__name__)


def design_round(spec: dict, grid: list[Path], rounds: list[Path], output: Path) -> None:
    """Writes a row for each size, ascending: ``n`` and ``seeds``, such as ``"0-9"``.

    Args:
        spec: ``curve`` (its address), ``grid`` (pairs of n and number of runs), ``sizes`` and ``seeds`` of a round, the
            ``bounds`` of n and the ``share`` of successes that defines the critical size.
        grid: the result files of the grid; runs with further seeds, of other experiments, do not count.
        rounds: those of earlier rounds.
        output: the file.
    """
    asked = dict(spec["grid"])
    runs = [(n, success) for n, seed, success in _runs(grid) if seed < asked[n]]
    runs += [(n, success) for n, _, success in _runs(rounds)]
    trials, successes = Counter(n for n, _ in runs), Counter(n for n, success in runs if success)
    sizes = sorted(trials)
    counts = (np.array([counter[n] for n in sizes]) for counter in (successes, trials))
    curve = Curve(spec["curve"], np.array(sizes), *counts, spec["share"])
    chosen = choose_sizes(curve, spec["sizes"], *spec["bounds"])
    seeds = [f"{trials[n]}-{trials[n] + spec['seeds'] - 1}" for n in chosen]
    write_table(pa.table({"n": pa.array(chosen, pa.int32()), "seeds": seeds}), output)
    place = f"the critical size is {curve.size:.1f}" if curve.side == "" else f"it lies {curve.side} the sizes so far"
    log.info("%s: by %d runs %s; next n = %s", spec["curve"], len(runs), place, ", ".join(map(str, chosen)))


def _runs(files: list[Path]) -> Iterator[tuple[int, int, bool]]:
    """n, seed and success of every run."""
    for path in files:
        columns = read_table(path, ["n", "seed", "success"]).to_pydict()
        yield from zip(*(columns[name] for name in ("n", "seed", "success")), strict=True)


if __name__ == "__main__":
    files = {"type": Path, "nargs": "*"}
    given = arguments.parse(__doc__, "output", grid=files, rounds=files)
    design_round(given.spec, given.grid, given.rounds, given.output)
