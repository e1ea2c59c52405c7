"""What an architecture must offer to be trained as a stack."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pipeline.engine.dropout import Noise
from pipeline.engine.parameters import ParameterStack, Shapes
from pipeline.randomness import Stream


class StackedModel(Protocol):
    """R runs of one architecture; their parameters are passed in."""

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run."""

    def initialise(self, streams: Sequence[Stream]) -> ParameterStack:
        """Fresh parameters, one run a stream; float32."""

    def floats_per_run(self, n: int, device: torch.device) -> int:
        """How many floats a training step on n samples holds for a run, with gradient and two moments."""

    def encode(self, packed: Tensor, dtype: torch.dtype) -> Tensor:
        """Inputs in the form that the other methods take: packed, uint8 [R or 1, n, ⌈T/8⌉] -> [R or 1, n, …]."""

    def logits(self, parameters: ParameterStack, samples: Tensor) -> Tensor:
        """Logits of P(label = 1), [R, n], for encoded samples; without dropout."""

    def loss_and_gradients(
        self,
        parameters: ParameterStack,
        samples: Tensor,
        labels: Tensor,
        gradients: ParameterStack,
        noise: Noise,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy of each run, [R], for labels [R, n] in {0, 1}, with dropout; writes its gradients.

        Weights [R, n] say how much a sample counts in the mean of its run; None: 1 / n.
        """


@runtime_checkable
class AttentionModel(StackedModel, Protocol):
    """A stacked model with attention heads, whose weights can be told apart."""

    @property
    def heads(self) -> int:
        """Number of heads of each layer, H."""

    @property
    def attention_weights(self) -> Sequence[tuple[str, str, str]]:
        """Names of each layer's query, key and value weights, each [d, d] with the heads' rows in order."""

    def attention(self, parameters: ParameterStack, inputs: Tensor) -> Tensor:
        """[CLS]'s attention weights in the last layer, without dropout: means over samples, float64 [R, H, T].

        The N samples are shared by the runs and packed, uint8 [N, ⌈T/8⌉]. [CLS]'s weight for itself is left out.
        """
