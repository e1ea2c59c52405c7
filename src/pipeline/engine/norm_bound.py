"""Bounds on the norms of attention weights, as in the paper's capacity bounds, kept by a projection after every step.

What is bounded, for each head of width e = d / H by itself:

- the value weight W_V, stored [e, d] as torch.nn does (the value of a token x is W_V x);
- the query-key weight W_QK = W_Kᵀ W_Q, [d, d] of rank e, of which the model stores the factors W_Q and W_K [e, d] (the
  score of a token x for a query token z is xᵀ W_QK z / √e).

Norms, besides Frobenius's: ‖A‖_{2,1} is the sum over the columns of A of their 2-norms. The paper writes weights to the
right of their input, so a column of its W_V is one value unit's weight vector, a row of what is stored here. The
columns of W_QK are taken as they stand.

Projections: a W_V outside the ball goes to the nearest point of the ball in Frobenius distance. For the Frobenius norm
that is a scaling, for the (2,1) norm a soft threshold on the units' norms, as for the l1 ball (Duchi et al. 2008). A
W_QK outside is scaled onto the sphere by scaling both factors by the same number. For the Frobenius norm that is its
nearest point too; for the (2,1) norm it is a retraction, along the ray to the origin.
"""

import torch
from torch import Tensor

from pipeline.engine.model import AttentionModel
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import NormBound


def bound_norms(parameters: ParameterStack, model: AttentionModel, bound: NormBound) -> None:
    """Brings every head of every run and layer back into the bounds, in place; heads within them are not touched."""
    for names in model.attention_weights:
        query, key, value = (parameters[name].unflatten(1, (model.heads, -1)) for name in names)
        if bound.query_key is not None:
            _scale_product(query, key, bound.norm, bound.query_key)
        if bound.value is not None:
            _project(value, bound.norm, bound.value)


def norm_of_product(query: Tensor, key: Tensor, norm: str) -> Tensor:
    """The norm of W_Kᵀ W_Q, [...], from the factors [..., e, d] without forming the product."""
    squares = ((key @ key.mT @ query) * query).sum(-2)  # of the product's columns, [..., d]
    if norm == "frobenius":
        return squares.sum(-1).clamp(min=0).sqrt()
    return squares.clamp(min=0).sqrt().sum(-1)


def _scale_product(query: Tensor, key: Tensor, norm: str, limit: float) -> None:
    scale = (limit / norm_of_product(query, key, norm)).clamp(max=1).sqrt()[..., None, None]
    query.mul_(scale)
    key.mul_(scale)


def _project(value: Tensor, norm: str, limit: float) -> None:
    """The nearest point of the ball around 0 of radius ``limit``, in place; [..., e, d]."""
    if norm == "frobenius":
        value.mul_((limit / value.norm(dim=(-2, -1), keepdim=True)).clamp(max=1))
        return
    norms = value.norm(dim=-1, keepdim=True)
    # The threshold leaves norms that sum to the limit: of the j largest, (their sum - limit) / j for the best j.
    excess = norms.sort(dim=-2, descending=True).values.cumsum(-2) - limit
    count = torch.arange(1, norms.shape[-2] + 1, device=norms.device).unsqueeze(1)
    threshold = (excess / count).amax(-2, keepdim=True).clamp(min=0)
    value.mul_((norms - threshold).clamp(min=0) / norms.clamp(min=torch.finfo(norms.dtype).tiny))
