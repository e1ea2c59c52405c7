"""What follows the attention of a one-layer Transformer, as a function of the heads' outputs, in torch."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def logits_of(p: Mapping[str, Tensor], activation: str, attended: Tensor) -> Tensor:
    """Logits [n] of one run from its parameters and the heads' outputs side by side, [n, d]."""

    def normalised(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], p[f"{name}_norm_gain"], p[f"{name}_norm_bias"])

    x = p["cls"] + p["cls_position"] + F.linear(attended, p["out_weight"], p["out_bias"])
    hidden = getattr(F, activation)(F.linear(normalised(x, "mlp"), p["mlp_in_weight"], p["mlp_in_bias"]))
    x = x + F.linear(hidden, p["mlp_out_weight"], p["mlp_out_bias"])
    return F.linear(normalised(x, "final"), p["readout_weight"], p["readout_bias"]).squeeze(-1)


def slopes(p: Mapping[str, Tensor], activation: str, attended: Tensor) -> Tensor:
    """The norms of the logits' gradients in the heads' outputs, [n], at [n, d]."""
    with torch.enable_grad():
        attended = attended.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(logits_of(p, activation, attended).sum(), attended)
    return gradient.norm(dim=1)
