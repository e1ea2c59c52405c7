"""Whether the kernels compute on this GPU what the torch form does.

Triton compiles them where they run, and its versions have made wrong code of kernels that its interpreter runs rightly
(docs/results/gpu). So a process compares them before it trains with them: a step and logits of a small stack.
"""

import logging
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import torch
import triton

from pipeline.engine import fused
from pipeline.engine.attention import bits, one_hot
from pipeline.engine.autograd import AutogradModel
from pipeline.engine.fused.operations import precision
from pipeline.randomness import Stream

if TYPE_CHECKING:
    from pipeline.engine.transformer import Transformer

log = logging.getLogger(__name__)
RUNS, T, SAMPLES = 2, 75, 70  # some blocks of each kernel, the last of them not full
SPREAD = 0.3  # of the parameters: all of them matter then
TOLERANCE = {"tf32": 1e-1, "tf32x3": 1e-3, "ieee": 1e-3}  # of each parameter's gradient; wrong code is farther off


@cache
def agree(model: "Transformer", device: torch.device) -> bool:
    """Whether they do for models of these sizes, with a warning if not."""
    small, generator = replace(model, context_length=T, init_std=SPREAD), torch.Generator().manual_seed(0)
    start = small.initialise([Stream("kernel-check", seed=seed) for seed in range(RUNS)])
    start = start.like(start.flat.to(device))
    packed = torch.randint(0, 256, (RUNS, SAMPLES, -(-T // 8)), dtype=torch.uint8, generator=generator).to(device)
    labels = torch.randint(0, 2, (RUNS, SAMPLES), generator=generator).to(device, torch.float32)
    weights = torch.full_like(labels, 1 / SAMPLES)

    exact, rows = start.like(start.flat.double()), one_hot(packed, T, torch.float64)
    expected, found = start.like(torch.empty_like(exact.flat)), start.like(torch.empty_like(start.flat))
    AutogradModel.loss_and_gradients(small, exact, rows, labels.double(), expected, None, weights.double())
    samples = bits(packed, T)
    fused.train(start, model.heads, model.activation, samples, labels, weights, found)
    logits = fused.infer(start, model.heads, model.activation, samples)

    pairs = [(logits, small.forward(exact, rows, None)), *((found[name], expected[name]) for name in found.shapes)]
    tolerance = TOLERANCE[precision(logits)]
    close = all((one - other).norm() <= tolerance * other.norm() for one, other in pairs)  # what is no number is not
    if not close:
        log.warning(
            "Triton %s's kernels are wrong here: training takes the torch form, which is slower", triton.__version__
        )
    return close
