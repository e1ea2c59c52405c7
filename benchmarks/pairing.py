"""Checks the intervals of ratios of critical sizes by simulation with known truth, as ``python benchmarks/pairing.py``.

Prints a table of coverage and width. A base and a variant have logistic curves in ln n on the grid of
config/sensitivity.yaml; seeds succeed in both together by a Gaussian copula. Beside the paired intervals stand those
of the same sizes taken as independent. Pairs with a censored size have no ratio and are left out; open ends count as
covering and as infinitely wide.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from pipeline.statistics.critical_sample_size import critical_sample_sizes
from pipeline.statistics.sensitivity import sensitivity
from pipeline.statistics.success_rates import success_rates

GRID = np.array([20, 30, 45, 70, 110])
BASE_SIZE, BASE_SLOPE = 40, 3.5
SHARE, CONFIDENCE, BOOTSTRAP, PAIRS = 0.5, 0.95, 400, 1500
VARIANTS = [(1, 3.5), (1.05, 3.5), (1.3, 3.5), (1.6, 2.2), (2.4, 2.2)]  # ratio of the sizes, slope in logits per ln n
CORRELATIONS = (0, 0.4, 0.85, 0.95, 1)  # of the successes of a seed, at an n where both rates are a half
SEEDS = (24, 8)
SETTINGS = {"variant": {"factor": "setting", "value": "1", "base_value": "0"}}


class Result(NamedTuple):
    """Coverage in % and the median width in ln n of the intervals, paired and of independent sizes."""

    covered: float
    width: float
    covered_independent: float
    width_independent: float


def runs(correlation: float, ratio: float, slope: float, seeds: int, pairs: int) -> pd.DataFrame:
    """Runs of as many bases and variants; each pair has a T of its own."""
    shared = np.sin(np.pi / 2 * correlation)  # of the latent normal variables
    draws = np.random.default_rng(0).standard_normal((3, pairs, len(GRID), seeds))
    latent = np.sqrt(shared) * draws[0] + np.sqrt(1 - shared) * draws[1:]
    sizes, slopes = np.array([[BASE_SIZE], [BASE_SIZE * ratio]]), np.array([[BASE_SLOPE], [slope]])
    success = latent < norm.ppf(expit(slopes * np.log(GRID / sizes)))[:, None, :, None]
    levels = ["base", "variant"], range(pairs), GRID, range(seeds)
    index = pd.MultiIndex.from_product(levels, names=["experiment", "T", "n", "seed"])
    table = pd.DataFrame({"success": success.ravel()}, index).reset_index()
    return table.assign(function="and", model="transformer", k=3)


def simulate(correlation: float, ratio: float, slope: float, seeds: int, pairs: int = PAIRS) -> Result:
    """What the intervals of one condition do."""
    paired = runs(correlation, ratio, slope, seeds, pairs)
    critical = critical_sample_sizes(success_rates(paired, CONFIDENCE), SHARE, CONFIDENCE, BOOTSTRAP)
    unpaired = paired.assign(seed=paired["seed"] + seeds * (paired["experiment"] == "variant"))
    found = []
    for table in (paired, unpaired):
        rows = sensitivity(critical, table, "base", SETTINGS, SHARE).dropna(subset="ratio")
        low, high = np.log(rows["ratio_low"]).fillna(-np.inf), np.log(rows["ratio_high"]).fillna(np.inf)
        found += [100 * ((low <= np.log(ratio)) & (np.log(ratio) <= high)).mean(), (high - low).median()]
    return Result(*found)


def main() -> None:
    """Prints the table, a line for each condition."""
    print("| seeds | ratio, slope | correlation | coverage, width | as independent |", "|---" * 5 + "|", sep="\n")
    for seeds in SEEDS:
        for ratio, slope in VARIANTS:
            for correlation in CORRELATIONS:
                one = simulate(correlation, ratio, slope, seeds)
                print(
                    f"| {seeds} | {ratio}, {slope} | {correlation} | {one.covered:.1f}, {one.width:.2f}"
                    f" | {one.covered_independent:.1f}, {one.width_independent:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
