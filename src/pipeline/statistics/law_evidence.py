"""What the runs of one family say about the law of its critical sample size: fits, intervals, comparisons.

A family is the runs of one (experiment, function, model, k). Its table of cells may have any n at each T and any number
of runs in each cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as fisher_f

from pipeline.randomness import Stream
from pipeline.statistics.joint_model import SHAPES, Counts, Model, Shape
from pipeline.statistics.laws import FREE, LAWS, Law
from pipeline.statistics.maximum_likelihood import Fits, draw, fit, log_likelihood, refit
from pipeline.statistics.offset_power import Exponent, exponent
from pipeline.statistics.profile_likelihood import Candidate

HELD_OUT = 4  # one T in so many is held out, the largest, and at least one
PAIR = {"log": "power", "power": "log"}  # compared in any case


@dataclass(frozen=True)
class Dispersion:
    """Pearson's statistic of a fit over its expectation, and how to draw tables that spread as much."""

    ratio: float
    p: float  # how often binomial tables have a statistic at least as large
    scale: float  # by which log-likelihoods are divided: the ratio where it is significant, otherwise 1
    correlation: float  # of two runs of a cell that gives this scale
    degrees: int  # of freedom, of the fit

    def quantile(self, confidence: float) -> float:
        """What twice a drop in log-likelihood, over the scale, stays below if one quantity is at its true value.

        Of chi squared; where the scale is estimated, of F.
        """
        known = self.scale == 1
        return float(chi2.ppf(confidence, 1) if known else fisher_f.ppf(confidence, 1, self.degrees))

    def p_value(self, gain: float, terms: int) -> float:
        """How often terms that are not needed gain at least so much log-likelihood; likewise of chi squared or of F."""
        ratio = 2 * gain / self.scale
        return float(chi2.sf(ratio, terms) if self.scale == 1 else fisher_f.sf(ratio / terms, terms, self.degrees))


@dataclass(frozen=True)
class Fitted:
    """Sizes fitted to a table, free or those of a law."""

    model: Model
    parameters: np.ndarray  # [1, size]
    log_likelihood: float
    candidates: list[Candidate]  # the same under all shapes that are left open, for intervals


@dataclass(frozen=True)
class FittedLaw(Fitted):
    """A law fitted to a table, with its bootstrap replicates."""

    aic: float
    bic: float
    dispersion: float  # Pearson's statistic over its degrees of freedom
    held_out: float  # log-likelihood of the largest T under the fit to the others
    parametric: np.ndarray  # parameters [B, size] of tables drawn from the fit
    case: np.ndarray  # of tables of resampled runs


@dataclass(frozen=True)
class Evidence:
    """All of it, for one family.

    ``rejects[R, L]`` is the bootstrap p-value of the law R against L: how often tables drawn from R prefer L, by the
    ratio of likelihoods, at least as clearly as the table does. Known for L = the best by AIC, and for log and power.
    """

    counts: Counts
    shape: Shape
    free: Fitted
    laws: dict[str, FittedLaw]
    dispersion: Dispersion
    rejects: dict[tuple[str, str], float]
    fits_free: dict[str, float]  # p-value of each law's deviance from the free sizes
    no_size: np.ndarray  # p-value [number of T] of the share being exceeded nowhere on the grid
    exponent: Exponent  # c of n = a·T^c + b
    exponent_fits_free: float  # p-value of that law's deviance from the free sizes

    def best(self, criterion: str) -> str:
        """The law that is best by ``aic``, ``bic`` (smallest) or ``held_out`` (largest)."""
        sign = -1 if criterion == "held_out" else 1
        return min(self.laws, key=lambda name: sign * getattr(self.laws[name], criterion))


def bracketed(counts: Counts, share: float) -> np.ndarray:
    """Of each context length, whether the observed rates lie on both sides of the share, [number of T]."""
    high = counts.successes >= share * counts.trials
    own = np.equal.outer(counts.lengths, counts.T)
    return (own & high).any(axis=1) & (own & ~high).any(axis=1)


