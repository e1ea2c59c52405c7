"""The capacity bounds at the norms of constructed and of trained heads, and beside them the number of parameters."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.engine.models import build_model
from pipeline.theory.capacity import (
    OFFSET,
    counting_bound,
    counting_entropy,
    head_entropy,
    norm_bound,
    remembered_entropy,
    samples_for,
    side_by_side,
)
from pipeline.theory.names import CONSTRUCTED, COUNTING, FORMULA, NORMS, PROMISED, REMEMBERED, TRAINED


def capacity(constructed: pd.DataFrame, trained: pd.DataFrame, model: Mapping[str, Any]) -> pd.DataFrame:
    """One row a bound and a head (or a trained run's heads).

    Columns: ``bound``; ``source``; ``T, n, seed``; ``root_entropy``, the root of ln N(1) / n, which must be well below
    1 for the bound to say anything; ``gap``, what it promises at n samples (nothing, above 1); ``samples``, how many it
    takes to promise a gap of 0.5; ``observed_gap``, of trained runs, the holdout's error less the training samples'.

    Args:
        constructed: rows of the table representation, one a construction, of several T.
        trained: the table head_norms; its runs have one n. Those that err on a training sample have no margin
            and get no bound.
        model: the trained model's entry in the config, whose parameters are counted at each T.
    """
    n = int(trained["n"].iloc[0])
    constructed = constructed.assign(n=n, train_error=math.nan, holdout_error=math.nan, source=CONSTRUCTED, outputs=1)
    trained = trained.assign(source=TRAINED, outputs=model["width"] // model["heads"])
    heads = pd.concat([constructed[constructed["feasible"]], trained[trained["margin"] > 0]], ignore_index=True)
    rows = [row for _, own in heads.groupby(["source", "T", "seed"]) for row in _norm_rows(own)]
    for T in sorted({*constructed["T"], *trained["T"]}):
        parameters = sum(math.prod(shape) for shape in build_model(dict(model), T).shapes.values())
        rows.append(_counting_row(T, n, parameters))
    return pd.DataFrame(rows)


def _norm_rows(heads: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Both norm bounds of one network, from the rows of its heads."""
    of_run = heads.iloc[0]
    T, n, factor = int(of_run["T"]), int(of_run["n"]), (of_run["slope"] / of_run["margin"]) ** 2

    def ours(m: float) -> float:
        norms = zip(heads["v_frobenius"], heads["v_spectral"], heads["query"], heads["outputs"], strict=True)
        return factor * side_by_side([head_entropy(v, s, r, m, T, e) for v, s, r, e in norms])

    def remembered(m: float) -> float:
        norms = zip(heads["v_21"], heads["v_spectral"], heads["qk_21"], strict=True)
        return factor * side_by_side([remembered_entropy(*one, m, T) for one in norms])

    for bound, entropy, offset in ((NORMS, ours, 2 * len(heads) * OFFSET), (REMEMBERED, remembered, 0.0)):
        promised = _promise(entropy, offset)
        yield {
            "bound": bound,
            "source": of_run["source"],
            **{name: int(of_run[name]) for name in ("T", "n", "seed")},
            "root_entropy": math.sqrt((offset + entropy(n)) / n),
            "gap": promised(n),
            "samples": samples_for(promised, PROMISED),
            "observed_gap": of_run["holdout_error"] - of_run["train_error"],
        }


def _promise(entropy: Callable[[float], float], offset: float) -> Callable[[float], float]:
    return lambda m: norm_bound(entropy(m), offset, m)


def _counting_row(T: int, n: int, parameters: int) -> dict[str, Any]:
    return {
        "bound": COUNTING,
        "source": FORMULA,
        "T": T,
        "n": n,
        "seed": 0,
        "root_entropy": math.sqrt(counting_entropy(parameters) / n),
        "gap": counting_bound(parameters, n),
        "samples": samples_for(lambda m: counting_bound(parameters, m), PROMISED),
        "observed_gap": math.nan,
    }
