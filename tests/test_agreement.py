"""The same cell on other hardware: other threads, the torch form, and a GPU if there is one.

Data and initialisation are equal; rounding differs, so trajectories part, but runs succeed as often.
"""

from collections.abc import Callable
from contextlib import contextmanager

import pytest
import torch
from scipy import stats

from pipeline.data.datasets import Address
from pipeline.data.sampling import draw_holdout, draw_training_set
from pipeline.engine import transformer
from pipeline.engine.protocol import Protocol, Success
from pipeline.engine.training import Training
from pipeline.engine.transformer import Transformer
from pipeline.jobs.stacks import begin

CELL, RUNS = Address("and", 2, 30, 20), 60
MODEL = Transformer(CELL.T, width=32, heads=16, mlp_width=32, init_std=0.02)
PROTOCOL = Protocol(
    learning_rate=3e-3, weight_decay=1e-4, max_steps=200, eval_every=20, success=Success(accuracy=1.0, when="any")
)
HOLDOUT = draw_holdout(CELL.function, CELL.k, CELL.T, 1000)
SETS = [draw_training_set(CELL, seed, HOLDOUT, reject_ambiguous=True, max_redraws=100) for seed in range(RUNS)]


def started(device: str) -> Training:
    return begin(MODEL, PROTOCOL, CELL, SETS, HOLDOUT, torch.device(device))


def trained(device: str) -> tuple[torch.Tensor, list[bool]]:
    """The initial parameters, and which runs succeeded."""
    training = started(device)
    initial = training.optimiser.parameters.flat.cpu().clone()
    for _ in training.evaluations():
        pass
    return initial, [result.success for result in training.results]


@contextmanager
def threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_thread() -> tuple[torch.Tensor, list[bool]]:
    return trained("cpu")


def two_threads(monkeypatch) -> tuple[torch.Tensor, list[bool]]:
    with threads(2):
        return trained("cpu")


def in_torch(monkeypatch) -> tuple[torch.Tensor, list[bool]]:
    monkeypatch.setattr(transformer, "kernels", lambda *architecture: None)
    return trained("cpu")


def on_a_gpu(monkeypatch) -> tuple[torch.Tensor, list[bool]]:
    return trained("cuda")


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


@pytest.mark.parametrize("way", [two_threads, in_torch, pytest.param(on_a_gpu, marks=needs_gpu)])
def test_runs_start_alike_and_succeed_as_often(way: Callable, one_thread, monkeypatch):
    initial, successes = way(monkeypatch)
    assert torch.equal(initial, one_thread[0])
    assert 0.2 < sum(one_thread[1]) / RUNS < 0.8, "a cell in which all runs end alike shows nothing"
    # McNemar's test: of the runs whose outcome differs, either way should succeed as often
    gained = sum(new and not old for new, old in zip(successes, one_thread[1], strict=True))
    lost = sum(old and not new for new, old in zip(successes, one_thread[1], strict=True))
    assert gained + lost == 0 or stats.binomtest(gained, gained + lost).pvalue > 1e-3
    assert gained + lost < RUNS / 4, "most runs should end alike"
