"""Dropout masks: their values and rate, and that a run's masks are its own."""

import pytest
import torch
from scipy import stats

from masks import NoiseOfC
from pipeline.engine.dropout import Noise, dropped
from pipeline.engine.transformer import Transformer

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


class TestMasksOfAttentionWeightsInC:
    """What a step on the CPU draws for itself."""

    HEADS, T, N = 4, 45, 33  # neither whole numbers of what is drawn at once

    def masks(self, rate: float, *seeds: int) -> torch.Tensor:
        """[R, n, H, T + 1]."""
        model = Transformer(self.T, 16, self.HEADS, 16, init_std=0.02)
        shape = (self.N, self.HEADS, 1, self.T + 1)
        return NoiseOfC(model, seeds).keep("attention1", shape, rate, LIKE).squeeze(3)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_they_have_two_values_and_their_rate_everywhere(self, rate):
        masks = self.masks(rate, *range(200))
        assert masks.unique().tolist() == [0, torch.tensor(1 / (1 - rate), dtype=torch.float64)]
        dropped = masks == 0
        assert stats.binomtest(int(dropped.sum()), dropped.numel(), rate).pvalue > 1e-4
        for kept in ((0, 2, 3), (0, 1, 3), (0, 1, 2), (1, 2, 3)):  # over samples, heads, positions, runs
            counts = dropped.sum(kept)
            trials = dropped.numel() // counts.numel()
            statistic = ((counts - trials * rate) ** 2 / (trials * rate * (1 - rate))).sum()
            assert 1e-4 < stats.chi2.sf(statistic, counts.numel()) < 1 - 1e-4

    def test_those_of_samples_positions_heads_and_runs_are_independent(self):
        masks = self.masks(0.5, *range(60)) - 1
        for dimension in range(4):
            rows = masks.transpose(0, dimension).flatten(1)
            correlations = torch.corrcoef(rows)[*torch.triu_indices(len(rows), len(rows), 1)]
            z = correlations * rows.shape[1] ** 0.5
            assert stats.kstest(z, "norm").pvalue > 1e-4

    def test_a_runs_masks_follow_from_its_seed_and_its_calls(self):
        alone, stack = self.masks(0.3, 9), self.masks(0.3, 8, 9)
        assert torch.equal(alone, stack[1:])
        assert not torch.equal(stack[0], stack[1])
