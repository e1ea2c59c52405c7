"""From the sums to the logits, and in training at once back to the gradient of the sums.

A program goes through the samples of a run block by block; activations stay in registers.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pipeline.engine.fused.operations import at_values, dot, normalised, of_normalised, over_values, precision
from pipeline.engine.parameters import ParameterStack

BLOCK, WARPS = 32, 8  # samples of a block, warps of a program

PARAMETERS = ("out_weight", "out_bias", "mlp_norm_gain", "mlp_norm_bias", "mlp_in_weight", "mlp_in_bias")
PARAMETERS += ("mlp_out_weight", "mlp_out_bias", "final_norm_gain", "final_norm_bias", "readout_weight", "readout_bias")
OUT, OUT_BIAS, MLP_GAIN, MLP_BIAS, MLP_IN, MLP_IN_BIAS, *_ = PLACES = [*map(tl.constexpr, range(len(PARAMETERS)))]
MLP_OUT, MLP_OUT_BIAS, GAIN, BIAS, READOUT, READOUT_BIAS = PLACES[6:]


def infer(p: ParameterStack, sums: Tensor, cls_row: Tensor, activation: str) -> Tensor:
    """Logits, [R, n].

    Args:
        p: the parameters.
        sums: over shares of the positions, [R, shares, n, C].
        cls_row: [CLS]'s row [w ∘ v; w], [R, C].
        activation: of the MLP, "gelu" or "relu".
    """
    runs, shares, n, _ = sums.shape
    logits = sums.new_empty(runs, n)
    given = _of(p, PARAMETERS), p["cls"], p["cls_position"], sums, cls_row
    grid = runs, triton.cdiv(n, BLOCK)
    _through[grid](*given, logits, *[None] * 7, n, BLOCK, shares, **_options(p, cls_row, activation), TRAIN=False)
    return logits


def train(
    p: ParameterStack,
    sums: Tensor,
    cls_row: Tensor,
    activation: str,
    labels: Tensor,
    weights: Tensor | None,
    gradients: ParameterStack,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy of each run, [R], and its gradients by the sums, [R, n, C], and by [CLS]'s row, [R, C].

    Those by the parameters that follow are written, and that by what attention is added to as that of ``cls_position``.

    Args:
        p, sums, cls_row, activation: as for :func:`infer`.
        labels: 0 and 1, [R, n].
        weights: theirs in the mean, [R, n]; None: all count alike.
        gradients: what is written.
    """
    runs, shares, n, columns = sums.shape
    losses, of_sums, of_cls_row = sums.new_empty(runs), sums.new_empty(runs, n, columns), torch.empty_like(cls_row)
    given = _of(p, PARAMETERS), p["cls"], p["cls_position"], sums, cls_row, None, labels, weights
    outputs = losses, of_sums, of_cls_row, gradients["cls_position"], _of(gradients, PARAMETERS)
    _through[runs, 1](*given, *outputs, n, n, shares, **_options(p, cls_row, activation), TRAIN=True)
    return losses, of_sums, of_cls_row


def _of(stack: ParameterStack, names: tuple[str, ...]) -> tuple[Tensor, ...]:
    return tuple(stack[name] for name in names)


def _options(p: ParameterStack, cls_row: Tensor, activation: str) -> dict[str, int | str | bool]:
    (width,), (mlp_width,) = p.shapes["cls"], p.shapes["mlp_in_bias"]
    sizes = {"D": width, "H": cls_row.shape[1] - width, "M": mlp_width, "N": BLOCK, "num_warps": WARPS}
    return sizes | {"GELU": activation == "gelu", "PRECISION": precision(p.flat)}


