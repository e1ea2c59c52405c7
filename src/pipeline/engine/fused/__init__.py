"""The one-layer Transformer on a GPU: a step in eight Triton kernels, which are to it what kernels.c is to a CPU.

In torch (transformer.py) a step is some two hundred operations. Those over the table of tokens pass over memory again
and again, the others are so small that a GPU takes longer to start them than to do them. Here

- tokens.py goes from the parameters to the products of the positions and the bits with the weights,
- sums.py to the sums over the tokens of each sample, for which it never writes the table,
- losses.py to the logits, or to the losses and at once back to the gradient of the sums,

and the first two back, with derived gradients. No autograd takes part.

Products are those of tensor cores: three of TF32 (or of bfloat16, where one side is exact in it) for one of float32, or
one of TF32, if that is the precision of products.

Triton comes with PyTorch's CUDA builds. It wants blocks that are powers of two; so are the sizes of the model here.

Shapes: R runs, T positions, n samples, d width, H heads, Q = d / H, m MLP width, C = d + H columns: the values' in the
order [Q, H], then the scores.
"""

import torch
from torch import Tensor

from pipeline.engine.fused import losses, sums, tokens
from pipeline.engine.parameters import ParameterStack

WIDTHS = (16, 32, 64)  # also numbers of heads; the activations of larger models do not stay in registers
HOPPER = (9, 0)  # the compute capability of H100 and H200


def supported(width: int, heads: int, mlp_width: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there are kernels for it: in float32, in sizes of which blocks are made, on a GPU of the kind that they
    were tested on. Others have less memory close to their processors, or Triton makes other code for them.
    """
    if device.type != "cuda" or dtype != torch.float32 or not {width, heads, mlp_width} <= set(WIDTHS) or heads > width:
        return False
    return torch.cuda.is_available() and torch.cuda.get_device_capability(device) == HOPPER


def infer(p: ParameterStack, heads: int, activation: str, samples: Tensor) -> Tensor:
    """Logits, [R, n], for samples as :func:`train` takes them."""
    given = tokens.forward(p, heads)
    return losses.infer(p, sums.forward(given, samples.contiguous()), given.cls_row, activation)


def train(
    p: ParameterStack,
    heads: int,
    activation: str,
    samples: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    gradients: ParameterStack,
) -> Tensor:
    """Mean cross-entropy of each run, [R]; writes its gradients.

    Args:
        p: the parameters of one-layer Transformers, those of R runs.
        heads: H.
        activation: of the MLP, "gelu" or "relu".
        samples: bits, bool [R, n, at least T], or [1, n, …] if all runs share them.
        labels: 0 and 1, [R, n].
        weights: theirs in the mean, [R, n]; None: all count alike.
        gradients: what is written.
    """
    # a kernel goes by where tensors begin
    samples, labels, weights = (data if data is None else data.contiguous() for data in (samples, labels, weights))
    given = tokens.forward(p, heads)
    found, of_sums, of_cls_row = losses.train(
        p, sums.forward(given, samples), given.cls_row, activation, labels, weights, gradients
    )
    tokens.backward(p, given, sums.backward(given, samples, of_sums), of_cls_row, gradients)
    return found
