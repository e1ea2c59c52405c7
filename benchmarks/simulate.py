"""Checks the statistics of scaling laws by simulation with known truth, and computes what grid would tell them apart.

As ``python benchmarks/simulate.py``. The truths are the laws as fitted to the paper's experiment (docs/results/paper),
each with its steepness and asymptote. Conditions are done in pieces of some repetitions, in two processes, and each
piece is kept in ``results/simulation``: started again, or asked for more repetitions, the command does those that are
missing.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit

import simulate_report
from pipeline.randomness import Stream
from pipeline.statistics.critical_sample_size import CURVE, critical_sample_sizes
from pipeline.statistics.joint_model import SHAPES, Counts, Model, Shape
from pipeline.statistics.law_evidence import gather, open_shapes, overdispersion, percentiles
from pipeline.statistics.law_verdict import verdict
from pipeline.statistics.laws import FREE, Law
from pipeline.statistics.maximum_likelihood import Fits, draw, fit, refit
from pipeline.statistics.profile_likelihood import profile_ends
from pipeline.storage import read_frame, write_frame

DATA = Path("docs/results/paper/success_rates.parquet")
RESULTS = Path("results/simulation")
SHARE, CONFIDENCE, EXPERIMENT = 0.5, 0.95, "and3"
FIRST, PAPERS_LAST = 100, 1100  # the context lengths of the data
LENGTHS, SIZES, SPREAD = 6, 8, (0.4, 4.0)  # of a design: T, and n from 0.4 to 4 times the critical size of each T
LASTS = (1100, 2000, 5000, 10_000, 20_000, 100_000)
RUNS = (50, 10, 100)
CORRELATION = 0.03  # of two runs of a cell, where there is overdispersion
PAIR, OTHERS, FAR = ("log", "power"), ("constant", "proportional_log", "linear"), (10_000, 100_000)
# Where no critical size exists at the largest T: the share whose size follows the law, and the asymptote's ends.
LOW_SHARE, LAPSING = 0.25, (0.98, 0.45)

# Repetitions that are kept together
PIECES = {"coverage": 250, "bootstrap": 50, "single_T": 250, "verdict": 20, "no_size": 20}


class Condition(NamedTuple):
    """What is simulated: a kind of check, the true law, the design and how often."""

    kind: str  # coverage, bootstrap, single_T, verdict, or no_size: a verdict where no size exists at the largest T
    truth: str
    last: int = PAPERS_LAST  # the largest T
    runs: int = 50  # of each cell
    correlation: float = 0.0  # of the runs of a cell
    falling: bool = (
        False  # whether the asymptote goes on falling beyond the data, or reaches at the largest T what it has now
    )
    repetitions: int = 1000
    bootstrap: int = 199

    @property
    def address(self) -> dict:
        """What names its random streams: all but how often, so that more repetitions continue those that are there."""
        return {name: value for name, value in self._asdict().items() if name != "repetitions"}

    def pieces(self) -> list[range]:
        """Its repetitions, in the parts that are kept."""
        size = PIECES[self.kind]
        return [range(first, min(first + size, self.repetitions)) for first in range(0, self.repetitions, size)]

    def path(self, piece: range) -> Path:
        """Where a piece's results are kept."""
        name = "-".join(map(str, self.address.values()))
        return RESULTS / f"{name}/{piece.start}-{piece.stop - 1}.parquet"


def conditions() -> Iterator[Condition]:
    """All of them."""
    verdicts = {"kind": "verdict", "repetitions": 100, "bootstrap": 99}
    coverage = {"kind": "coverage", "bootstrap": 99}
    yield from (Condition(truth=law, **coverage) for law in (*PAIR, *OTHERS))
    yield from (Condition(truth=law, correlation=CORRELATION, **coverage) for law in PAIR)
    yield Condition(truth="log", correlation=CORRELATION / 3, **coverage)
    yield Condition(truth="log", runs=10, **coverage)
    yield Condition("single_T", "log", bootstrap=99)
    yield from (Condition(truth=law, last=last, runs=n, **verdicts) for n, last, law in product(RUNS, LASTS, PAIR))
    yield from (Condition(truth=law, last=last, **verdicts) for law, last in product(OTHERS, (PAPERS_LAST, LASTS[-1])))
    yield from (Condition(truth=law, last=last, falling=True, **verdicts) for last, law in product(FAR, PAIR))
    yield from (Condition("no_size", law, 20_000, n, repetitions=40, bootstrap=99) for n in RUNS for law in PAIR)
    yield Condition("bootstrap", "power")
    yield Condition("bootstrap", "log", correlation=CORRELATION)


