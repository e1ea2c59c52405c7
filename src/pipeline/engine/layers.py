"""Layers over stacked runs with derived backward passes.

Activations are [R, rows, channels], where a row is a token or a sample; weights keep torch.nn's layout [R, out, in],
and vectors (biases, gains) are rows [R, 1, channels].
"""

import torch
from torch import Tensor

EPSILON = 1e-5  # torch.nn.LayerNorm's default


class Normalised:
    """LayerNorm over channels without gain and bias.

    Args:
        x: [R, rows, channels].
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.output, self._mean, self._scale = torch.native_layer_norm(x, x.shape[-1:], None, None, EPSILON)

    def backward(self, d_output: Tensor) -> Tensor:
        """The gradient with respect to x."""
        return torch.ops.aten.native_layer_norm_backward(
            d_output, self.x, self.x.shape[-1:], self._mean, self._scale, None, None, [True, False, False]
        )[0]


def matvec(matrix: Tensor, vector: Tensor) -> Tensor:
    """``matrix @ vector`` for a matrix [R, out, in] and a row [R, 1, in], as a row [R, 1, out]; faster than bmm."""
    return (matrix * vector).sum(2).unsqueeze(1)


class AffineLinear:
    """``W (gain ∘ x + bias) + c``: the affine part of a LayerNorm and the linear layer behind it.

    Gain and bias are folded into the weight, so the only pass over the rows is one matrix product.

    Args:
        weight: [R, out, in].
        offset: c, [R, 1, out].
        gain: [R, 1, in].
        bias: [R, 1, in].
    """

    def __init__(self, weight: Tensor, offset: Tensor, gain: Tensor, bias: Tensor) -> None:
        self.weight, self.gain, self.bias = weight, gain, bias
        self.folded = weight * gain
        self.offset = matvec(weight, bias).add_(offset)

    def forward(self, x: Tensor) -> Tensor:
        """[R, rows, in] -> [R, rows, out]."""
        return torch.baddbmm(self.offset, x, self.folded.mT)

    def backward(self, d_out: Tensor, x: Tensor, d_weight: Tensor, d_offset: Tensor, d_gain: Tensor, d_bias: Tensor):
        """Writes the parameters' gradients into the four ``d_`` tensors and returns x's, [R, rows, in]."""
        torch.sum(d_out, 1, keepdim=True, out=d_offset)
        d_folded = torch.bmm(d_out.mT, x)
        torch.sum(d_folded * self.weight, 1, keepdim=True, out=d_gain)
        d_bias.copy_(matvec(self.weight.mT, d_offset))
        torch.addcmul(d_offset.mT * self.bias, d_folded, self.gain, out=d_weight)
        return torch.bmm(d_out, self.folded)