@triton.jit(do_not_specialize=["n", "share", "shares"])
def _through(
    parameters,
    cls,
    cls_position,
    sums,
    cls_row,
    logits,
    labels,
    weights,
    losses,
    of_sums,
    of_cls_row,
    of_residual,
    gradients,
    n,
    share,
    shares,
    D: tl.constexpr,
    H: tl.constexpr,
    M: tl.constexpr,
    N: tl.constexpr,
    GELU: tl.constexpr,
    PRECISION: tl.constexpr,
    TRAIN: tl.constexpr,
):
    """A share of a run's samples: writes logits, or in training, where the share is all, losses and gradients."""
    Q: tl.constexpr = D // H
    C: tl.constexpr = D + H
    run, d, h, m = tl.program_id(0).to(tl.int64), tl.arange(0, D), tl.arange(0, H), tl.arange(0, M)
    channel = d % H * Q + d // H  # of the attention output, for each column of the values
    at_out = run * D * D + d[:, None] * D + channel[None]
    at_in, at_mlp_out = run * M * D + m[:, None] * D + d[None], run * D * M + d[:, None] * M + m[None]

    mlp_gain = tl.load(parameters[MLP_GAIN] + run * D + d)[None]
    mlp_bias = tl.load(parameters[MLP_BIAS] + run * D + d)[None]
    gain, bias = tl.load(parameters[GAIN] + run * D + d)[None], tl.load(parameters[BIAS] + run * D + d)[None]
    readout, offset = tl.load(parameters[READOUT] + run * D + d)[None], tl.load(parameters[READOUT_BIAS] + run)
    in_bias = tl.load(parameters[MLP_IN_BIAS] + run * M + m)[None]
    mlp_out_bias = tl.load(parameters[MLP_OUT_BIAS] + run * D + d)[None]
    residual = tl.load(cls + run * D + d) + tl.load(cls_position + run * D + d)
    residual += tl.load(parameters[OUT_BIAS] + run * D + d)
    cls_values, cls_weights = tl.load(cls_row + run * C + d)[None], tl.load(cls_row + run * C + D + h)[None]

    if TRAIN:
        of_out, of_in = tl.zeros((D, D), losses.dtype.element_ty), tl.zeros((M, D), losses.dtype.element_ty)
        of_mlp_out = tl.zeros((D, M), losses.dtype.element_ty)
        of_in_bias = tl.zeros((M,), losses.dtype.element_ty)
        zero = tl.zeros_like(residual)
        of_mlp_gain, of_mlp_bias, of_mlp_out_bias, of_gain, of_bias, of_readout = zero, zero, zero, zero, zero, zero
        of_x_all, of_cls_values, of_cls_weights = zero, zero, tl.zeros((H,), losses.dtype.element_ty)
        of_offset, loss = tl.zeros_like(offset), tl.zeros_like(offset)

    for start in range(tl.program_id(1) * share, tl.minimum((tl.program_id(1) + 1) * share, n), N):
        i = start + tl.arange(0, N)
        inside = (i < n)[:, None]
        values, normaliser = tl.broadcast_to(cls_values, (N, D)), tl.broadcast_to(cls_weights, (N, H))
        for part in range(shares):
            row = sums + ((run * shares + part) * n + i[:, None]) * C
            values += tl.load(row + d[None], mask=inside, other=0.0)
            normaliser += tl.load(row + (D + h)[None], mask=inside, other=1.0)  # no row is divided by 0
        divided = at_values(1 / normaliser, N, Q, H)
        attended = values * divided
        x = dot(attended, tl.trans(tl.load(parameters[OUT] + at_out)), PRECISION) + residual[None]
        x_normal, x_scale = normalised(x, D)
        mlp_input = x_normal * mlp_gain + mlp_bias
        hidden = dot(mlp_input, tl.trans(tl.load(parameters[MLP_IN] + at_in)), PRECISION) + in_bias
        activated, slope = _activated(hidden, GELU)
        y = x + dot(activated, tl.trans(tl.load(parameters[MLP_OUT] + at_mlp_out)), PRECISION) + mlp_out_bias
        y_normal, y_scale = normalised(y, D)
        final = y_normal * gain + bias
        logit = tl.sum(final * readout, 1) + offset
        if TRAIN:
            label = tl.load(labels + run * n + i, mask=i < n, other=0.0)
            if weights is None:
                weight = tl.where(i < n, 1.0, 0.0) / n
            else:
                weight = tl.load(weights + run * n + i, mask=i < n, other=0.0)
            sign = 1 - 2 * label
            loss += tl.sum(weight * _softplus(sign * logit))
            of_logit = (weight * sign / (1 + tl.exp(-sign * logit)))[:, None]
            of_offset += tl.sum(of_logit)
            of_readout += tl.sum(of_logit * final, 0)
            of_final = of_logit * readout
            of_gain += tl.sum(of_final * y_normal, 0)
            of_bias += tl.sum(of_final, 0)
            of_y = of_normalised(of_final * gain, y_normal, y_scale, D)
            of_mlp_out_bias += tl.sum(of_y, 0)
            of_mlp_out += dot(tl.trans(of_y), activated, PRECISION)
            of_hidden = dot(of_y, tl.load(parameters[MLP_OUT] + at_mlp_out), PRECISION) * slope
            of_in_bias += tl.sum(of_hidden, 0)
            of_in += dot(tl.trans(of_hidden), mlp_input, PRECISION)
            of_input = dot(of_hidden, tl.load(parameters[MLP_IN] + at_in), PRECISION)
            of_mlp_gain += tl.sum(of_input * x_normal, 0)
            of_mlp_bias += tl.sum(of_input, 0)
            of_x = of_y + of_normalised(of_input * mlp_gain, x_normal, x_scale, D)
            of_x_all += tl.sum(of_x, 0)
            of_out += dot(tl.trans(of_x), attended, PRECISION)
            of_values = dot(of_x, tl.load(parameters[OUT] + at_out), PRECISION) * divided
            of_weights = -over_values(of_values * attended, N, Q, H)
            of_cls_values += tl.sum(of_values, 0)
            of_cls_weights += tl.sum(of_weights, 0)
            row = of_sums + (run * n + i[:, None]) * C
            tl.store(row + d[None], of_values, mask=inside)
            tl.store(row + (D + h)[None], of_weights, mask=inside)
        else:
            tl.store(logits + run * n + i, logit, mask=i < n)

    if TRAIN:
        tl.store(losses + run, loss)
        tl.store(of_cls_row + run * C + d, of_cls_values)
        tl.store(of_cls_row + run * C + D + h, of_cls_weights)
        tl.store(of_residual + run * D + d, of_x_all)
        tl.store(gradients[OUT] + at_out, of_out)
        tl.store(gradients[OUT_BIAS] + run * D + d, of_x_all)
        tl.store(gradients[MLP_GAIN] + run * D + d, of_mlp_gain)
        tl.store(gradients[MLP_BIAS] + run * D + d, of_mlp_bias)
        tl.store(gradients[MLP_IN] + at_in, of_in)
        tl.store(gradients[MLP_IN_BIAS] + run * M + m, of_in_bias)
        tl.store(gradients[MLP_OUT] + at_mlp_out, of_mlp_out)
        tl.store(gradients[MLP_OUT_BIAS] + run * D + d, of_mlp_out_bias)
        tl.store(gradients[GAIN] + run * D + d, of_gain)
        tl.store(gradients[BIAS] + run * D + d, of_bias)
        tl.store(gradients[READOUT] + run * D + d, of_readout)
        tl.store(gradients[READOUT_BIAS] + run, of_offset)


@triton.jit
def _activated(x, GELU: tl.constexpr):
    """The activation and its derivative."""
    if GELU:
        below = 0.5 + 0.5 * tl.erf(x * 0.7071067811865476)  # of a standard normal variable
        activated, slope = x * below, below + x * tl.exp(-0.5 * x * x) * 0.3989422804014327
    else:
        activated, slope = tl.where(x < 0, 0.0, x), tl.where(x > 0, 1.0, 0.0)  # of a maximum, NaN might become 0
    return activated, slope


@triton.jit
def _softplus(x):
    """log(1 + exp(x)); the logarithm of 1 + e is corrected for what the sum rounds off."""
    e = tl.exp(-tl.abs(x))
    above = 1 + e
    logarithm = tl.where(above == 1, e, tl.log(above) * e / tl.where(above == 1, 1.0, above - 1))
    return tl.maximum(x, 0.0) + logarithm