@cache
def data() -> Counts:
    """The paper's experiment."""
    rates = read_frame(DATA).query("experiment == @EXPERIMENT")
    return Counts(*(rates[column].to_numpy() for column in ("T", "n", "trials", "successes")))


@cache
def truth(condition: Condition) -> tuple[Model, np.ndarray, Counts, np.ndarray]:
    """The true model and its parameters, the cells of the design (without successes) and their success rates."""
    fitted = Model(Law(condition.truth, data().lengths), Shape(1, 2), SHARE)
    known = fit(fitted, data()).parameters
    T = np.unique(np.geomspace(FIRST, condition.last, LENGTHS).round().astype(int))
    ends = fitted.law.ln_n(fitted.split(known)[0], T[[0, -1]])[0][0]
    _, of_steepness, of_asymptote = fitted.split(known)
    model = Model(Law(condition.truth, T), Shape(1, 2), LOW_SHARE if condition.kind == "no_size" else SHARE)
    asymptote = _asymptote(condition, *of_asymptote[0])
    parameters = np.concatenate([ends[-model.law.size :], of_steepness[0], asymptote])[None]
    sizes = np.exp(model.law.ln_n(model.split(parameters)[0], T)[0][0])
    n = np.maximum(np.outer(sizes, np.geomspace(*SPREAD, SIZES)).round(), 1).astype(int)
    cells = Counts(np.repeat(T, SIZES), n.ravel(), np.full(n.size, condition.runs), np.zeros(n.size))
    return model, parameters, cells, model.rates(parameters, cells.T, cells.n)[0][0]


def _asymptote(condition: Condition, middle: float, slope: float) -> tuple[float, float]:
    """The asymptote's terms over the T of the design, from those over the T of the data."""
    ln_span = np.log(condition.last / FIRST)
    if condition.kind == "no_size":
        first, last = logit((np.array(LAPSING) - LOW_SHARE) / (1 - LOW_SHARE))
        return (first + last) / 2, (last - first) / ln_span
    if condition.falling:
        return middle + slope * np.log(condition.last / PAPERS_LAST) / 2, slope
    return middle, slope * np.log(PAPERS_LAST / FIRST) / ln_span


def table(condition: Condition, repetition: int) -> Counts:
    """One simulated table."""
    _, _, cells, rates = truth(condition)
    stream = Stream("simulation", repetition=repetition, **condition.address)
    return replace(cells, successes=draw(rates, cells, condition.correlation, stream, 1)[0])


def tables(condition: Condition, piece: range) -> np.ndarray:
    """The simulated tables of a piece, [R, G]."""
    return np.stack([table(condition, repetition).successes for repetition in piece])


def fits(condition: Condition, law: Law, drawn: np.ndarray) -> dict[Shape, Fits]:
    """A law fitted to tables [R, G] under every shape."""
    true_model, true_parameters, cells, _ = truth(condition)
    sizes = true_model.law.ln_n(true_model.split(true_parameters)[0], cells.lengths)[0][0]
    start = sizes if law.name == FREE else true_parameters[0, : law.size]
    found = {}
    for shape in SHAPES:
        model = Model(law, shape, SHARE)
        found[shape] = refit(model, cells, drawn, np.concatenate([start, model.start(cells.n)[law.size :]]))
    return found


def drops(condition: Condition, free: dict[Shape, Fits], drawn: np.ndarray, piece: range) -> pd.DataFrame:
    """How far the log-likelihood may fall within an interval, a row a table, a column a shape; null if it is not open.

    Further columns have the p-value of the test for overdispersion and the best shape.
    """
    _, _, cells, _ = truth(condition)
    rows = []
    for row, repetition in enumerate(piece):
        own = {shape: Fits(*(values[row : row + 1] for values in found)) for shape, found in free.items()}
        stream = Stream("bootstrap", use="dispersion", repetition=repetition)
        counts = replace(cells, successes=drawn[row])
        dispersion = overdispersion(own, SHARE, counts, 1 - CONFIDENCE, condition.bootstrap, stream)
        allowed = open_shapes(own, dispersion, CONFIDENCE)
        rows.append(allowed | {"p": dispersion.p, "best": next(iter(allowed)), "correlation": dispersion.correlation})
    return pd.DataFrame(rows, columns=[*SHAPES, "p", "best", "correlation"])


