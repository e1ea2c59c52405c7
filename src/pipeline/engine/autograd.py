"""What stacked models share whose gradients come from autograd.

Activations are row-major, [R, ..., channels], weights and vectors have torch.nn's layouts: [R, out, in] and [R, out].
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.dropout import Noise
from pipeline.engine.parameters import ParameterStack, Shapes

Parameters = ParameterStack | Mapping[str, Tensor]  # by name, [R, *shape]


class AutogradModel(ABC):
    """A stacked model whose subclass gives the forward pass.

    No operation may mix runs: a run's gradient is then that of its own loss, and a run that diverges touches no other.
    """

    @property
    @abstractmethod
    def shapes(self) -> Shapes:
        """Every parameter's shape in one run."""

    @property
    @abstractmethod
    def floats_per_sample(self) -> int:
        """How many floats a training step holds for a sample of a run: what autograd saves and the largest gradient."""

    @abstractmethod
    def forward(self, p: Parameters, samples: Tensor, noise: Noise | None) -> Tensor:
        """Logits [R, n]; without noise no dropout."""

    def floats_per_run(self, n: int, device: torch.device) -> int:
        """How many floats a training step on n samples holds for a run, with gradient and moments; on any device."""
        return n * self.floats_per_sample + 4 * sum(torch.Size(shape).numel() for shape in self.shapes.values())

    def logits(self, p: ParameterStack, samples: Tensor) -> Tensor:
        """Logits of P(label = 1), [R, n]; encoded samples [R, n, ...], or [1, n, ...] if all runs share them."""
        return self.forward(p, samples, None)

    def loss_and_gradients(
        self,
        p: ParameterStack,
        samples: Tensor,
        labels: Tensor,
        gradients: ParameterStack,
        noise: Noise,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Mean cross-entropy of each run, [R], for labels [R, n] in {0, 1}; writes its gradients."""
        # Leaves for each parameter: as views of one leaf, each would add a gradient of the whole buffer's size.
        leaves = {name: p[name].detach().requires_grad_() for name in p.shapes}
        with torch.enable_grad():
            logits = self.forward(leaves, samples, noise)
            each = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
            losses = each.mean(1) if weights is None else (weights * each).sum(1)
            computed = torch.autograd.grad(losses.sum(), list(leaves.values()))
        for name, gradient in zip(leaves, computed, strict=True):
            gradients[name].copy_(gradient)
        return losses.detach()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer of each run: [R, ..., in], or [1, ..., in] if all runs share it, -> [R, ..., out]."""
    rows = x.flatten(1, -2).expand(len(weight), -1, -1)
    product = torch.bmm(rows, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), rows, weight.mT)
    return product.unflatten(1, x.shape[1:-1])
