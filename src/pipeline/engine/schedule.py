"""The learning rate of every step."""

import math

import torch
from torch import Tensor

from pipeline.engine.protocol import Protocol


def learning_rates(protocol: Protocol) -> Tensor:
    """The rates of steps 1, 2, …, float64 [max_steps].

    They grow linearly to ``learning_rate``, which step ``warmup_steps`` has, and step ``warmup_steps`` + 1 too. From
    there the cosine goes down so as to reach 0 after the last step, as in torch.optim.lr_scheduler.CosineAnnealingLR.
    """
    done = torch.arange(protocol.max_steps, dtype=torch.float64)  # steps before this one
    warmup = protocol.warmup_steps
    after = torch.ones_like(done)
    if protocol.schedule == "cosine":
        after = (1 + torch.cos(math.pi * (done - warmup) / (protocol.max_steps - warmup))) / 2
    return protocol.learning_rate * torch.where(done < warmup, (done + 1) / max(1, warmup), after)
