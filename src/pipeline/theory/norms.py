"""Norms of attention heads and of the readout, in units in which trained and constructed ones compare.

LayerNorm's gain is folded into the weights behind it, and its output, whose norm is at most √d, is counted as a vector
of norm at most 1: B_X = 1. What is measured, for each head of width e = d / H:

- W_QK = (d / √e) · diag(g) W_Kᵀ W_Q diag(g), so that a score is x̂ᵀ W_QK ẑ, and W_V = √d · W_V diag(g);
- the query: the vector [CLS]'s query is to the keys, so that a score is x̂ᵀ q. It has the biases too, which W_QK
  has not;
- the readout's two layers: √d · W_in diag(g), and W_out over the norm of [CLS]'s embedding, with which it is summed.

‖A‖_{2,1} is the sum over the columns of 2-norms in the paper's orientation (:mod:`pipeline.engine.norm_bound`): of W_V
and the readout's layers over their units. It depends on the basis, the Frobenius norm does not.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.engine.norm_bound import norm_of_product


def head_norms(p: Mapping[str, Tensor], heads: int) -> dict[str, Tensor]:
    """Norms of each head of one run's parameters, [H] each.

    Returns:
        ``qk_frobenius``, ``qk_21``, ``v_frobenius``, ``v_21``, ``v_spectral`` and ``query``.
    """
    d, gain = len(p["cls"]), p["attention_norm_gain"]
    e = d // heads
    scale = (d / math.sqrt(e)) ** 0.5
    query, key, value = ((p[f"{name}_weight"] * gain).unflatten(0, (heads, e)) for name in ("query", "key", "value"))
    value = math.sqrt(d) * value
    return {
        "qk_frobenius": norm_of_product(scale * query, scale * key, "frobenius"),
        "qk_21": norm_of_product(scale * query, scale * key, "2,1"),
        "v_frobenius": value.norm(dim=(1, 2)),
        "v_21": value.norm(dim=2).sum(1),
        "v_spectral": torch.linalg.matrix_norm(value, 2),
        "query": folded_query(p, heads).norm(dim=1),
    }


def folded_query(p: Mapping[str, Tensor], heads: int) -> Tensor:
    """[CLS]'s query folded into each head's keys, for tokens of norm 1, [H, d]; LayerNorm's bias shifts all scores."""
    d, gain, bias = len(p["cls"]), p["attention_norm_gain"], p["attention_norm_bias"]
    cls = F.layer_norm(p["cls"] + p["cls_position"], (d,), gain, bias)
    query = F.linear(cls, p["query_weight"], p["query_bias"]).unflatten(0, (heads, -1))
    keys = (p["key_weight"] * gain).unflatten(0, (heads, -1))
    return math.sqrt(d) * (query.unsqueeze(1) @ keys).squeeze(1) / math.sqrt(d // heads)


def readout_norms(p: Mapping[str, Tensor]) -> dict[str, float]:
    """``readout_frobenius`` and ``readout_21``, products of the norms of the MLP's two layers."""
    inner = math.sqrt(len(p["cls"])) * p["mlp_in_weight"] * p["mlp_norm_gain"]
    outer = p["mlp_out_weight"] / (p["cls"] + p["cls_position"]).norm()
    return {
        "readout_frobenius": float(inner.norm() * outer.norm()),
        "readout_21": float(inner.norm(dim=1).sum() * outer.norm(dim=0).sum()),
    }
