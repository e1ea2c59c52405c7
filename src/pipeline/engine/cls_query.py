"""[CLS]'s query folded into the weights of the one-layer Transformer.

A score is the inner product of [CLS]'s query with a token's key, so it is that of the normalised token with the query
times the key weights: no key vector is formed. The LayerNorm's gain goes into the weights too.

Shapes: R runs, d width, H heads, C = d + H; a projection's rows are those of attention.py's table.
"""

import math

import torch
from torch import Tensor

from pipeline.engine.attention import Inputs
from pipeline.engine.layers import Normalised, matvec
from pipeline.engine.parameters import ParameterStack


class ClsQuery:
    """From the parameters to what attention is a function of, and back."""

    def __init__(self, p: ParameterStack, heads: int) -> None:
        self._p, self._heads = p, heads
        self._gain = p["attention_norm_gain"].unsqueeze(1)
        self._norm = Normalised((p["cls"] + p["cls_position"]).unsqueeze(1))
        self._normed = torch.addcmul(p["attention_norm_bias"].unsqueeze(1), self._gain, self._norm.output)
        self._query = matvec(p["query_weight"], self._normed).add_(p["query_bias"].unsqueeze(1)).mT
        by_head = (p["key_weight"] * self._query).unflatten(1, (heads, -1))
        self._per_head = by_head.shape[2]
        scores = by_head.sum(2) / math.sqrt(self._per_head)
        values = p["value_weight"].unflatten(1, (heads, -1)).transpose(1, 2)
        self._projection = torch.cat([values.flatten(1, 2), scores], 1)
        self._folded = self._projection * self._gain
        cls = matvec(self._folded, self._norm.output)
        # the LayerNorm's bias shifts all scores alike, which the softmax does not see, and all values
        constant = matvec(p["value_weight"], p["attention_norm_bias"].unsqueeze(1)).squeeze(1).add_(p["value_bias"])
        self.inputs = Inputs(p["embedding"], self._folded, cls.squeeze(1), constant)

    def backward(self, d: Inputs, d_residual: Tensor, g: ParameterStack) -> None:
        """Writes the gradients of everything up to the attention but the embeddings.

        Args:
            d: gradients of the attention's inputs.
            d_residual: that of the residual stream, which begins with [CLS]'s embedding, [R, d].
            g: where they are written.
        """
        p, d_constant, d_cls = self._p, d.constant.unsqueeze(1), d.cls.unsqueeze(1)
        g["value_bias"].copy_(d.constant)
        d_folded = d.projection.addcmul_(d.cls.unsqueeze(2), self._norm.output)
        torch.sum(d_folded * self._projection, 1, out=g["attention_norm_gain"])
        d_normed = self._projection_backward(d_folded.mul_(self._gain), g)
        g["attention_norm_gain"].addcmul_(d_normed.squeeze(1), self._norm.output.squeeze(1))
        g["attention_norm_bias"].copy_((matvec(p["value_weight"].mT, d_constant) + d_normed).squeeze(1))
        g["value_weight"].addcmul_(d_constant.mT, p["attention_norm_bias"].unsqueeze(1))
        d_norm = matvec(self._folded.mT, d_cls).addcmul_(d_normed, self._gain)
        torch.add(self._norm.backward(d_norm).squeeze(1), d_residual, out=g["cls"])
        g["cls_position"].copy_(g["cls"])

    def _projection_backward(self, d_projection: Tensor, g: ParameterStack) -> Tensor:
        """Writes the gradients of value, key and query; returns that of [CLS] after its norm, [R, 1, d]."""
        p = self._p
        d_values, d_scores = d_projection.split([p["value_weight"].shape[1], self._heads], 1)
        values = g["value_weight"].unflatten(1, (self._heads, -1))
        values.copy_(d_values.unflatten(1, (-1, self._heads)).transpose(1, 2))
        d_scores = (d_scores / math.sqrt(self._per_head)).repeat_interleave(self._per_head, 1)
        torch.mul(d_scores, self._query, out=g["key_weight"])
        torch.sum(d_scores * p["key_weight"], 2, out=g["query_bias"])
        d_query = g["query_bias"].unsqueeze(1)
        torch.mul(d_query.mT, self._normed, out=g["query_weight"])
        return matvec(p["query_weight"].mT, d_query)
