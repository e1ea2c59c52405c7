"""Time of the engine's training step and its peak memory against T, for one run."""

import math
from functools import partial

from engine import engine_step
from workers import Mode, measure

N = 100
CONTEXT_LENGTHS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)


def rows(context_lengths: tuple[int, ...], rounds: int) -> list[dict]:
    """The measured rows, on one thread."""
    measured = measure({T: partial(engine_step, T, N, 1) for T in context_lengths}, Mode(1, 1), rounds)
    return [
        {"T": T, "n": N, "rounds": rounds, "ms_per_step": measurement.seconds * 1e3}
        | {"peak_memory_mib": math.ceil(measurement.peak_memory / 2**20)}
        for T, measurement in measured.items()
    ]
