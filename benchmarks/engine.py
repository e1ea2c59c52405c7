"""What is timed: a training step of the paper's model. Here the engine's; rivals.py and jax_rival.py have others."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.data.bits import PackedBits
from pipeline.engine.cuda_graphs import CapturedStep
from pipeline.engine.dropout import NO_DROPOUT, Dropout, Noise
from pipeline.engine.optimisers import StackedOptimiser
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol, Success
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream

PROTOCOL = Protocol(
    learning_rate=3e-3, weight_decay=1e-4, max_steps=1000, eval_every=20, success=Success(accuracy=1.0, when="any")
)
ARCHITECTURE = {"width": 64, "heads": 16, "mlp_width": 64}

CPU = torch.device("cpu")

Step = Callable[[], Tensor]  # trains every run of a stack by one step; their losses before it, [R]


def architecture(context_length: int) -> Transformer:
    """The paper's model."""
    return Transformer(context_length, **ARCHITECTURE, init_std=0.02)


def data(context_length: int, n: int, runs: int, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    """Inputs bool [R, n, T] and labels bool [R, n] of 3-way ANDs."""
    bits = torch.rand(runs, n, context_length, generator=torch.Generator().manual_seed(0)) < 2 ** (-1 / 3)
    return bits.to(device), bits[..., :3].all(-1).to(device)


def initial(context_length: int, runs: int, dtype: torch.dtype, device: torch.device = CPU) -> ParameterStack:
    """The runs' initial parameters."""
    stack = architecture(context_length).initialise([Stream("bench", seed=seed) for seed in range(runs)])
    return stack.like(stack.flat.to(device, dtype))


def engine_step(
    context_length: int,
    n: int,
    runs: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
    dropout: Dropout = NO_DROPOUT,
) -> Step:
    """A training step of a stack of runs; on a GPU as a CUDA graph."""
    model, noise = replace(architecture(context_length), dropout=dropout), Noise(range(runs), device)
    bits, labels = data(context_length, n, runs)
    packed = torch.from_numpy(PackedBits.pack(bits.numpy()).data).to(device)
    samples, labels = model.encode(packed, dtype), labels.to(device, dtype)
    optimiser = StackedOptimiser(initial(context_length, runs, dtype, device), PROTOCOL)

    @torch.no_grad()
    def step() -> Tensor:
        losses = model.loss_and_gradients(optimiser.parameters, samples, labels, optimiser.gradients, noise)
        optimiser.step()
        return losses

    return CapturedStep(step, noise) if device.type == "cuda" else step


def direct_operations(context_length: int, n: int) -> int:
    """Floating-point operations of a step's matrix products, for one run in the engine's direct form.

    That is the [CLS]-only function with a table of distinct tokens and the product of the one-hot samples with it
    written out, forward and backward, however an implementation computes it.
    """
    d, m = ARCHITECTURE["width"], ARCHITECTURE["mlp_width"]
    columns = d + ARCHITECTURE["heads"]  # of the table: values and scores
    attention = 2 * 2 * n * 2 * context_length * columns
    table = 3 * 2 * (context_length + 2) * d * columns
    output_and_mlp = 3 * 2 * n * (d * d + 2 * d * m)
    return attention + table + output_and_mlp
