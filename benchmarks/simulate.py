"""Checks the statistics of scaling laws by simulation with known truth, and computes what grid would tell them apart.

As ``python benchmarks/simulate.py``. The truths are the laws as fitted to the paper's experiment (docs/results/paper),
each with its steepness and asymptote. Conditions are done one after another in two processes, and each is kept in
``results/simulation``: started again, the command does those that are missing.
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

import simulate_report
from pipeline.randomness import Stream
from pipeline.statistics.critical_sample_size import CURVE, critical_sample_sizes
from pipeline.statistics.joint_model import Counts, Model, Shape
from pipeline.statistics.law_evidence import choose_shape, gather, overdispersion, percentiles
from pipeline.statistics.law_verdict import verdict
from pipeline.statistics.laws import FREE, Law
from pipeline.statistics.maximum_likelihood import draw, fit, refit
from pipeline.storage import read_frame, write_frame

DATA = Path("docs/results/paper/success_rates.parquet")
RESULTS = Path("results/simulation")
SHARE, CONFIDENCE, EXPERIMENT = 0.5, 0.95, "and3"
FIRST, PAPERS_LAST = 100, 1100  # the context lengths of the data
LENGTHS, SIZES, SPREAD = 6, 8, (0.4, 4.0)  # of a design: T, and n from 0.4 to 4 times the critical size of each T
LASTS = (1100, 2000, 5000, 10_000, 20_000, 100_000)
RUNS = (50, 10, 100)
PAIR, OTHERS, FAR = ("log", "power"), ("constant", "proportional_log", "linear"), (10_000, 100_000)


class Condition(NamedTuple):
    """What is simulated: a kind of check, the true law, the design and how often."""

    kind: str  # coverage, single_T or verdict
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
    def path(self) -> Path:
        """Where its results are kept."""
        return RESULTS / ("-".join(map(str, self)) + ".parquet")


def conditions() -> Iterator[Condition]:
    """All of them."""
    verdicts = {"kind": "verdict", "repetitions": 40, "bootstrap": 99}
    yield from (Condition("coverage", law) for law in PAIR)
    yield Condition("single_T", "log")
    yield from (Condition(truth=law, last=last, runs=n, **verdicts) for n, last, law in product(RUNS, LASTS, PAIR))
    yield from (Condition("coverage", law) for law in OTHERS)
    yield Condition("coverage", "log", correlation=0.03, repetitions=500)
    yield from (Condition(truth=law, last=last, **verdicts) for law, last in product(OTHERS, (PAPERS_LAST, LASTS[-1])))
    yield from (Condition(truth=law, last=last, falling=True, **verdicts) for last, law in product(FAR, PAIR))


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
    model = Model(Law(condition.truth, T), Shape(1, 2), SHARE)
    stretch = 1 if condition.falling else np.log(PAPERS_LAST / FIRST) / np.log(condition.last / FIRST)
    shift = (np.log(condition.last / PAPERS_LAST) / 2 if condition.falling else 0) * of_asymptote[0, 1]
    asymptote = of_asymptote[0, 0] + shift, of_asymptote[0, 1] * stretch
    parameters = np.concatenate([ends[-model.law.size :], of_steepness[0], asymptote])[None]
    sizes = np.exp(model.law.ln_n(model.split(parameters)[0], T)[0][0])
    n = np.maximum(np.outer(sizes, np.geomspace(*SPREAD, SIZES)).round(), 1).astype(int)
    cells = Counts(np.repeat(T, SIZES), n.ravel(), np.full(n.size, condition.runs), np.zeros(n.size))
    return model, parameters, cells, model.rates(parameters, cells.T, cells.n)[0][0]


def table(condition: Condition, repetition: int) -> Counts:
    """One simulated table."""
    _, _, cells, rates = truth(condition)
    stream = Stream("simulation", repetition=repetition, **condition._asdict())
    return replace(cells, successes=draw(rates, cells, condition.correlation, stream, 1)[0])


def coverage(condition: Condition, repetition: int) -> Iterator[dict]:
    """Whether the intervals of the law's coefficients cover, by parametric and case bootstrap."""
    counts = table(condition, repetition)
    true_model, true_parameters, _, _ = truth(condition)
    shape = choose_shape(counts, SHARE)
    streams = {use: Stream("bootstrap", use=use, repetition=repetition) for use in ("dispersion", "parametric", "case")}
    free = Model(Law(FREE, counts.lengths), shape, SHARE)
    level = 1 - CONFIDENCE
    found, _ = overdispersion(free, fit(free, counts), counts, level, condition.bootstrap, streams["dispersion"])
    model = Model(Law(condition.truth, counts.lengths), shape, SHARE)
    best = fit(model, counts)
    rates = {
        "parametric": model.rates(best.parameters, counts.T, counts.n)[0][0],
        "case": counts.successes / counts.trials,
    }
    true = model.law.coefficients(true_model.split(true_parameters)[0])
    estimate = model.law.coefficients(model.split(best.parameters)[0])
    for kind, success in rates.items():
        drawn = draw(success, counts, found.correlation, streams[kind], condition.bootstrap)
        replicates = refit(model, counts, drawn, best.parameters[0]).parameters
        for name, value, point, own in zip(
            "ab", true, estimate, model.law.coefficients(model.split(replicates)[0]), strict=True
        ):
            if np.isfinite(value[0]):
                low, high = percentiles(own, CONFIDENCE)
                outcome = {"low": low, "high": high, "estimate": point[0], "true": value[0]}
                yield {"quantity": name, "bootstrap": kind, "shape": str(tuple(shape)), "p": found.p} | outcome


