"""How many runs to stack."""

import torch

from pipeline.engine.model import StackedModel

# Bytes that a stack's training step may hold on the CPU. Time per run falls with the size of the stack up to 50 runs at
# least, since small stacks pay for the calls of a step (benchmarks/stacking.py); so the limit is for memory's sake.
BUDGET = 512 * 2**20
GPU_SHARE = 0.2  # of the free memory of a GPU: a few processes train there at a time (pipeline.jobs.server)
GPU_RUNS = 500  # by which a GPU is full; of runs of several n, those of a stack are then closer to each other in n
FLOAT = 4


def runs_per_stack(model: StackedModel, n: int, device: torch.device) -> int:
    """The number of runs to train as one stack: as many as the memory budget allows, at least one.

    Args:
        model: the architecture.
        n: number of training samples.
        device: where it is trained.
    """
    of_run = FLOAT * model.floats_per_run(n, device)
    if device.type == "cpu":
        return max(1, BUDGET // of_run)
    return max(1, min(GPU_RUNS, int(GPU_SHARE * torch.cuda.mem_get_info(device)[0]) // of_run))
