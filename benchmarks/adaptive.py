"""Runs that an adaptive design saves, by simulation: its intervals beside those of the paper's full grid.

``python benchmarks/adaptive.py`` writes tables and a figure to docs/results/adaptive/simulation.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit

import adaptive_report
from adaptive_report import ADAPTIVE, ANEW, FULL_GRID
from pipeline.statistics.adaptive_design import choose_sizes
from pipeline.statistics.critical_sample_size import CURVE, Curve, critical_sample_sizes
from pipeline.storage import read_frame, write_frame

RATES = Path("docs/results/paper/success_rates.parquet")
RESULTS = Path("results/adaptive_simulation")
FULL = {n: 50 for n in range(20, 201, 10)}  # the grid of config.yaml
COARSE, SIZES, SEEDS = {n: 5 for n in (20, 40, 80, 160)}, 3, 10  # the design of config/adaptive.yaml
ROUNDS = (2, 4, 7, 10, 14)  # after which the intervals are looked at
SHARE, CONFIDENCE, BOOTSTRAP = 0.5, 0.95, 200

Counts = dict[int, tuple[int, int]]  # successes and trials of each n


@dataclass(frozen=True)
class Truth:
    """A logistic curve in ln n that levels off: rate = plateau · expit(slope · ln(n / middle))."""

    name: str
    middle: float
    slope: float
    plateau: float

    def rate(self, n: np.ndarray) -> np.ndarray:
        """The success rate."""
        return self.plateau * expit(self.slope * np.log(np.asarray(n) / self.middle))

    @property
    def size(self) -> float:
        """The n at which half of the runs succeed."""
        return self.middle * np.exp(logit(SHARE / self.plateau) / self.slope)


def main() -> None:
    """Runs the simulation and writes its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=150)
    parser.add_argument("--to", type=Path, default=Path("docs/results/adaptive/simulation"))
    given = parser.parse_args()
    rates = read_frame(RATES).query("experiment == 'and3'")
    truths = [fitted(T, rates[rates["T"] == T]) for T in (100, 300, 1100)] + [Truth("Steep", 60.0, 10.0, 1.0)]
    with ProcessPoolExecutor() as pool:
        rows = chain.from_iterable(pool.map(simulated, truths, repeat(given.repetitions)))
    write_frame(pd.DataFrame(rows), RESULTS / "tables/simulation.parquet")
    print(adaptive_report.write(RESULTS, given.to))


def fitted(T: int, cells: pd.DataFrame) -> Truth:
    """The curve of greatest likelihood for the measured success rates of one T."""
    n, successes, trials = (cells[column].to_numpy() for column in ("n", "successes", "trials"))

    def loss(values: np.ndarray) -> float:
        rate = Truth("", np.exp(values[0]), values[1], expit(values[2])).rate(n)
        return -(successes * np.log(rate) + (trials - successes) * np.log1p(-rate)).sum()

    best = minimize(loss, [np.log(50), 4, 2], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    return Truth(f"Like T = {T}", np.exp(best.x[0]), best.x[1], expit(best.x[2]))


def simulated(truth: Truth, repetitions: int) -> list[dict]:
    """The rows of one curve: the adaptive design after some rounds, the same runs drawn anew, and the full grid.

    In the runs drawn anew the sizes are fixed beforehand; what their intervals do better is what the sequential choice
    costs.
    """
    generator = np.random.default_rng(0)
    stages: dict[int, list[Counts]] = {rounds: [] for rounds in ROUNDS}
    for _ in range(repetitions):
        counts = drawn(truth, COARSE, generator)
        for rounds in range(1, max(ROUNDS) + 1):
            chosen = choose_sizes(curve(counts), SIZES, min(COARSE), max(COARSE))
            counts = merged(counts, drawn(truth, dict.fromkeys(chosen, SEEDS), generator))
            if rounds in stages:
                stages[rounds].append(counts)
    rows = []
    for rounds, tables in stages.items():
        again = [drawn(truth, {n: trials for n, (_, trials) in one.items()}, generator) for one in tables]
        rows += [judged(truth, ADAPTIVE, rounds, tables), judged(truth, ANEW, rounds, again)]
    full = [drawn(truth, FULL, generator) for _ in range(repetitions)]
    return [*rows, judged(truth, FULL_GRID, 0, full)]


def drawn(truth: Truth, trials: dict[int, int], generator: np.random.Generator) -> Counts:
    """Successes of so many runs at each n."""
    return {n: (int(generator.binomial(count, truth.rate(n))), count) for n, count in trials.items()}


def merged(one: Counts, other: Counts) -> Counts:
    """The counts of both."""
    zero = (0, 0)
    return {n: tuple(np.add(one.get(n, zero), other.get(n, zero)).tolist()) for n in one | other}


def curve(counts: Counts) -> Curve:
    """The counts as the design takes them."""
    sizes = sorted(counts)
    successes, trials = np.array([counts[n] for n in sizes]).T
    return Curve({}, np.array(sizes), successes, trials, SHARE)


def judged(truth: Truth, design: str, rounds: int, tables: list[Counts]) -> dict:
    """How the intervals of all repetitions do: a row of the table."""
    cells = [
        ("simulated", truth.name, design, 0, repetition, n, *counts)
        for repetition, table in enumerate(tables)
        for n, counts in table.items()
    ]
    sizes = critical_sample_sizes(
        pd.DataFrame(cells, columns=[*CURVE, "n", "successes", "trials"]), SHARE, CONFIDENCE, BOOTSTRAP
    )
    open_ended = sizes[["ci_low", "ci_high"]].isna().any(axis=1)
    known, errors = sizes[~open_ended], np.log(sizes["n_critical"] / truth.size)
    covered = (known["ci_low"] <= truth.size) & (truth.size <= known["ci_high"])
    return {
        "curve": truth.name,
        "critical_size": truth.size,
        "slope": truth.slope,
        "plateau": truth.plateau,
        "design": design,
        "rounds": rounds,
        "runs": sum(trials for _, trials in tables[0].values()),
        "width": np.log(known["ci_high"] / known["ci_low"]).mean(),
        "coverage": covered.mean(),
        "bias": errors.mean(),
        "error": np.sqrt((errors**2).mean()),
        "open_ended": open_ended.mean(),
        "repetitions": len(tables),
    }


if __name__ == "__main__":
    main()