def intervals(
    cells: Counts, law: Law, fitted: dict[Shape, Fits], drawn: np.ndarray, allowed: pd.DataFrame, sums: np.ndarray
) -> np.ndarray:
    """Profile-likelihood intervals [2, R, Q] of weighted sums [Q, law.size] over the shapes that a table leaves open.

    As ``profile_likelihood.interval``, for many tables at once.
    """
    ends = np.stack([np.full((len(drawn), len(sums)), sign * np.inf) for sign in (1, -1)])
    for shape, found in fitted.items():
        rows = np.flatnonzero(allowed[shape].notna())
        if not len(rows):
            continue
        every = np.repeat(rows, len(sums))
        asked = np.tile(sums, (len(rows), 1))
        model, fall = Model(law, shape, SHARE), allowed[shape].to_numpy()[every]
        own = profile_ends(model, cells, drawn[every], found.parameters[every], fall, asked).reshape(2, len(rows), -1)
        ends[0, rows] = np.minimum(ends[0, rows], own[0])
        ends[1, rows] = np.maximum(ends[1, rows], own[1])
    return ends


def coverage(condition: Condition, piece: range) -> Iterator[dict]:
    """Whether the profile-likelihood intervals of the law's coefficients cover."""
    true_model, true_parameters, cells, _ = truth(condition)
    law, drawn = true_model.law, tables(condition, piece)
    fitted = fits(condition, law, drawn)
    allowed = drops(condition, fits(condition, Law(FREE, cells.lengths), drawn), drawn, piece)
    true = np.ravel(law.coefficients(true_model.split(true_parameters)[0]))
    known = np.isfinite(true)
    low, high = intervals(cells, law, fitted, drawn, allowed, law.coefficient_weights()[known])
    if law.name == "power":
        low[:, 0], high[:, 0] = np.exp(low[:, 0]), np.exp(high[:, 0])
    for row, repetition in enumerate(piece):
        parameters = fitted[allowed["best"][row]].parameters[row : row + 1, : law.size]
        estimate = np.ravel(law.coefficients(parameters))[known]
        common = {"repetition": repetition, "interval": "profile", "shape": str(tuple(allowed["best"][row]))}
        common["p"] = allowed["p"][row]
        columns = np.array(["a", "b"])[known], low[row], high[row], estimate, true[known]
        for values in zip(*columns, strict=True):
            yield common | dict(zip(("quantity", "low", "high", "estimate", "true"), values, strict=True))


def bootstrap(condition: Condition, piece: range) -> Iterator[dict]:
    """Whether the percentile intervals of the parametric and of the case bootstrap cover, for comparison."""
    true_model, true_parameters, cells, _ = truth(condition)
    law, drawn = true_model.law, tables(condition, piece)
    allowed = drops(condition, fits(condition, Law(FREE, cells.lengths), drawn), drawn, piece)
    true = law.coefficients(true_model.split(true_parameters)[0])
    for row, repetition in enumerate(piece):
        model, counts = Model(law, allowed["best"][row], SHARE), replace(cells, successes=drawn[row])
        best = fit(model, counts)
        success = model.rates(best.parameters, counts.T, counts.n)[0][0]
        rates = {"parametric": success, "case": drawn[row] / cells.trials}
        estimate = law.coefficients(model.split(best.parameters)[0])
        for kind, rate in rates.items():
            stream = Stream("bootstrap", use=kind, repetition=repetition)
            resampled = draw(rate, counts, allowed["correlation"][row], stream, condition.bootstrap)
            replicates = refit(model, counts, resampled, best.parameters[0]).parameters
            for name, value, point, own in zip(
                "ab", true, estimate, law.coefficients(model.split(replicates)[0]), strict=True
            ):
                low, high = percentiles(own, CONFIDENCE)
                outcome = {"low": low, "high": high, "estimate": point[0], "true": value[0]}
                yield {"repetition": repetition, "quantity": name, "interval": kind} | outcome