def single_T(condition: Condition, repetition: int) -> Iterator[dict]:
    """Whether the intervals of the critical sizes of single T cover: each T alone, and all under the joint model."""
    counts = table(condition, repetition)
    true_model, true_parameters, _, _ = truth(condition)
    true = np.exp(true_model.law.ln_n(true_model.split(true_parameters)[0], counts.lengths)[0][0])
    address = dict(zip(CURVE[:-1], ("simulated", "and", "transformer", repetition), strict=True))
    rates = pd.DataFrame(
        {**address, "T": counts.T, "n": counts.n, "trials": counts.trials, "successes": counts.successes}
    )
    alone = critical_sample_sizes(rates, SHARE, CONFIDENCE, condition.bootstrap)[["n_critical", "ci_low", "ci_high"]]
    model = Model(Law(FREE, counts.lengths), choose_shape(counts, SHARE), SHARE)
    best = fit(model, counts)
    stream = Stream("bootstrap", use="free", repetition=repetition)
    success = model.rates(best.parameters, counts.T, counts.n)[0][0]
    drawn = refit(model, counts, draw(success, counts, 0.0, stream, condition.bootstrap), best.parameters[0])
    ends = percentiles(model.split(drawn.parameters)[0], CONFIDENCE)
    joint = np.exp([model.split(best.parameters)[0][0], *ends]).T
    for kind, values in {"alone": alone.to_numpy(), "joint": joint}.items():
        for T, value, (estimate, low, high) in zip(counts.lengths, true, values, strict=True):
            yield {
                "quantity": f"n({T})",
                "bootstrap": kind,
                "low": low,
                "high": high,
                "estimate": estimate,
                "true": value,
            }


def judged(condition: Condition, repetition: int) -> Iterator[dict]:
    """The verdict, and what it rests on."""
    counts = table(condition, repetition)
    evidence = gather(counts, SHARE, CONFIDENCE, condition.bootstrap, {"repetition": repetition})
    law, reason = verdict(evidence, CONFIDENCE)
    yield {
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


KINDS: dict[str, Callable[[Condition, int], Iterator[dict]]] = {
    "coverage": coverage,
    "single_T": single_T,
    "verdict": judged,
}


def run(condition: Condition) -> float:
    """Simulates a condition and keeps its rows; the seconds of CPU that it took."""
    start = time.process_time()
    rows = [
        {**condition._asdict(), "repetition": repetition} | row
        for repetition in range(condition.repetitions)
        for row in KINDS[condition.kind](condition, repetition)
    ]
    write_frame(pd.DataFrame(rows), condition.path)
    return time.process_time() - start


def main() -> None:
    """Simulates what is not there yet, and writes the tables and figures."""
    parser = argparse.ArgumentParser("python benchmarks/simulate.py", description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--to", type=Path, default=Path("docs/results/statistics"), help="where tables and figures go")
    parser.add_argument("--report", action="store_true", help="simulate nothing, and write what is there")
    given = parser.parse_args()
    planned = list(conditions())
    missing = [] if given.report else [condition for condition in planned if not condition.path.exists()]
    with ProcessPoolExecutor(given.processes) as pool:
        waiting = {pool.submit(run, condition): condition for condition in missing}
        for done, future in enumerate(as_completed(waiting), start=1):
            condition = waiting[future]
            print(f"{done} of {len(missing)}: {condition.path.stem}, {future.result():.0f} s of CPU", flush=True)
    rows = [read_frame(condition.path) for condition in planned if condition.path.exists()]
    print(simulate_report.write(rows, RESULTS, given.to))


if __name__ == "__main__":
    main()
