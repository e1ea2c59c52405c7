"""The tables of laws: fits, verdicts, sizes of single T under the joint model, and curves with bands for the figure."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.families import FAMILY
from pipeline.statistics.joint_model import Counts
from pipeline.statistics.law_evidence import Evidence, Fitted, FittedLaw, bracketed, gather, percentiles
from pipeline.statistics.law_verdict import UNDECIDED, relative_likelihood, verdict
from pipeline.statistics.laws import LAWS, SMALLEST
from pipeline.statistics.profile_likelihood import interval

COEFFICIENTS = ["a", "a_low", "a_high", "b", "b_low", "b_high"]
BOOTSTRAP = [f"{name}_{kind}_{end}" for kind in ("parametric", "case") for name in "ab" for end in ("low", "high")]
CRITERIA = [
    "log_likelihood",
    "parameters",
    "aic",
    "bic",
    "aic_weight",
    "held_out_log_likelihood",
    "dispersion",
    "p_free",
    "p_bootstrap",
]
FITS = [*FAMILY, "law", *COEFFICIENTS, *BOOTSTRAP, *CRITERIA, "contexts", "runs"]
JUDGED = ["verdict", "reason", "best_aic", "best_bic", "best_held_out", "log_vs_power", "p_log", "p_power"]
CHECKED = ["asymptote", "asymptote_T_max", "steepness_varies", "overdispersion", "p_overdispersion"]
EXPONENT = ["c", "c_low", "c_high", "c_p_free"]
MEAN = ["n_mean", "n_mean_low", "n_mean_high"]
VERDICTS = [*FAMILY, *JUDGED, *CHECKED, *EXPONENT, *MEAN, "contexts", "bracketed", "T_min", "T_max", "runs"]
SIZES = [*FAMILY, "T", "n", "n_low", "n_high", "asymptote", "bracketed"]
CURVES = [*FAMILY, "law", "T", "n", "n_low", "n_high"]
MIN_CONTEXTS = 4
REACH, POINTS = 10, 60  # the curves go on to ten times the largest T


class Tables(NamedTuple):
    """The four tables, one row a law of a family, a family, a T of a family, and a point of a law's curve."""

    fits: pd.DataFrame
    verdicts: pd.DataFrame
    sizes: pd.DataFrame
    curves: pd.DataFrame


def law_tables(rates: pd.DataFrame, share: float, confidence: float, bootstrap: int) -> Tables:
    """Fits and compares the laws of every family.

    Fewer than four T whose observed rates lie on both sides of the share leave a family's fits null and its verdict
    undecided, and it has neither sizes nor curves.

    Args:
        rates: the table of ``success_rates``; ``FAMILY``, T, n, trials and successes are used. The n may differ between
            the T, and the trials between the cells.
        share: the success rate that defines the critical size, in (0, 1).
        confidence: nominal coverage of the intervals, and one minus the level of tests, in (0, 1).
        bootstrap: number of replicates of each kind.

    Raises:
        ValueError: share is not in (0, 1).
        RuntimeError: a fit did not converge.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1), not {share}")
    gathered: dict[str, list[dict]] = {name: [] for name in Tables._fields}
    for key, cells in rates.sort_values(["T", "n"]).groupby(FAMILY):
        address = dict(zip(FAMILY, key, strict=True))
        counts = Counts(*(cells[column].to_numpy() for column in ("T", "n", "trials", "successes")))
        common = address | {"contexts": len(counts.lengths), "runs": int(counts.trials.sum())}
        several = int(bracketed(counts, share).sum())
        range_of_T = {"bracketed": several, "T_min": counts.lengths[0], "T_max": counts.lengths[-1]}
        if several < MIN_CONTEXTS:
            gathered["fits"] += [common | {"law": law} for law in LAWS]
            gathered["verdicts"].append(common | range_of_T | _too_few(several))
            continue
        evidence = gather(counts, share, confidence, bootstrap, address)
        gathered["fits"] += [common | row for row in _fits(evidence, confidence)]
        gathered["verdicts"].append(common | range_of_T | _verdict(evidence, confidence))
        gathered["sizes"] += [address | row for row in _sizes(evidence, share)]
        gathered["curves"] += [address | row for row in _curves(evidence)]
    return Tables(
        *(
            _frame(gathered[name], columns)
            for name, columns in zip(Tables._fields, (FITS, VERDICTS, SIZES, CURVES), strict=True)
        )
    )


def coefficients(fitted: FittedLaw, counts: Counts, confidence: float) -> dict[str, float]:
    """A law's a and b with their intervals by profile likelihood, parametric and case bootstrap."""
    law = fitted.model.law
    ends = np.stack(interval(fitted.candidates, counts, law.coefficient_weights()), axis=1)
    if law.name == "power":
        ends[0] = np.exp(ends[0])
    (a,), (b,) = _of(fitted, fitted.parameters)
    drawn = [
        percentiles(x, confidence) for replicates in (fitted.parametric, fitted.case) for x in _of(fitted, replicates)
    ]
    return dict(zip([*COEFFICIENTS, *BOOTSTRAP], [a, *ends[0], b, *ends[1], *np.ravel(drawn)], strict=True))


