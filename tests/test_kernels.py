"""The step in C against the same function in torch with gradients by autograd."""

import ctypes
import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masks import CPU, NoiseOfC
from packing import packed
from pipeline.engine import kernels, transformer
from pipeline.engine.autograd import AutogradModel
from pipeline.engine.dropout import Dropout, Noise
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer
from test_attention import without_the_most_attended_token
from test_transformer import scores_apart

TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-11}
# widths that no vector length divides, one head and as many as channels, a row of the table that is no whole vector
SHAPES = [(4, 1, 4, "gelu"), (8, 8, 12, "relu"), (12, 3, 1, "gelu"), (16, 4, 32, "relu"), (64, 16, 64, "gelu")]
EVERY = Dropout(attention=0.2, residual=0.1, mlp=0.3)
Step = tuple[torch.Tensor, ParameterStack]
TAKEN = f"""
#include <stdint.h>
#include <stdlib.h>
static int64_t taken;
static void *none(size_t line, size_t size) {{ taken = size; return 0; }}
#define aligned_alloc none
#include "{kernels.SOURCE}"
int64_t taken_by(int64_t T, int64_t n) {{ allocate(T, n); return taken; }}
"""


def model(shape: tuple[int, int, int, str], context_length: int, dropout: Dropout | None = None) -> Transformer:
    width, heads, mlp_width, activation = shape
    one = Transformer(context_length, width, heads, mlp_width, init_std=0.02, activation=activation)
    return replace(one, dropout=dropout) if dropout else one


def random_stack(one: Transformer, runs: int, dtype=torch.float64, sharpness=1.0, seed=0) -> ParameterStack:
    """Parameters with nothing special about them; queries are multiplied by the sharpness."""
    generator = torch.Generator().manual_seed(seed)
    size = runs * sum(torch.Size(shape).numel() for shape in one.shapes.values())
    stack = ParameterStack(one.shapes, torch.randn(size, generator=generator, dtype=torch.float64).to(dtype))
    for name in one.shapes:
        if name.endswith("_weight"):
            stack[name].div_(one.width**0.5)
    stack["query_weight"].mul_(sharpness)
    return stack


