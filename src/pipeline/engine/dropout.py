"""Dropout for stacked runs: every run draws its masks from a generator of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dropout:
    """A Transformer's dropout rates, each in [0, 1).

    Args:
        attention: of the softmax weights.
        residual: of what attention and MLP add to the residual stream.
        mlp: of the MLP's hidden units after the activation.
        embedding: of the summed embeddings of all T + 1 tokens.
    """

    attention: float = 0.0
    residual: float = 0.0
    mlp: float = 0.0
    embedding: float = 0.0


NO_DROPOUT = Dropout()


class Noise:
    """The masks of a stack of runs. A run's masks follow from its seed and the calls so far, not from its neighbours.

    Args:
        seeds: one a run, of 32 bits (torch's CPU generator takes no more).
        device: where the masks are drawn; the same seed gives other masks on another kind of device.

    Attributes:
        generators: made when the first masks are drawn, since a CUDA graph pays for each at every step.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self.seeds, self.device = seeds, device
        self.generators: list[torch.Generator] = []

    def seed(self, seeds: Sequence[int]) -> None:
        """Begins anew with other seeds."""
        self.seeds = seeds
        for generator, seed in zip(self.generators, seeds, strict=False):  # there may be none yet
            generator.manual_seed(seed)

    def words(self, count: int) -> Tensor:
        """Fresh random bits, 64 in each of ``count`` numbers of a run, int64 [R, count]."""
        if not self.generators:
            self.generators = [torch.Generator(self.device).manual_seed(seed) for seed in self.seeds]
        words = torch.empty(len(self.generators), count, dtype=torch.int64, device=self.device)
        for run, generator in zip(words, self.generators, strict=True):
            run.random_(-(2**63), None, generator=generator)
        return words

    def keep(self, name: str, shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor:
        """Fresh masks: 0 with probability ``rate`` to within 2⁻¹⁷, else 1 / (1 - rate).

        Args:
            name: which dropout of the model they are for; it does not enter the draw.
            shape: of one run's mask.
            rate: in [0, 1).
            like: a tensor with the masks' dtype and device.

        Returns:
            the masks, [R, *shape].
        """
        count = math.prod(shape)
        # 16 random bits an element: on a CPU this is several times as fast as bernoulli_
        bits = self.words(-(-count // 4)).view(torch.int16)[:, :count]
        masks = like.new_empty(bits.shape)
        torch.ge(bits, round(rate * 2**16) - 2**15, out=masks)
        return masks.mul_(1 / (1 - rate)).unflatten(1, shape)


def dropped(x: Tensor, name: str, rate: float, noise: Noise | None) -> Tensor:
    """Dropout of x [R, ...] in training; x itself at rate 0 or in evaluation, which has no noise."""
    return x if noise is None or rate == 0 else x * noise.keep(name, x.shape[1:], rate, x)
