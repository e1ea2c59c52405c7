"""How the tables' norms and bounds grow: fitted laws, by least squares, for the claims and the docs."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pipeline.theory.names import CONSTRUCTED, COUNTING, FORMULA, NORMS


class Law(NamedTuple):
    """A fitted straight line.

    Attributes:
        slope: of the line.
        error: its standard error, of least squares.
        intercept: its value at 0.
        r_squared: the share of the variance that it explains.
        points: how many it is fitted to.
    """

    slope: float
    error: float
    intercept: float
    r_squared: float
    points: int


def line(x: ArrayLike, y: ArrayLike) -> Law:
    """The least-squares line through points of at least two different x."""
    from scipy.stats import linregress  # here, since each process of the workflow imports this module and few come here

    found = linregress(x, y)
    return Law(found.slope, found.stderr, found.intercept, found.rvalue**2, len(x))


def query_key_in_power_of_log_T(constructed: pd.DataFrame) -> Law:
    """‖W_QK‖_F of an AND as a power of ln T over the sweep ``length`` of the table representation: the exponent.

    In the geometric mean of each T: constructions of one T share their position vectors and are no independent points.
    """
    norms = np.log(_existing(constructed, "length", "and").set_index("T")["qk_frobenius"]).groupby("T").mean()
    return line(np.log(np.log(norms.index)), norms)


def readout_in_k(constructed: pd.DataFrame, function: str) -> dict[str, Law]:
    """Two laws of the readout's norm over the k >= 2 of the sweep ``sparsity``, fitted to its logarithm.

    Of a random function those draws are left out that happen to be symmetric.

    Returns:
        ``power``: slope is the exponent of k. ``exponential``: slope is the number of doublings for each bit.
    """
    own = _existing(constructed, "sparsity", function).query("k >= 2")
    own = own[own["symmetric"].astype(bool) == own["symmetric"].all()]
    norms = np.log2(own["readout_frobenius"])
    return {"power": line(np.log2(own["k"]), norms), "exponential": line(own["k"].astype(float), norms)}


def samples_in_T(bounds: pd.DataFrame) -> dict[str, Law]:
    """Powers of T in the samples that the bounds ask for, from the table capacity: the slopes are the exponents.

    Returns:
        ``norms``: at the norms of constructed heads; ``parameters``: by their number.
    """
    by_bound = bounds.set_index(["bound", "source"]).sort_index()
    rows = {
        name: by_bound.loc[key] for name, key in (("norms", (NORMS, CONSTRUCTED)), ("parameters", (COUNTING, FORMULA)))
    }
    return {name: line(np.log(own["T"]), np.log(own["samples"])) for name, own in rows.items()}


def _existing(constructed: pd.DataFrame, sweep: str, function: str) -> pd.DataFrame:
    chosen = (constructed["sweep"] == sweep) & (constructed["function"] == function) & constructed["feasible"]
    return constructed[chosen]
