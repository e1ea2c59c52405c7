"""The rules of plateaus, transitions and attention, on made tables whose outcome is known."""

import math

import numpy as np
import pandas as pd
import pytest

from made_evidence import AND, decided, number, runs_of, together
from pipeline.claims.evidence import Evidence
from pipeline.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
)

PARITY = {"experiment": "online", "function": "parity", "model": "transformer", "k": 3}


@pytest.mark.parametrize(
    ("successes", "verdict"), [(20, SUPPORTED), (12, UNDECIDED), (9, UNDECIDED), (2, NOT_SUPPORTED)]
)
def test_a_function_is_learned_if_most_runs_succeed(successes, verdict):
    outcomes = [seed < successes for seed in range(20)]
    evidence = together({"runs": runs_of(PARITY, (10,), success=outcomes)})
    found = decided("is_learned", evidence, series=PARITY, at_least=0.5, runs=20)
    assert found.verdict == verdict
    assert number(found, "successful runs").value == successes / 20
    assert number(found, "successful runs at T = 10").value == successes / 20


def curves(plateau: int, distances: tuple[float, float], losses: tuple[float, float] = (math.log(2), 0.1)) -> dict:
    """Progress of ten runs, evaluated every 100 steps up to their transition at 800, with 200 further steps.

    The loss has its first value up to step ``plateau`` and its second from then on; the distance grows linearly from
    its first value at step 100 to its second at step 400.
    """
    steps = np.arange(100, 1001, 100)
    one = pd.DataFrame(
        {
            "step": steps,
            "train_loss": np.where(steps <= plateau, *losses),
            "distance": distances[0] + (distances[1] - distances[0]) * (steps - 100) / 300,
        }
    )
    progress = [one.assign(**PARITY, T=10, n=50, seed=seed) for seed in range(10)]
    return {"progress": pd.concat(progress, ignore_index=True), "runs": runs_of(PARITY, (10,), 10)}


ENOUGH = {"series": PARITY, "evaluations": 8, "runs": 10}


@pytest.mark.parametrize(
    ("plateau", "verdict", "share"), [(700, SUPPORTED, 0.875), (100, NOT_SUPPORTED, 0.125), (0, NOT_SUPPORTED, 0.0)]
)
def test_a_plateau_takes_most_of_the_steps_to_the_transition(plateau, verdict, share):
    found = decided("has_plateau", together(curves(plateau, (1, 2))), level=0.9, at_least=0.5, **ENOUGH)
    assert found.verdict == verdict
    assert number(found, "plateau, as a share of the steps to the transition").value == share
    assert number(found, "steps to the transition").value == 800


@pytest.mark.parametrize(
    ("plateau", "distances", "verdict"),
    [(700, (1, 2), SUPPORTED), (700, (1, 1.1), NOT_SUPPORTED), (300, (1, 2), NOT_SUPPORTED)],
)
def test_the_distance_moves_while_the_loss_does_not(plateau, distances, verdict):
    found = decided("moves_before_loss", together(curves(plateau, distances)), loss=0.95, growth=1.25, **ENOUGH)
    assert found.verdict == verdict
    loss = number(found, "loss over ln 2, half way to the transition")
    assert loss.value == pytest.approx(1.0 if plateau == 700 else 0.1 / math.log(2))
    assert number(found, "growth of the distance from initialisation until then").value == pytest.approx(distances[1])


def test_runs_with_few_evaluations_or_without_a_transition_show_no_plateau():
    made = curves(700, (1, 2))
    few = decided("has_plateau", together(made), level=0.9, at_least=0.5, **ENOUGH | {"evaluations": 9})
    assert (few.verdict, few.reason) == (UNDECIDED, "0 successful runs with 9 evaluations; 10 are needed")
    made["runs"].loc[0, "success_step"] = pd.NA
    censored = decided("has_plateau", together(made), level=0.9, at_least=0.5, **ENOUGH)
    assert (censored.verdict, censored.reason) == (UNDECIDED, "9 successful runs with 8 evaluations; 10 are needed")


def exponents(*found: tuple[float, float, float]) -> tuple[Evidence, list[dict]]:
    """Fits of parities of k = 2, 3, … and their series."""
    series = [PARITY | {"experiment": f"parity{k}", "k": k} for k in range(2, 2 + len(found))]
    names = ("exponent", "exponent_low", "exponent_high")
    fits = [one | dict(zip(names, ends, strict=True)) | {"points": 4} for one, ends in zip(series, found, strict=True)]
    runs = pd.concat([runs_of(one, (10, 20)) for one in series])
    return together({"runs": runs, "transition_fits": pd.DataFrame(fits)}), series


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([(0.7, 0.6, 0.8), (1.5, 1.3, 1.7), (2.5, 2.2, 2.8)], SUPPORTED),
        ([(0.7, 0.6, 0.8), (1.5, 1.3, 1.7), (2.5, 1.0, 5.5)], UNDECIDED),
        ([(1.5, 1.4, 1.6), (0.7, 0.6, 0.8)], NOT_SUPPORTED),
        ([(0.7, 0.6, 0.8), (4.0, 3.5, 4.5)], NOT_SUPPORTED),
        ([(0.7, 0.6, 0.8), (np.nan, np.nan, np.nan)], UNDECIDED),
    ],
)
def test_exponents_rise_with_k_and_stay_below_it(found, verdict):
    evidence, series = exponents(*found)
    parameters = {"per_bit": 1, "contexts": 3, "runs": 10}
    assert decided("exponent_grows_with_k", evidence, series=series[::-1], **parameters).verdict == verdict


@pytest.mark.parametrize(("recovered", "verdict"), [(98, SUPPORTED), (82, UNDECIDED), (60, NOT_SUPPORTED)])
def test_attention_singles_out_the_support_in_most_successes(recovered, verdict):
    rows = [
        AND | {"T": 100, "n": 50, "seed": seed, "success": seed < 100, "support_recovered": seed < recovered}
        for seed in range(150)
    ]
    table = pd.DataFrame(rows).assign(best_head_support_mass=0.7).astype({"support_recovered": "boolean"})
    table.loc[149, "support_recovered"] = pd.NA  # it diverged
    evidence = together({"runs": runs_of(AND), "attention": table})
    found = decided("attends_to_support", evidence, series=AND, at_least=0.8, runs=100)
    assert found.verdict == verdict
    assert number(found, "successes that attend to the support").value == recovered / 100
    assert number(found, "failures that do").value == 0
    assert number(found, "best head's attention on the support, successes").value == 0.7
    few = decided("attends_to_support", evidence, series=AND, at_least=0.8, runs=101)
    assert (few.verdict, few.reason) == (UNDECIDED, "100 successful runs; 101 are needed")
