"""Tests of the GPU's kernels: on a GPU that they are for, or else in Triton's interpreter and by compiling them, if
Triton is there.

The interpreter needs a process of its own, since it has to be told before Triton is imported. It shows that a kernel
computes what it should (fused_kernels.py), and compiling that a GPU could run it; neither shows that the compiler is
right.
"""

import importlib.util
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import chain

import pytest
import torch

from pipeline.engine.dropout import Dropout
from pipeline.engine.transformer import Transformer

INTERPRETED = {"TRITON_INTERPRET": "1"}
SHARED_MEMORY = 232448  # bytes that a program may have on a Hopper GPU
PAPER = Transformer(100, width=64, heads=16, mlp_width=64, init_std=0.02)
HOPPER = torch.cuda.is_available() and torch.cuda.get_device_capability() == (9, 0)
needs_triton = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="no Triton")

if HOPPER or INTERPRETED.items() <= os.environ.items():
    from fused_kernels import *  # noqa: F403
else:

    @pytest.mark.slow
    def test_in_tritons_interpreter():
        pytest.importorskip("triton", minversion="3.7", reason="older interpreters of Triton fail with NumPy 2.4")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        child = subprocess.run(command, env=os.environ | INTERPRETED, capture_output=True, text=True)
        assert child.returncode == 0, child.stdout

    @needs_triton
    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["tf32x3", "tf32"])
    def test_every_kernel_compiles_for_hopper(precision, monkeypatch, tmp_path):
        from compiled_kernels import compiled, launched

        monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
        step, evaluation = launched(PAPER, 20, 1, precision, monkeypatch)
        assert (len(step), len(evaluation)) == (8, 5)
        for launch in (*step, evaluation[-1]):  # the other kernels of an evaluation are those of a step
            assert compiled(*launch).metadata.shared <= SHARED_MEMORY

    @needs_triton
    @pytest.mark.parametrize(("T", "n"), [(100, 20), (300, 200)])
    def test_floats_per_run_covers_what_a_step_holds(T, n, monkeypatch):
        from compiled_kernels import launched

        model, runs = replace(PAPER, context_length=T), 500
        held = {}
        for _, arguments, _ in launched(model, n, runs, "tf32", monkeypatch)[0]:
            for tensor in chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in arguments):
                if isinstance(tensor, torch.Tensor):
                    held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        moments = 2 * sum(math.prod(shape) for shape in model.shapes.values())
        monkeypatch.setattr(Transformer, "is_fused", lambda *_: True)
        floats = sum(held.values()) / 4 / runs + moments
        assert floats <= model.floats_per_run(n, torch.device("cuda")) <= 1.5 * floats

    @needs_triton
    def test_kernels_are_for_some_models_on_hopper_gpus(monkeypatch):
        from pipeline.engine import fused
        from pipeline.engine.fused import check

        gpu, sizes = torch.device("cuda"), (64, 16, 64)
        assert not fused.supported(*sizes, torch.float32, gpu), "there is none like that"
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        assert fused.supported(*sizes, torch.float32, gpu)
        for right in (True, False):
            monkeypatch.setattr(check, "agree", lambda model, device, right=right: right)
            assert PAPER.is_fused(gpu, torch.float32) == right
        monkeypatch.setattr(check, "agree", lambda model, device: True)
        assert not replace(PAPER, dropout=Dropout(residual=0.1)).is_fused(gpu, torch.float32)
        assert not fused.supported(*sizes, torch.float64, gpu)
        assert not fused.supported(*sizes, torch.float32, torch.device("cpu"))
        for other in [(64, 8, 64), (128, 16, 64), (64, 16, 128), (16, 32, 16), (48, 16, 64)]:
            assert not fused.supported(*other, torch.float32, gpu)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
        assert not fused.supported(*sizes, torch.float32, gpu)
