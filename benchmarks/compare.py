"""Time of a training step: the engine and its rivals, in turn."""

import math
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F

import rivals
from engine import Step, architecture, direct_operations, engine_step
from pipeline.engine.stacking import runs_per_stack
from workers import Measurement, Mode, matrix_product, measure

CELLS = [(100, 50), (300, 80)]
ENGINE_CELLS = [(500, 80), (1100, 110)]  # without the rivals, of which some need minutes a step or much memory
SEEDS = 50  # runs of a cell in the paper's config
PEAK = "matrix product"
PEAK_SIZES = (256, 512, 768, 1024)

# Each rival with the sizes of stack it is measured with; it is judged by its fastest.
RIVALS = {
    "plain": (rivals.plain, (1,)),
    "plain, fused attention": (partial(rivals.plain, attention=F.scaled_dot_product_attention), (1,)),
    "plain, torch.func.vmap": (rivals.vmapped, (1, 2)),
    "[CLS]-only": (partial(rivals.plain, cls_only=True), (1,)),
    "[CLS]-only, torch.func.vmap": (partial(rivals.vmapped, cls_only=True), (1, 4, 16)),
}
if find_spec("jax"):
    from jax_rival import jax_vmapped

    RIVALS["[CLS]-only, jax.vmap + jit"] = (jax_vmapped, (1, 4, 16))


def makers(context_length: int, n: int) -> dict[tuple[str, int], partial[Step]]:
    """What prepares the step of each implementation, by its name and number of runs."""
    runs = min(SEEDS, runs_per_stack(architecture(context_length), n, torch.device("cpu")))
    steps = {("engine", runs): engine_step}
    if (context_length, n) not in ENGINE_CELLS:
        steps |= {(name, runs): step for name, (step, stacks) in RIVALS.items() for runs in stacks}
    return {(name, runs): partial(step, context_length, n, runs) for (name, runs), step in steps.items()}


def rows(cell: tuple[int, int], mode: Mode, rounds: int) -> list[dict]:
    """The measured rows of one cell: one for each implementation and number of runs."""
    products = {(PEAK, size): partial(matrix_product, size) for size in PEAK_SIZES}
    measured = measure(makers(*cell) | products, mode, rounds)
    peak = max(2 * size**3 / measured.pop((PEAK, size)).seconds for size in PEAK_SIZES)
    return [
        {"implementation": name, "T": cell[0], "n": cell[1], "runs": runs, **mode._asdict(), "rounds": rounds}
        | _values(measurement, direct_operations(*cell) * runs, peak)
        | {"ms_per_step_per_run": measurement.seconds / runs / mode.processes * 1e3}
        for (name, runs), measurement in measured.items()
    ]


def _values(measurement: Measurement, direct_operations: int, peak: float) -> dict:
    """What one process achieved; the peak, in operations a second, is that of one process too."""
    available = measurement.seconds * peak
    return {
        "share_of_peak": measurement.operations / available,
        "effective_share_of_peak": direct_operations / available,
        "peak_memory_mib": math.ceil(measurement.peak_memory / 2**20),
    }
