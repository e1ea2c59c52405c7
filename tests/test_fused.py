"""Tests of the GPU's kernels: on a GPU, or else in Triton's interpreter and by compiling them, if Triton is there.

The interpreter needs a process of its own, since it has to be told before Triton is imported. It shows that a kernel
computes what it should (fused_kernels.py), and compiling that a GPU could run it; neither shows that the compiler is
right.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

INTERPRETED = {"TRITON_INTERPRET": "1"}
SHARED_MEMORY = 232448  # bytes that a program may have on a Hopper GPU
needs_triton = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="no Triton")

if torch.cuda.is_available() or INTERPRETED.items() <= os.environ.items():
    from fused_kernels import *  # noqa: F403
else:

    @needs_triton
    @pytest.mark.slow
    def test_in_tritons_interpreter():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        child = subprocess.run(command, env=os.environ | INTERPRETED, capture_output=True, text=True)
        assert child.returncode == 0, child.stdout

    @needs_triton
    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["tf32x3", "tf32"])
    def test_every_kernel_compiles_for_hopper(precision, monkeypatch):
        from compiled_kernels import compiled

        found = compiled(precision, monkeypatch)
        assert len(found) == 9, "eight in training, and one of them again for inference"
        assert all(0 <= kernel.metadata.shared <= SHARED_MEMORY for kernel in found)
