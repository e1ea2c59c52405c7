"""Compiles and calls the C functions of kernels.c, which includes layers.h and dropout.h.

They are compiled when they are first needed, for this machine's processor and one architecture, with the machine's C
compiler (``cc``, or the one that the environment variable CC names), and kept in the user's cache folder. Without a
compiler :func:`kernels` gives None, and training takes the torch form.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

SOURCE, *HEADERS = (Path(__file__).with_name(name) for name in ("kernels.c", "layers.h", "dropout.h"))
# as fast as -ffast-math where it matters here, but NaN and infinity stay what they are
MATH = ["-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math"]
ARM = platform.machine() in ("arm64", "aarch64")
NATIVE = ["-mcpu=native"] if ARM else ["-march=native", "-mprefer-vector-width=512"]
# without -fno-ivopts, GCC 12 reads a vector of a product from memory for each row, a fifth slower
FLAGS = ["-O3", "-fno-ivopts", *NATIVE, "-std=gnu11", "-shared", "-fPIC", *MATH]
REAL = {torch.float32: "float", torch.float64: "double"}


class Kernels:
    """The functions of a compiled library: tensors are passed as pointers (None: null), numbers as int64 or double."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def __call__(self, name: str, *arguments: Tensor | int | float | None) -> bool:
        """Calls a function; whether the losses or logits that it computed are finite.

        Raises:
            MemoryError: the function could not allocate what it needs.
        """
        status = self._library[name](*map(_c_value, arguments))
        if status == 1:
            raise MemoryError(f"{name} of {SOURCE.name}")
        return status == 0


def _c_value(value: Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_double:
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_void_p(None if value is None else value.data_ptr())


@cache
def kernels(
    dtype: torch.dtype, width: int, heads: int, mlp_width: int, activation: str, headroom: float
) -> Kernels | None:
    """The functions for an architecture, or None (with a warning) if they cannot be compiled here."""
    macros = {"REAL": REAL[dtype], "WIDTH": width, "HEADS": heads, "MLP_WIDTH": mlp_width}
    macros |= {"RELU": int(activation == "relu"), "HEADROOM": headroom}
    compiler = shlex.split(os.environ.get("CC") or "cc")
    command = [*compiler, *FLAGS, *(f"-D{name}={value}" for name, value in macros.items())]
    sources = [file.read_text() for file in (SOURCE, *HEADERS)]
    key = hashlib.sha256("\0".join([*command, *sources, _processor()]).encode()).hexdigest()[:24]
    library = _cache_folder() / f"kernels-{key}.so"
    try:
        if not library.exists():
            _compile(command, library)
        return Kernels(ctypes.CDLL(str(library)))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        log.warning("training will be slower: %s could not be compiled by %r: %s", SOURCE.name, compiler[0], reason)
        return None


def _compile(command: list[str], library: Path) -> None:
    """Compiles next to the library and renames, since other processes may be doing the same."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        output = Path(folder, library.name)
        subprocess.run([*command, str(SOURCE), "-o", str(output), "-lm"], check=True, capture_output=True, text=True)
        output.replace(library)


def _processor() -> str:
    """What the native code depends on: the processor's name and abilities."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() + platform.machine()
    names = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in cpuinfo.read_text().splitlines() if line.startswith(names)}))


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparse-attention-pipeline"
