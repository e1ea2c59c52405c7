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
POINTERS = {torch.float32: "*fp32", torch.uint8: "*u8"}


def compiled(precision: str, monkeypatch) -> list[CompiledKernel]:
    """The kernels at the sizes of the paper's model, with products in this precision."""
    launches = []
    monkeypatch.setattr(
        JITFunction, "run", lambda kernel, *arguments, **given: launches.append((kernel, arguments, given))
    )
    for module in (fused.tokens, fused.sums, fused.losses):
        monkeypatch.setattr(module, "precision", lambda like: precision)
    model = Transformer(100, width=64, heads=16, mlp_width=64, init_std=0.02)
    p = model.initialise([Stream("test-compiled", seed=0)])
    samples, labels = bits(torch.zeros(1, 20, 13, dtype=torch.uint8), 100), torch.zeros(1, 20)
    gradients = p.like(torch.empty_like(p.flat))
    fused.train(p, model.heads, model.activation, samples, labels, None, gradients)
    of_training = len(launches)
    fused.infer(p, model.heads, model.activation, samples)
    return [_compiled(*launch) for launch in (*launches[:of_training], launches[-1])]


def _compiled(kernel: JITFunction, arguments: tuple, given: dict[str, Any]) -> CompiledKernel:
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


ALIGNED = [["tt.divisibility", 16]]