def random_data(runs: int, n: int, context_length: int, dtype=torch.float64, seed=0) -> tuple[torch.Tensor, ...]:
    """Packed samples and labels."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.rand(runs, n, context_length, generator=generator) < 0.7
    return packed(bits), (torch.rand(runs, n, generator=generator) < 0.5).to(dtype)


@torch.no_grad()
def step(way: type, one: Transformer, stack: ParameterStack, samples, labels, noise: Noise | None = None) -> Step:
    gradients = stack.like(torch.full_like(stack.flat, torch.nan))
    noise = noise or Noise(range(stack.runs), CPU)
    return way.loss_and_gradients(one, stack, samples, labels, gradients, noise), gradients


def assert_agree(one: Transformer, stack: ParameterStack, samples: torch.Tensor, labels: torch.Tensor) -> None:
    """Logits, losses and gradients of the two ways agree."""
    assert one._kernels(CPU, stack.flat.dtype), "there is a C compiler"
    tolerance = TOLERANCE[stack.flat.dtype]
    ours, our_gradients = step(Transformer, one, stack, samples, labels)
    noise = NoiseOfC(one, range(stack.runs))
    theirs, their_gradients = step(AutogradModel, one, stack, samples, labels, noise)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    logits, expected = one.logits(stack, samples), one.forward(stack, samples, None)
    torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)
    for name in one.shapes:
        limit = tolerance * max(1e-3, their_gradients[name].abs().max().item())
        torch.testing.assert_close(
            our_gradients[name], their_gradients[name], rtol=0, atol=limit, msg=lambda m, n=name: f"{n}: {m}"
        )


@settings(max_examples=60, deadline=None)  # the first example of a shape compiles
@given(
    runs=st.integers(1, 3),
    n=st.integers(1, 9),
    context_length=st.integers(1, 70),
    shape=st.sampled_from(SHAPES),
    dropout=st.sampled_from([None, Dropout(residual=0.2, mlp=0.3), Dropout(attention=0.4), EVERY]),
    seed=st.integers(0, 2**16),
)
def test_a_step_is_that_of_torch(runs, n, context_length, shape, dropout, seed):
    one = model(shape, context_length, dropout)
    data = random_data(runs, n, context_length, seed=seed)
    assert_agree(one, random_stack(one, runs, seed=seed), *data)


@pytest.mark.parametrize("dropout", [None, EVERY])
def test_a_step_is_that_of_torch_in_float32(dropout):
    one = model(SHAPES[-1], 200, dropout)
    assert_agree(one, random_stack(one, 3, torch.float32), *random_data(3, 50, 200, torch.float32))


def test_a_model_too_wide_for_the_c_functions_takes_the_torch_form():
    one = model((1024, 2, 4, "relu"), 3)
    stack, data = random_stack(one, 1), random_data(1, 2, 3)
    assert one._kernels(CPU, torch.float64) is None
    losses, _ = step(Transformer, one, stack, *data)
    assert losses.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "silu"}, "'silu' is unknown; use gelu or relu"),
        ({"heads": 3}, "3 heads do not divide the width 4"),
        ({"dropout": Dropout(embedding=0.1)}, "use DeepTransformer"),
    ],
)
def test_what_the_c_functions_would_take_for_something_else_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(model(SHAPES[0], 5), **changes)


def test_rates_may_be_whole_numbers():
    one = model(SHAPES[0], 9, Dropout(attention=0, residual=0, mlp=0.5))
    assert_agree(one, random_stack(one, 2), *random_data(2, 4, 9))


@pytest.mark.parametrize("sharpness", [10.0, 100.0])
@pytest.mark.parametrize("dropout", [None, EVERY])
def test_a_step_is_that_of_torch_when_attention_is_nearly_one_hot(sharpness, dropout):
    one = model(SHAPES[3], 30, dropout)
    assert_agree(one, random_stack(one, 2, sharpness=sharpness), *random_data(2, 40, 30))


def test_shared_samples_are_those_of_every_run():
    one = model(SHAPES[3], 20)
    stack, (samples, _) = random_stack(one, 3), random_data(1, 25, 20)
    assert torch.equal(one.logits(stack, samples), one.logits(stack, samples.expand(3, -1, -1)))


@pytest.mark.parametrize("dropout", [None, EVERY])
def test_a_run_is_the_same_to_the_bit_in_any_stack(dropout):
    one = model(SHAPES[-1], 40, dropout)
    stack, (samples, labels) = random_stack(one, 3, torch.float32), random_data(3, 10, 40, torch.float32)
    losses, gradients = step(Transformer, one, stack, samples, labels)
    chosen = torch.tensor([2])
    alone, own = step(Transformer, one, stack.select(chosen), samples[chosen], labels[chosen], Noise([2], CPU))
    assert torch.equal(alone, losses[chosen])
    assert torch.equal(own.flat, gradients.select(chosen).flat)


def test_a_sample_without_the_most_attended_token_keeps_its_weights_in_float32():
    stack, bits = without_the_most_attended_token()
    one = Transformer(2, 4, 1, 1, init_std=0.02)
    logits = one.logits(stack.like(stack.flat.float()), packed(bits))
    torch.testing.assert_close(logits.double(), one.forward(stack, packed(bits), None), rtol=1e-3, atol=1e-3)


@pytest.fixture
def beyond_float32() -> tuple[Transformer, ParameterStack, torch.Tensor, torch.Tensor]:
    """A model with every dropout, three runs of which the second has scores 300 apart, and data in float32."""
    one = model(SHAPES[3], 6, EVERY)
    stack, (samples, labels) = random_stack(one, 3), random_data(3, 40, 6, torch.float32)
    second = scores_apart(one, stack.select(torch.tensor([1])), unpack(samples[1:2], 6), 300.0)
    stack = stack.like(stack.flat.float())
    for name in one.shapes:
        stack[name][1] = second[name][0]
    return one, stack, samples, labels


def test_scores_beyond_float32_keep_the_masks_that_were_drawn(beyond_float32):
    one, stack, samples, labels = beyond_float32
    double = stack.like(stack.flat.double())
    losses, gradients = step(Transformer, one, stack, samples, labels)
    expected, theirs = step(AutogradModel, one, double, samples, labels.double(), NoiseOfC(one, range(3)))
    torch.testing.assert_close(losses.double(), expected, rtol=1e-4, atol=1e-4)
    for name in one.shapes:
        torch.testing.assert_close(gradients[name].double(), theirs[name], rtol=1e-3, atol=1e-5)


def test_scores_beyond_float32_leave_the_neighbours_alone(beyond_float32):
    one, stack, samples, labels = beyond_float32
    losses, gradients = step(Transformer, one, stack, samples, labels)
    others = torch.tensor([0, 2])
    alone, own = step(Transformer, one, stack.select(others), samples[others], labels[others], Noise([0, 2], CPU))
    assert torch.equal(alone, losses[others])
    assert torch.equal(own.flat, gradients.select(others).flat)


def test_scores_beyond_float32_are_not_finite_if_only_float32_is_compiled(beyond_float32, monkeypatch):
    one, stack, samples, labels = beyond_float32
    compiled = kernels.kernels

    def in_float32(dtype, *architecture):
        return compiled(dtype, *architecture) if dtype == torch.float32 else None

    monkeypatch.setattr(transformer, "kernels", in_float32)
    losses, _ = step(Transformer, one, stack, samples, labels)
    assert losses.isfinite().tolist() == [True, False, True]
    assert one.logits(stack, samples).isfinite().all(1).tolist() == [True, False, True]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["embedding", "out_weight", "mlp_in_bias", "readout_weight"])
@pytest.mark.parametrize("shape", SHAPES[3:])
def test_a_run_that_is_not_finite_says_so_and_leaves_its_neighbours_alone(name, value, shape):
    one = model(shape, 20)
    stack, (samples, labels) = random_stack(one, 3), random_data(3, 10, 20)
    healthy_losses, healthy = step(Transformer, one, stack, samples, labels)
    stack[name].view(3, -1)[1, 3] = value
    losses, gradients = step(Transformer, one, stack, samples, labels)
    others = torch.tensor([0, 2])
    assert not losses[1].isfinite()
    assert torch.equal(losses[others], healthy_losses[others])
    assert torch.equal(gradients.select(others).flat, healthy.select(others).flat)


def test_without_a_compiler_training_goes_by_torch_and_says_so(monkeypatch, caplog, tmp_path):
    one = model(SHAPES[0], 9)
    stack, data = random_stack(one, 1), random_data(1, 3, 9)
    _, expected = step(Transformer, one, stack, *data)
    kernels.kernels.cache_clear()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert one._kernels(CPU, stack.flat.dtype) is None
        _, gradients = step(Transformer, one, stack, *data)
    kernels.kernels.cache_clear()
    torch.testing.assert_close(gradients.flat, expected.flat, rtol=1e-10, atol=1e-10)
    assert "kernels.c could not be compiled by 'no-such-compiler'" in caplog.text


def test_an_empty_name_of_the_compiler_is_as_none(monkeypatch):
    monkeypatch.setenv("CC", "")
    compiled = kernels.kernels.__wrapped__(torch.float32, 8, 2, 8, "gelu", 60.0)
    assert (compiled is not None) == bool(shutil.which("cc"))


def test_a_compiler_that_fails_is_reported_with_its_message(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "FLAGS", ["-no-such-flag"])
    with caplog.at_level(logging.WARNING):
        assert kernels.kernels.__wrapped__(torch.float32, 8, 2, 8, "gelu", 60.0) is None
    assert "no-such-flag" in caplog.text


@pytest.fixture(scope="module")
def taken_by(tmp_path_factory) -> Callable[[tuple[int, int, int, str], int, int], int]:
    """The bytes that the C functions of a shape allocate for a run of T positions and n samples, in float32."""

    @cache
    def library(width: int, heads: int, mlp_width: int, _: str) -> ctypes.CDLL:
        path = tmp_path_factory.mktemp("taken") / "taken.so"
        sizes = {"REAL": "float", "WIDTH": width, "HEADS": heads, "MLP_WIDTH": mlp_width, "RELU": 0, "HEADROOM": 0}
        macros = [f"-D{name}={value}" for name, value in sizes.items()]
        flags = [*kernels.NATIVE, "-std=gnu11", "-shared", "-fPIC", "-w", "-xc", "-"]
        subprocess.run(["cc", *macros, *flags, "-o", path], input=TAKEN, text=True, check=True)
        return ctypes.CDLL(str(path))

    def taken(shape: tuple[int, int, int, str], context_length: int, n: int) -> int:
        function = library(*shape).taken_by
        function.restype = ctypes.c_int64
        return function(ctypes.c_int64(context_length), ctypes.c_int64(n))

    return taken


@settings(max_examples=100, deadline=None)
@given(
    shape=st.sampled_from([*SHAPES, (64, 1, 64, "gelu"), (512, 2, 3, "gelu")]),
    context_length=st.integers(1, 100_000),
    n=st.integers(1, 3000),
)
def test_memory_is_counted_as_c_takes_it(taken_by, shape, context_length, n):
    """The sizes of stacks rest on it. It is a bound, which is close where a row of the table is whole vectors."""
    taken, counted = taken_by(shape, context_length, n), 4 * model(shape, context_length).floats_of_c(n)
    assert taken <= counted
    if (shape[0] + shape[1]) % 16 == 0:
        assert counted < 1.01 * taken + 2**16
    dropout = Dropout(residual=0.1, mlp=0.1)
    parameters = model(shape, context_length).shapes.values()
    held = taken + 4 * 4 * sum(torch.Size(size).numel() for size in parameters) + n * (context_length // 8)
    assert held <= 4 * model(shape, context_length).floats_per_run(n, CPU)
    masks = n * (2 * shape[0] + shape[2])
    assert held + 4 * masks <= 4 * model(shape, context_length, dropout).floats_per_run(n, CPU)
