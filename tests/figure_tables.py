"""Made tables, as the figures read them."""

from pathlib import Path

import numpy as np
import pandas as pd

KEY = {"experiment": "main", "function": "and", "model": "transformer", "k": 3}
PAPER_CSV = Path(__file__).parents[1] / "config" / "reference" / "paper_critical_sample_size.csv"


def critical_table(**changes) -> pd.DataFrame:
    """Four context lengths: one below its grid, two within, one above."""
    columns = {
        "T": [100, 200, 400, 800],
        "n_critical": [np.nan, 50.0, 65.0, np.nan],
        "ci_low": [np.nan, 46.0, 61.0, np.nan],
        "ci_high": [np.nan, 54.0, 69.0, np.nan],
        "n_grid": [20.0, 60.0, 80.0, np.nan],
        "censored": [True, False, False, True],
        "censored_side": ["below", "", "", "above"],
    }
    return pd.DataFrame(columns).assign(**(KEY | changes))


def rates_table(**changes) -> pd.DataFrame:
    cells = [(T, n) for T in (100, 200, 400, 800) for n in (20, 40, 60, 80)]
    rates = pd.DataFrame(cells, columns=["T", "n"]).assign(trials=10, successes=4, rate=0.4, ci_low=0.2, ci_high=0.7)
    return rates.assign(**(KEY | changes))


def runs_table(**changes) -> pd.DataFrame:
    """The runs of the rates: seeds 1, 4 and 7 to 9 fail, and one more where n is small."""
    cells = [(T, n, seed) for T in (100, 200, 400, 800) for n in (20, 40, 60, 80) for seed in range(10)]
    runs = pd.DataFrame(cells, columns=["T", "n", "seed"])
    failed = runs["seed"].isin([1, 4, 7, 8, 9]) | ((runs["seed"] == 5) & (runs["n"] == 20))
    return runs.assign(success=~failed & (runs["T"] > 100) | (runs["T"] == 800), **(KEY | changes))


def fits_table(**changes) -> pd.DataFrame:
    law = {"law": "log", "a": 22.0, "a_low": 20.0, "a_high": 24.0, "b": -60.0, "b_low": -70.0, "b_high": -50.0}
    return pd.DataFrame([KEY | law | {"r_squared": 0.97, "points": 3} | changes])


def curves_table(sizes=(20, 40, 60), runs=3, **changes) -> pd.DataFrame:
    """Runs whose loss falls to 0; those of seed 0 stop after step 20 at an accuracy of 1."""
    rows = [
        {"n": n, "seed": seed, "step": step, "train_loss": loss, "holdout_accuracy": 1.0 if seed == 0 else 0.6}
        for n in sizes
        for seed in range(runs)
        for step, loss in ((10, 0.7), (20, 0.1), (30, 0.0))
        if seed > 0 or step <= 20
    ]
    return pd.DataFrame(rows).assign(T=200, **(KEY | changes))


def paper_table() -> pd.DataFrame:
    return pd.read_csv(PAPER_CSV)
