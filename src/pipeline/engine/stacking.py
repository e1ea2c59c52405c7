"""How many runs to stack."""

import torch

from pipeline.engine.model import StackedModel

# Bytes that a stack's training step may hold on the CPU. Time per run falls with the size of the stack up to 50 runs at
# least, since small stacks pay for the calls of a step (benchmarks/stacking.py); so the limit is for memory's sake.
BUDGET = 512 * 2**20
GPU_SHARE = 0.5  # of the free memory of a GPU, which hides its latencies behind large stacks
FLOAT = 4


def runs_per_stack(model: StackedModel, n: int, device: torch.device) -> int:
    """The number of runs to train as one stack: as many as the memory budget allows, at least one.

    Args:
        model: the architecture.
        n: number of training samples.
        device: where it is trained.
    """
    budget = int(GPU_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else BUDGET
    return max(1, budget // (FLOAT * model.floats_per_run(n, device)))
