"""Dropout masks for comparisons of the C functions, which draw those of attention weights, with what is given masks."""

from collections.abc import Sequence

import torch

from pipeline.engine.dropout import Noise
from pipeline.engine.transformer import Transformer

CPU = torch.device("cpu")


class NoiseOfC(Noise):
    """Noise whose masks of a Transformer's attention weights are those that a step in C draws."""

    def __init__(self, model: Transformer, seeds: Sequence[int]) -> None:
        super().__init__(seeds, CPU)
        self.model = model

    def keep(self, name, shape, rate, like):
        if name != "attention1":
            return super().keep(name, shape, rate, like)
        n, heads, _, tokens = shape
        masks = like.new_empty(len(self.seeds), n, tokens, heads)
        self.model._kernels(CPU, like.dtype)("draw", len(self.seeds), tokens - 1, n, rate, self.words(1), masks)
        return masks.permute(0, 1, 3, 2).unsqueeze(3)
