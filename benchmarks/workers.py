"""Times training steps in processes of their own, which take turns.

So no implementation lives with another's memory, threads or settings, and a change of the machine's speed meets all of
them. Every process has as many threads as cores, which no other copy has, and the engine's setting of the memory
allocator: it speeds up the plain modules too.
"""

import ctypes
import math
import multiprocessing
import os
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.engine.memory import keep_freed_memory

LINUX = sys.platform == "linux"

Work = Callable[[], object]


class Mode(NamedTuple):
    """How many copies of an implementation work at the same time, and the threads of each."""

    processes: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> "Mode":
        """From such as ``2x1``, two processes of one thread each."""
        return cls(*map(int, text.split("x")))

    @property
    def label(self) -> str:
        """Such as ``2 processes of 1 thread``."""
        return f"{_count(self.processes, 'process', 'processes')} of {_count(self.threads, 'thread', 'threads')}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


class Measurement(NamedTuple):
    """Of one call, in one process."""

    seconds: float  # the median over rounds of the mean over copies
    peak_memory: int  # bytes above those after the imports
    operations: float  # floating-point operations of its torch matrix products; NaN if there are none


def measure(makers: Mapping[Hashable, Callable[[], Work]], mode: Mode, rounds: int) -> dict[Hashable, Measurement]:
    """Measures pieces of work in turn.

    Args:
        makers: functions that prepare a piece of work, picklable; they are called in the processes.
        mode: processes and threads of each.
        rounds: how often each has its turn.
    """
    copies = {key: Copies(maker, mode) for key, maker in makers.items()}
    for own in copies.values():
        own.wait()
    times = {key: [] for key in makers}
    for number in range(1, rounds + 1):
        print(f"{mode.label}: round {number} of {rounds}", file=sys.stderr)
        for key, own in copies.items():
            times[key].append(own.seconds())
    return {key: Measurement(statistics.median(times[key]), *own.finish()) for key, own in copies.items()}


class Copies:
    """Processes that do the same work at the same time, each on cores of its own."""

    def __init__(self, maker: Callable[[], Work], mode: Mode) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes = []
        for copy in range(mode.processes):
            ours, theirs = context.Pipe()
            context.Process(target=_serve, args=(theirs, maker, mode.threads, copy), daemon=True).start()
            theirs.close()
            self.pipes.append(ours)

    def wait(self) -> None:
        """Returns once all are ready."""
        for pipe in self.pipes:
            pipe.recv()

    def seconds(self) -> float:
        """Mean time of one call, all copies working at once."""
        return statistics.mean(self._ask("time"))

    def finish(self) -> tuple[int, float]:
        """Ends the processes; the peak memory and the operations of one."""
        return self._ask("finish")[0]

    def _ask(self, request: str) -> list:
        for pipe in self.pipes:
            pipe.send(request)
        return [pipe.recv() for pipe in self.pipes]


def _serve(pipe: Connection, maker: Callable[[], Work], threads: int, copy: int) -> None:
    """What a process does."""
    if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as there are cores
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[i % len(cores)] for i in range(copy * threads, (copy + 1) * threads)})
    torch.set_num_threads(threads)
    keep_freed_memory()
    before = restart_peak_memory()
    work = maker()
    pipe.send("ready")
    while pipe.recv() == "time":
        work()  # compiles, and touches the memory that was given back
        pipe.send(seconds(work))
        give_memory_back()
    pipe.send((peak_memory() - before, operations(work)))


def seconds(work: Work, at_least: float = 0.2) -> float:
    """Time of one call, over as many calls as fit into ``at_least`` seconds."""
    calls, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < at_least or not calls:
        work()
        calls += 1
    return passed / calls


def matrix_product(size: int) -> Work:
    """A square matrix product."""
    left, right, out = torch.rand(3, size, size)
    return lambda: torch.mm(left, right, out=out)


def operations(work: Work) -> float:
    """Floating-point operations of torch's matrix products in one call; NaN if there are none."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() or math.nan


def peak_memory() -> int:
    """The largest resident memory of this process since :func:`restart_peak_memory`, in bytes."""
    if LINUX:  # there, ru_maxrss begins with the parent's and cannot be restarted
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def restart_peak_memory() -> int:
    """Lets the peak begin at what is resident now, and returns it; elsewhere than on Linux, it stays."""
    if LINUX:
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def give_memory_back() -> None:
    """Returns freed memory to the system (glibc), so that waiting processes hold little."""
    if LINUX and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