def never_above(counts: Counts, share: float, correlation: float, bootstrap: int, stream: Stream) -> np.ndarray:
    """The p-values of there being no critical size: that at a T the success rate exceeds the share at no n of the grid.

    A single cell that reaches the share is no evidence: of several at the share about half do. So the cells from some n
    on are taken together, from the n that gives the largest excess of successes in standard errors, and this excess is
    compared with that of tables whose cells are all at the share, which have chosen their n likewise. Rates below the
    share would only make the excess smaller.

    Args:
        counts: the table.
        share: the success rate that defines the critical size, in (0, 1).
        correlation: between two runs of a cell, in [0, 1).
        bootstrap: number of tables drawn.
        stream: the randomness.

    Returns:
        [number of T], in the order of ``counts.lengths``.
    """
    drawn = draw(np.full(len(counts.n), share), counts, correlation, stream, bootstrap)
    tables = np.concatenate([counts.successes[None], drawn]) - share * counts.trials
    downwards = np.argsort(-counts.n)
    p = []
    for T in counts.lengths:
        own = downwards[counts.T[downwards] == T]
        excess = tables[:, own].cumsum(axis=1) / np.sqrt(counts.trials[own].cumsum())
        observed, *reference = excess.max(axis=1)
        p.append(_p(np.array(reference), observed))
    return np.array(p)


def gather(
    counts: Counts, share: float, confidence: float, bootstrap: int, address: Mapping[str, str | int]
) -> Evidence:
    """Fits and compares the laws.

    Args:
        counts: the table; at least four of its T should be ``bracketed``.
        share: the success rate that defines the critical size, in (0, 1).
        confidence: of the intervals, and one minus the level at which overdispersion is found.
        bootstrap: number of replicates B of each kind.
        address: names the random streams.

    Raises:
        RuntimeError: a fit did not converge.
    """
    free, streams = fit_free(counts, share), _streams(address)
    dispersion = overdispersion(free, share, counts, 1 - confidence, bootstrap, streams["dispersion"])
    drops = open_shapes(free, dispersion, confidence)
    shape = next(iter(drops))
    sizes = _fitted(Model(Law(FREE, counts.lengths), shape, share), free[shape], counts, drops)
    models = {name: Model(Law(name, counts.lengths), shape, share) for name in LAWS}
    best = {name: fit(model, counts) for name, model in models.items()}

    def drawn(success: np.ndarray, stream: str) -> np.ndarray:
        return draw(success, counts, dispersion.correlation, streams[stream], bootstrap)

    def refits(name: str, tables: np.ndarray) -> Fits:
        return refit(models[name], counts, tables, best[name].parameters[0])

    observed = drawn(counts.successes / counts.trials, "case")
    rates = {name: model.rates(best[name].parameters, counts.T, counts.n)[0][0] for name, model in models.items()}
    simulated = {name: drawn(success, name) for name, success in rates.items()}
    own = {name: refits(name, tables) for name, tables in simulated.items()}
    laws = {}
    for name, model in models.items():
        fitted = _fitted(model, best[name], counts, drops)
        laws[name] = _with_replicates(fitted, counts, dispersion.scale, own[name], refits(name, observed))
    preferred = min(laws, key=lambda name: laws[name].aic)
    rejects = {}
    for law, rival in sorted({(name, preferred) for name in LAWS if name != preferred} | set(PAIR.items())):
        ratios = refits(rival, simulated[law]).log_likelihood - own[law].log_likelihood
        rejects[law, rival] = _p(ratios, laws[rival].log_likelihood - laws[law].log_likelihood)
    fits_free = _against_free(sizes, laws, dispersion)
    no_size = never_above(counts, share, dispersion.correlation, bootstrap, streams["no_size"])
    c = exponent(laws["log"].candidates, counts)
    c_fits = dispersion.p_value(sizes.log_likelihood - c.log_likelihood, sizes.model.law.size - 3)
    return Evidence(counts, shape, sizes, laws, dispersion, rejects, fits_free, no_size, c, c_fits)


def fit_free(counts: Counts, share: float) -> dict[Shape, Fits]:
    """A critical size of its own for every T, fitted under every shape."""
    return {shape: fit(Model(Law(FREE, counts.lengths), shape, share), counts) for shape in SHAPES}


def open_shapes(free: Mapping[Shape, Fits], dispersion: Dispersion, confidence: float) -> dict[Shape, float]:
    """The shapes that an interval takes in, the best first, and how far the log-likelihood may fall under each.

    Under the best, by AIC of the free sizes, so that no law is favoured, it is what a profile likelihood allows. A
    shape that is worse by some AIC has that much less: the shape is one more unknown over which the likelihood is
    maximised, at the price of its terms (the discrete profiling of Dauncey et al. 2015).
    """
    aic = shape_aic(free, dispersion.scale)
    allowed = dispersion.quantile(confidence) + min(aic.values())
    return {
        shape: dispersion.scale * (allowed - own) / 2
        for shape, own in sorted(aic.items(), key=lambda item: item[1])
        if own < allowed
    }


def shape_aic(free: Mapping[Shape, Fits], scale: float = 1.0) -> dict[Shape, float]:
    """The (quasi-)AIC of the free sizes under each shape, up to a constant."""
    return {shape: 2 * sum(shape) - 2 * one.log_likelihood[0] / scale for shape, one in free.items()}