def single_T(condition: Condition, piece: range) -> Iterator[dict]:
    """Whether the intervals of the critical sizes of single T cover: each T alone, and all under the joint model."""
    true_model, true_parameters, cells, _ = truth(condition)
    true = np.exp(true_model.law.ln_n(true_model.split(true_parameters)[0], cells.lengths)[0][0])
    drawn, law = tables(condition, piece), Law(FREE, cells.lengths)
    fitted = fits(condition, law, drawn)
    allowed = drops(condition, fitted, drawn, piece)
    low, high = np.exp(intervals(cells, law, fitted, drawn, allowed, np.eye(law.size)))
    for row, repetition in enumerate(piece):
        estimate = np.exp(fitted[allowed["best"][row]].parameters[row, : law.size])
        address = dict(zip(CURVE[:-1], ("simulated", "and", "transformer", repetition), strict=True))
        rates = pd.DataFrame({**address, "T": cells.T, "n": cells.n, "trials": cells.trials, "successes": drawn[row]})
        alone = critical_sample_sizes(rates, SHARE, CONFIDENCE, condition.bootstrap)
        each = {
            "alone": alone[["n_critical", "ci_low", "ci_high"]].to_numpy(),
            "joint": np.stack([estimate, low[row], high[row]], axis=1),
        }
        for kind, values in each.items():
            for T, value, own in zip(cells.lengths, true, values, strict=True):
                outcome = dict(zip(("estimate", "low", "high"), own, strict=True))
                yield {"repetition": repetition, "quantity": f"n({T})", "interval": kind, "true": value} | outcome


def verdicts(condition: Condition, piece: range) -> Iterator[dict]:
    """The verdicts, and what they rest on."""
    for repetition in piece:
        yield {"repetition": repetition} | judged(condition, repetition)


def judged(condition: Condition, repetition: int) -> dict:
    """The verdict, and what it rests on."""
    counts = table(condition, repetition)
    evidence = gather(counts, SHARE, CONFIDENCE, condition.bootstrap, {"repetition": repetition})
    law, reason = verdict(evidence, CONFIDENCE)
    return {
        "verdict": law,
        "reason": reason,
        "asymptote": evidence.shape.asymptote,
        "log_vs_power": evidence.laws["log"].log_likelihood - evidence.laws["power"].log_likelihood,
        "p_log": evidence.rejects["log", "power"],
        "p_power": evidence.rejects["power", "log"],
        "p_free": evidence.fits_free[condition.truth],
        "p_overdispersion": evidence.dispersion.p,
        **{f"best_{criterion}": evidence.best(criterion) for criterion in ("aic", "bic", "held_out")},
        **{f"aic_{name}": one.aic for name, one in evidence.laws.items()},
        **{f"held_out_{name}": one.held_out for name, one in evidence.laws.items()},
        **{f"p_best_{name}": evidence.rejects.get((name, evidence.best("aic"))) for name in evidence.laws},
        "p_free_best": evidence.fits_free[evidence.best("aic")],
    }


KINDS: dict[str, Callable[[Condition, range], Iterator[dict]]] = {
    "coverage": coverage,
    "bootstrap": bootstrap,
    "single_T": single_T,
    "verdict": verdicts,
    "no_size": verdicts,
}


def run(condition: Condition, piece: range) -> float:
    """Simulates a piece and keeps its rows; the seconds of CPU that it took."""
    start = time.process_time()
    rows = [condition._asdict() | row for row in KINDS[condition.kind](condition, piece)]
    write_frame(pd.DataFrame(rows), condition.path(piece))
    return time.process_time() - start


def main() -> None:
    """Simulates what is not there yet, and writes the tables and figures."""
    parser = argparse.ArgumentParser("python benchmarks/simulate.py", description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--to", type=Path, default=Path("docs/results/statistics"), help="where tables and figures go")
    parser.add_argument("--report", action="store_true", help="simulate nothing, and write what is there")
    given = parser.parse_args()
    planned = [(condition, piece) for condition in conditions() for piece in condition.pieces()]
    planned.sort(key=lambda own: own[1].start // PIECES[own[0].kind] if own[0].kind == "verdict" else 0)
    missing = [] if given.report else [own for own in planned if not own[0].path(own[1]).exists()]
    with ProcessPoolExecutor(given.processes) as pool:
        waiting = {pool.submit(run, *own): own for own in missing}
        for done, future in enumerate(as_completed(waiting), start=1):
            condition, piece = waiting[future]
            place = condition.path(piece).relative_to(RESULTS).with_suffix("")
            print(f"{done} of {len(missing)}: {place}, {future.result():.0f} s of CPU", flush=True)
    rows = [read_frame(path) for condition, piece in planned if (path := condition.path(piece)).exists()]
    print(simulate_report.write(rows, RESULTS, given.to))


if __name__ == "__main__":
    main()
