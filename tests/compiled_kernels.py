"""Compiles the GPU's kernels for a Hopper GPU, where there is none: what a step and an evaluation would launch."""

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, CompiledKernel
from triton.runtime.jit import JITFunction

from pipeline.engine import fused
from pipeline.engine.attention import bits
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream

HOPPER = GPUTarget("cuda", 90, 32)
OPTIONS = ("num_warps", "num_stages")
ALIGNED = [["tt.divisibility", 16]]
Launch = tuple[JITFunction, tuple, dict[str, Any]]
POINTERS = {torch.float32: "*fp32", torch.uint8: "*u8"}


def launched(model: Transformer, n: int, runs: int, precision: str, monkeypatch) -> tuple[list[Launch], list[Launch]]:
    """What a step launches, and what an evaluation does, of a model in this precision; nothing runs."""
    launches = []
    monkeypatch.setattr(JITFunction, "run", lambda kernel, *values, **named: launches.append((kernel, values, named)))
    for module in (fused.tokens, fused.sums, fused.losses):
        monkeypatch.setattr(module, "precision", lambda like: precision)
    p = model.initialise([Stream("test-compiled", seed=seed) for seed in range(runs)])
    packed = torch.zeros(runs, n, -(-model.context_length // 8), dtype=torch.uint8)
    samples, labels = bits(packed, model.context_length), torch.zeros(runs, n)
    gradients = p.like(torch.empty_like(p.flat))
    fused.train(p, model.heads, model.activation, samples, labels, None, gradients)
    step = launches.copy()
    fused.infer(p, model.heads, model.activation, samples)
    return step, launches[len(step) :]


def compiled(kernel: JITFunction, arguments: tuple, given: dict[str, Any]) -> CompiledKernel:
    """The kernel of a launch."""
    values = dict(zip(kernel.arg_names, arguments, strict=False)) | given
    options = {name: values.pop(name) for name in OPTIONS if name in values}
    signature, constants, aligned = {}, {}, {}
    for place, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        if parameter.is_constexpr or value is None:
            signature[parameter.name], constants[place,] = "constexpr", value
        elif isinstance(value, tuple):
            signature[parameter.name] = tuple(POINTERS[one.dtype] for one in value)
            aligned |= {(place, inner): ALIGNED for inner in range(len(value))}
        elif isinstance(value, torch.Tensor):
            signature[parameter.name], aligned[place,] = POINTERS[value.dtype], ALIGNED
        else:
            signature[parameter.name] = "i32"
            if value % 16 == 0 and not parameter.do_not_specialize:
                aligned[place,] = ALIGNED
    return triton.compile(ASTSource(kernel, signature, constants, aligned), target=HOPPER, options=options)