def _of(fitted: Fitted, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fitted.model.law.coefficients(fitted.model.split(parameters)[0])


def sizes(fitted: Fitted, counts: Counts, T: np.ndarray) -> np.ndarray:
    """The critical sizes at T [G] with their profile-likelihood intervals, [3, G]."""
    law = fitted.model.law
    n = np.exp(law.ln_n(fitted.model.split(fitted.parameters)[0], T)[0])
    ends = np.stack(interval(fitted.candidates, counts, law.weights(T)))
    return np.concatenate([n, np.exp(ends) if law.in_logarithms else np.maximum(ends, SMALLEST)])


def mean_size(free: Fitted, counts: Counts) -> np.ndarray:
    """The geometric mean of free critical sizes over the context lengths, with its profile-likelihood interval, [3].

    The sizes share the asymptote and the steepness, so they are correlated and their own intervals do not give the
    mean's. Its logarithm is a weighted sum of the parameters, of which the likelihood knows the interval itself.
    """
    law = free.model.law
    weights = law.weights(counts.lengths).mean(axis=0, keepdims=True)
    value = law.values(free.model.split(free.parameters)[0]) @ weights[0]
    return np.exp(np.concatenate([value, *interval(free.candidates, counts, weights)]))


def _fits(evidence: Evidence, confidence: float) -> Iterator[dict]:
    best, weights = evidence.best("aic"), {name: relative_likelihood(evidence, name) for name in evidence.laws}
    for name, fitted in evidence.laws.items():
        values = (
            *(fitted.log_likelihood, fitted.model.size, fitted.aic, fitted.bic, weights[name] / sum(weights.values())),
            *(fitted.held_out, fitted.dispersion, evidence.fits_free[name]),
            evidence.rejects.get((name, best), np.nan),
        )
        yield (
            {"law": name} | coefficients(fitted, evidence.counts, confidence) | dict(zip(CRITERIA, values, strict=True))
        )


def _verdict(evidence: Evidence, confidence: float) -> dict:
    law, reason = verdict(evidence, confidence)
    counts, (best_aic, best_bic, best_held_out) = evidence.counts, map(evidence.best, ("aic", "bic", "held_out"))
    ratio = evidence.laws["log"].log_likelihood - evidence.laws["power"].log_likelihood
    p_log, p_power = evidence.rejects["log", "power"], evidence.rejects["power", "log"]
    best, top = evidence.laws[best_aic], counts.lengths[-1:]
    judged = law, reason, best_aic, best_bic, best_held_out, ratio, p_log, p_power
    asymptote = best.model.asymptote(best.parameters, top)[0, 0]
    shape, dispersion = evidence.shape, evidence.dispersion
    checked = shape.asymptote > 0, asymptote, shape.steepness > 1, dispersion.ratio, dispersion.p
    mean = mean_size(evidence.free, counts)
    columns = [*JUDGED, *CHECKED, *EXPONENT, *MEAN]
    exponent = *evidence.exponent[:3], evidence.exponent_fits_free
    return dict(zip(columns, [*judged, *checked, *exponent, *mean], strict=True))


def _too_few(several: int) -> dict:
    lengths = "context length shows" if several == 1 else "context lengths show"
    reason = f"{several} {lengths} both sides of the threshold, and {MIN_CONTEXTS} are needed"
    return {"verdict": UNDECIDED, "reason": reason}


def _sizes(evidence: Evidence, share: float) -> Iterator[dict]:
    free, counts = evidence.free, evidence.counts
    asymptote = free.model.asymptote(free.parameters, counts.lengths)[0]
    columns = *sizes(free, counts, counts.lengths), asymptote, bracketed(counts, share)
    for row in zip(counts.lengths, *columns, strict=True):
        yield dict(zip(SIZES[len(FAMILY) :], row, strict=True))


def _curves(evidence: Evidence) -> Iterator[dict]:
    lengths = evidence.counts.lengths
    T = np.geomspace(lengths[0], REACH * lengths[-1], POINTS)
    for name, fitted in evidence.laws.items():
        for row in zip(T, *sizes(fitted, evidence.counts, T), strict=True):
            yield {"law": name} | dict(zip(CURVES[-4:], row, strict=True))


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    """A table with these columns, whose types do not depend on which values are missing."""
    texts = {*FAMILY[:-1], "law", "verdict", "reason", "best_aic", "best_bic", "best_held_out"}
    counts = {"k", "T_min", "T_max", "contexts", "runs"}
    kinds = dict.fromkeys(set(columns) - texts - counts, float)
    if columns is VERDICTS:
        kinds |= {"asymptote": "boolean", "steepness_varies": "boolean", "bracketed": int}
    if columns is SIZES:
        kinds |= {"bracketed": bool} | ({"T": int} if rows else {})
    return pd.DataFrame(rows, columns=columns).astype(kinds)
