"""Dropout masks: their values and rate, and that a run's masks are its own."""

import pytest
import torch
from scipy import stats

from pipeline.engine.dropout import Noise, dropped

LIKE = torch.zeros((), dtype=torch.float64)
CPU = torch.device("cpu")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_have_two_values_and_their_rate(rate, dtype):
    masks = Noise([3, 4], CPU).keep("attention", (50, 401), rate, torch.zeros((), dtype=dtype))
    assert masks.dtype == dtype
    assert masks.shape == (2, 50, 401)
    assert masks.unique().tolist() == torch.tensor([0, 1 / (1 - rate)], dtype=dtype).tolist()
    for mask in masks:
        assert stats.binomtest(int((mask == 0).sum()), mask.numel(), rate).pvalue > 1e-4


def test_a_runs_masks_are_the_same_in_every_stack_and_on_repeat():
    def masks(*seeds: int) -> list[torch.Tensor]:
        noise = Noise(seeds, CPU)
        return [noise.keep(name, shape, 0.3, LIKE) for name, shape in (("a", (5, 7)), ("b", (11,)), ("a", (5, 7)))]

    stack, repeated, alone = masks(8, 9, 10), masks(10, 9, 8), masks(9)
    for three, again, one in zip(stack, repeated, alone, strict=True):
        assert torch.equal(three, again.flip(0))
        assert torch.equal(three[1:2], one)


def test_the_masks_of_calls_and_runs_are_independent():
    noise = Noise([1, 2], CPU)
    masks = torch.cat([noise.keep(name, (2000,), 0.5, LIKE) for name in ("a", "a", "b")])
    correlations = torch.corrcoef(masks)[*torch.triu_indices(6, 6, 1)]
    assert correlations.abs().max() < 4 / 2000**0.5


def test_nothing_is_drawn_without_need():
    x = torch.ones(1, 4)
    noise = Noise([1], CPU)
    assert dropped(x, "a", 0.0, noise) is x
    assert dropped(x, "a", 0.5, None) is x
    assert not noise.generators
    assert torch.equal(dropped(x, "a", 0.5, noise), Noise([1], CPU).keep("a", (4,), 0.5, x))