def overdispersion(
    free: Mapping[Shape, Fits], share: float, counts: Counts, level: float, bootstrap: int, stream: Stream
) -> Dispersion:
    """Compares Pearson's statistic of the free fit of least AIC with that of binomial tables drawn and fitted alike."""
    aic = shape_aic(free)
    shape = min(aic, key=aic.__getitem__)
    model, best = Model(Law(FREE, counts.lengths), shape, share), free[shape]
    success = model.rates(best.parameters, counts.T, counts.n)[0][0]
    drawn = draw(success, counts, 0.0, stream, bootstrap)
    refitted = refit(model, counts, drawn, best.parameters[0])
    reference = pearson(model, refitted.parameters, counts, drawn)
    statistic = pearson(model, best.parameters, counts, counts.successes[None])[0]
    ratio, p = statistic / reference.mean(), _p(reference, statistic)
    several, degrees = counts.trials.mean() - 1, max(len(counts.n) - model.size, 1)
    if p >= level or ratio <= 1 or several <= 0:
        return Dispersion(ratio, p, 1.0, 0.0, degrees)
    return Dispersion(ratio, p, ratio, min((ratio - 1) / several, 0.9), degrees)


def pearson(model: Model, parameters: np.ndarray, counts: Counts, successes: np.ndarray) -> np.ndarray:
    """Pearson's statistics [B] of tables [B, G] at parameters [B, size]."""
    success, failure, _ = model.rates(parameters, counts.T, counts.n)
    variance = np.maximum(counts.trials * success * failure, 1e-12)
    return ((successes - counts.trials * success) ** 2 / variance).sum(axis=1)


def percentiles(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the central interval of bootstrap replicates [B] or [B, G].

    They are ranks of B + 1, as for one more value of the same kind. NumPy's own rule makes the interval too narrow for
    few replicates: with 199 it would cover 94 % of further ones instead of 95 %.
    """
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0, method="weibull")
    return low, high


def held_out(model: Model, counts: Counts) -> float:
    """The log-likelihood of the largest T, one T in four, under the law fitted to the others in the shape of all."""
    cut = counts.lengths[-max(1, len(counts.lengths) // HELD_OUT)]
    last = np.greater_equal(counts.T, cut)
    small, large = counts.where(~last), counts.where(last)
    trained = Model(Law(model.law.name, small.lengths), model.shape, model.share)
    parameters = fit(trained, small).parameters
    return float(log_likelihood(trained, large, large.successes[None], parameters)[0])


def _fitted(model: Model, best: Fits, counts: Counts, drops: Mapping[Shape, float]) -> Fitted:
    """Sizes under the best shape, and under the others that are left open."""
    candidates = [Candidate(model, best.parameters, drops[model.shape])]
    for shape, drop in drops.items():
        if shape != model.shape:
            other = replace(model, shape=shape)
            candidates.append(Candidate(other, fit(other, counts).parameters, drop))
    return Fitted(model, best.parameters, best.log_likelihood[0], candidates)


def _with_replicates(fitted: Fitted, counts: Counts, scale: float, own: Fits, case: Fits) -> FittedLaw:
    """Gathers what is known of one law; the information criteria are those of the quasi-likelihood."""
    model, value, runs = fitted.model, fitted.log_likelihood, counts.trials.sum()
    statistic = pearson(model, fitted.parameters, counts, counts.successes[None])[0]
    return FittedLaw(
        **vars(fitted),
        aic=2 * model.size - 2 * value / scale,
        bic=np.log(runs) * model.size - 2 * value / scale,
        dispersion=statistic / max(len(counts.n) - model.size, 1),
        held_out=held_out(model, counts),
        parametric=own.parameters,
        case=case.parameters,
    )


def _against_free(free: Fitted, laws: Mapping[str, FittedLaw], dispersion: Dispersion) -> dict[str, float]:
    """The p-value of each law's deviance from the free sizes, which have all its parameters and more."""
    return {
        name: dispersion.p_value(free.log_likelihood - one.log_likelihood, free.model.size - one.model.size)
        for name, one in laws.items()
    }


def _streams(address: Mapping[str, str | int]) -> dict[str, Stream]:
    return {name: Stream("law-bootstrap", law=name, **address) for name in (*LAWS, "case", "dispersion", "no_size")}


def _p(reference: np.ndarray, statistic: float) -> float:
    """The share of values at least as large as the statistic, which counts itself, so it is never 0."""
    return float((1 + (reference >= statistic - 1e-6).sum()) / (1 + len(reference)))
