"""Time of a training step on a GPU: the engine by the number of stacked runs and by precision, and its rivals.

``python benchmarks/gpu.py`` needs a CUDA GPU that nothing else uses. It prints a table and writes it to
``results/bench/tables/gpu.parquet``. All is in one process; within a cell, the implementations take turns.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else JAX takes most of the GPU's memory

import pandas as pd
import torch

import rivals
from engine import Step, direct_operations, engine_step
from pipeline.engine import transformer
from pipeline.storage import write_frame

GPU = torch.device("cuda")
CELLS = [(100, 50), (300, 80), (500, 80), (1100, 110)]
RIVAL_CELLS = CELLS[:2]  # at the others the plain modules take much memory
STACKS, VARIANT_STACKS = (1, 50, 100, 200, 400), (50, 200)
RIVALS = {
    "plain": (partial(rivals.plain, device=GPU), (1,)),
    "plain, torch.func.vmap": (partial(rivals.vmapped, device=GPU), (4, 16)),
    "[CLS]-only": (partial(rivals.plain, device=GPU, cls_only=True), (1,)),
    "[CLS]-only, torch.func.vmap": (partial(rivals.vmapped, device=GPU, cls_only=True), (16, 50, 200)),
}
if find_spec("jax"):
    from jax_rival import jax_vmapped

    RIVALS["[CLS]-only, jax.vmap + jit"] = (jax_vmapped, (50, 200))
PEAK_SIZE = 8192


def within(context: AbstractContextManager, make: Callable[..., Step], *arguments: int) -> Step:
    """A step that is made and recorded in a context."""
    with context:
        step = make(*arguments)
        for _ in range(2):
            step()
    return step


@contextmanager
def tf32() -> Iterator[None]:
    """Products made or recorded here are in TF32."""
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision("highest")


@contextmanager
def in_torch() -> Iterator[None]:
    """Steps that are made and recorded here take the torch form instead of the engine's kernels."""
    known, transformer.fused = transformer.fused, lambda: None
    yield
    transformer.fused = known


VARIANTS = {"engine, TF32": tf32, "engine, in torch": in_torch}


def makers(cell: tuple[int, int]) -> dict[tuple[str, int], Callable[[], Step]]:
    """What prepares each implementation's step, by its name and number of runs."""
    engine = partial(engine_step, device=GPU)
    found = {("engine", runs): partial(engine, *cell, runs) for runs in STACKS}
    for name, context in VARIANTS.items():
        found |= {(name, runs): partial(within, context(), engine, *cell, runs) for runs in VARIANT_STACKS}
    if cell in RIVAL_CELLS:
        found |= {
            (name, runs): partial(step, *cell, runs) for name, (step, stacks) in RIVALS.items() for runs in stacks
        }
    return found


def seconds(step: Step, at_least: float) -> float:
    """Time of one call, over as many calls as fit into ``at_least`` seconds."""
    torch.cuda.synchronize()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least or not calls:
        for _ in range(5):
            step()
        calls += 5
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / calls


def rows(cell: tuple[int, int], rounds: int, at_least: float) -> list[dict]:
    """The measured rows of one cell."""
    steps = {key: make() for key, make in makers(cell).items()}
    for step in steps.values():
        seconds(step, 0)  # compiles and records
    times = [{key: seconds(step, at_least) for key, step in steps.items()} for _ in range(rounds)]
    operations, most = direct_operations(*cell), peak()
    found = []
    for name, runs in steps:
        of_run = statistics.median(turn[name, runs] for turn in times) / runs
        measured = {
            "microseconds_per_step_per_run": 1e6 * of_run,
            "effective_share_of_peak": operations / of_run / most,
        }
        found.append({"implementation": name, "T": cell[0], "n": cell[1], "runs": runs, "rounds": rounds} | measured)
    del steps
    gc.collect()
    torch.cuda.empty_cache()
    return found


def peak() -> float:
    """Operations a second of a large square product in full float32."""
    left, right, out = torch.rand(3, PEAK_SIZE, PEAK_SIZE, device=GPU)
    return 2 * PEAK_SIZE**3 / seconds(lambda: torch.mm(left, right, out=out), 0.1)


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="that each turn lasts at least")
    parser.add_argument("--output", type=Path, default=Path("results/bench/tables/gpu.parquet"))
    given = parser.parse_args()
    table = pd.DataFrame([row for cell in CELLS for row in rows(cell, given.rounds, given.seconds)])
    write_frame(table, given.output)
    print(json.dumps({"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "peak TFLOP/s": peak() / 1e12}))
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
