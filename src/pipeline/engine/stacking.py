"""How many runs to stack."""

import torch

from pipeline.engine.model import StackedModel
from pipeline.engine.transformer import Transformer

# Bytes that a stack's training step may hold on the CPU. Small stacks pay for the calls of a step; of the one-layer
# Transformer, whose calls are few, large ones pay for memory that the caches do not hold (benchmarks/stacking.py).
CACHED = 48 * 2**20
MEMORY = 512 * 2**20
GPU_SHARE = 0.5  # of the free memory of a GPU, which hides its latencies behind large stacks
FLOAT = 4


def runs_per_stack(model: StackedModel, n: int, device: torch.device) -> int:
    """The number of runs to train as one stack: as many as the memory budget allows, at least one.

    Args:
        model: the architecture.
        n: number of training samples.
        device: where it is trained.
    """
    if device.type == "cuda":
        budget = int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    else:
        budget = CACHED if isinstance(model, Transformer) else MEMORY
    return max(1, budget // (FLOAT * model.floats_per_run(n, device)))
