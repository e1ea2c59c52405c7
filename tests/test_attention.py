"""Attention over the table of tokens: the kernels against the statement in torch, and both against sequences."""

import logging

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from packing import packed
from pipeline.engine import kernels
from pipeline.engine.attention import PARAMETERS, FusedAttention, PlainAttention, attend
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer

TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-11}


def random_stack(runs, context_length, width, heads, dtype=torch.float64, sharpness=1.0, seed=0) -> ParameterStack:
    model = Transformer(context_length, width, heads, mlp_width=1, init_std=0.02)
    generator = torch.Generator().manual_seed(seed)
    size = runs * sum(torch.Size(shape).numel() for shape in model.shapes.values())
    stack = ParameterStack(model.shapes, torch.randn(size, generator=generator, dtype=torch.float64).to(dtype))
    for name in ("query_weight", "key_weight", "value_weight"):
        stack[name].div_(width**0.5)
    stack["query_weight"].mul_(sharpness)
    return stack


def random_bits(runs, n, context_length, seed=0) -> torch.Tensor:
    return torch.rand(runs, n, context_length, generator=torch.Generator().manual_seed(seed)) < 0.7


def by_sequences(p: ParameterStack, bits: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention over n sequences of T + 1 tokens, [CLS] first."""
    width = p["cls"].shape[1]
    position, bit = p["embedding"][:, None, :-2], p["embedding"][:, None, -2:]
    tokens = position + torch.where(bits.unsqueeze(-1), bit[:, :, 1:], bit[:, :, :1])
    cls = (p["cls"] + p["cls_position"])[:, None, None].expand(*tokens.shape[:2], 1, -1)
    normed = F.layer_norm(torch.cat([cls, tokens], 2), [width])
    normed = normed * p["attention_norm_gain"][:, None, None] + p["attention_norm_bias"][:, None, None]

    def by_head(name: str, x: torch.Tensor) -> torch.Tensor:
        return (x @ p[f"{name}_weight"].mT.unsqueeze(1)).unflatten(-1, (heads, -1)).transpose(2, 3)

    query = by_head("query", normed[:, :, :1]) + p["query_bias"].unflatten(-1, (1, heads, 1, -1))
    value = by_head("value", normed) + p["value_bias"].unflatten(-1, (1, heads, 1, -1))
    weights = (query @ by_head("key", normed).mT / (width // heads) ** 0.5).softmax(-1)
    return (weights @ value).flatten(2)


def gradients(attention: PlainAttention | FusedAttention, p: ParameterStack) -> ParameterStack:
    """Of the sum of the outputs times numbers 1, 2, …, and of a residual stream."""
    g = p.like(torch.zeros_like(p.flat))
    d_output = torch.arange(1.0, attention.output[0].numel() + 1, dtype=p.flat.dtype) / attention.output[0].numel()
    d_output = d_output.view(attention.output[0].shape).expand_as(attention.output)
    attention.backward(d_output, torch.ones_like(p["cls"]), g)
    return g


def assert_agree(p: ParameterStack, heads: int, bits: torch.Tensor) -> None:
    """Outputs and gradients of the two ways agree."""
    fused, plain = attend(p, heads, packed(bits)), PlainAttention(p, heads, packed(bits))
    assert isinstance(fused, FusedAttention)
    tolerance = TOLERANCE[p.flat.dtype]
    torch.testing.assert_close(fused.output, plain.output, rtol=tolerance, atol=tolerance)
    ours, theirs = gradients(fused, p), gradients(plain, p)
    for name in ("embedding", *PARAMETERS):
        scale = theirs[name].abs().max().item()
        torch.testing.assert_close(
            ours[name], theirs[name], rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@settings(max_examples=40)
@given(
    runs=st.integers(1, 3),
    n=st.integers(1, 9),
    context_length=st.integers(1, 35),
    shape=st.sampled_from([(4, 1), (8, 8), (12, 3), (64, 16)]),
    seed=st.integers(0, 2**16),
)
def test_kernels_agree_with_torch(runs, n, context_length, shape, seed):
    stack = random_stack(runs, context_length, *shape, seed=seed)
    assert_agree(stack, shape[1], random_bits(runs, n, context_length, seed))


def test_kernels_agree_with_torch_in_float32():
    assert_agree(random_stack(3, 200, 64, 16, torch.float32), 16, random_bits(3, 50, 200))


@pytest.mark.parametrize("sharpness", [10.0, 100.0])
def test_kernels_agree_when_attention_is_nearly_one_hot(sharpness):
    assert_agree(random_stack(2, 30, 16, 4, sharpness=sharpness), 4, random_bits(2, 40, 30))


@pytest.mark.parametrize("way", [attend, PlainAttention])
@pytest.mark.parametrize("context_length", [1, 8, 13])
def test_attention_over_the_table_is_attention_over_sequences(way, context_length):
    stack, bits = random_stack(2, context_length, 12, 3), random_bits(2, 7, context_length)
    torch.testing.assert_close(way(stack, 3, packed(bits)).output, by_sequences(stack, bits, 3), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", [attend, PlainAttention])
def test_shared_samples_are_those_of_every_run(way):
    stack, bits = random_stack(3, 20, 16, 4), random_bits(1, 25, 20)
    shared, repeated = way(stack, 4, packed(bits)).output, way(stack, 4, packed(bits.expand(3, -1, -1))).output
    torch.testing.assert_close(shared, repeated, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", [attend, PlainAttention])
def test_samples_without_the_most_attended_token_keep_their_weights_in_float32(way):
    """All tokens of a sample score 120 below one that it does not have; its normaliser must not vanish."""
    stack = random_stack(1, 2, 4, 1)
    scores = _scores(stack)
    cls, position, bit = (int(i) for i in (scores == scores.max()).nonzero()[0])
    assert cls == 0, "the token with the largest score should be one of a bit"
    bits = torch.ones(1, 1, 2, dtype=torch.bool)
    bits[0, 0, position] = not bit
    own = torch.stack([scores[1, 0, 0], *scores[0, [0, 1], bits[0, 0].long()]])
    factor = 120 / (scores.max() - own.max())
    for name in ("query_weight", "query_bias"):
        stack[name].mul_(factor)
    output = way(stack.like(stack.flat.float()), 1, packed(bits)).output
    torch.testing.assert_close(output.double(), by_sequences(stack, bits, 1), rtol=1e-3, atol=1e-3)


def _scores(p: ParameterStack) -> torch.Tensor:
    """Of one run with one head and two positions: of the tokens [0, position, bit], of [CLS] [1, 0, 0]."""
    tokens = torch.stack([p["embedding"][0, :2, None] + p["embedding"][0, None, 2:], torch.zeros(2, 2, 4).double()])
    tokens[1] = p["cls"][0] + p["cls_position"][0]
    normed = F.layer_norm(tokens, [4]) * p["attention_norm_gain"][0] + p["attention_norm_bias"][0]
    query = p["query_weight"][0] @ normed[1, 0, 0] + p["query_bias"][0]
    scores = normed @ p["key_weight"][0].T @ query / 2
    scores[1].view(-1)[1:] = -torch.inf
    return scores


def test_a_run_that_is_not_finite_leaves_its_neighbours_alone():
    stack, bits = random_stack(3, 20, 16, 4), random_bits(3, 10, 20)
    whole = attend(stack, 4, packed(bits))
    expected = gradients(whole, stack)
    stack["embedding"][1, 3, 5] = torch.nan
    broken = attend(stack, 4, packed(bits))
    assert not broken.output[1].isfinite().any()
    assert torch.equal(broken.output[[0, 2]], whole.output[[0, 2]])
    computed = gradients(broken, stack)
    for name in ("embedding", *PARAMETERS):
        assert torch.equal(computed[name][[0, 2]], expected[name][[0, 2]])


def test_without_a_compiler_attention_goes_the_plain_way_and_says_so(monkeypatch, caplog, tmp_path):
    kernels.kernels.cache_clear()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        attention = attend(random_stack(1, 9, 8, 2), 2, packed(random_bits(1, 3, 9)))
    kernels.kernels.cache_clear()
    assert isinstance(attention, PlainAttention)
    assert "kernels.c could not be compiled by 'no-such-compiler'" in caplog.text


def test_a_compiler_that_fails_is_reported_with_its_message(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "FLAGS", ["-no-such-flag"])
    with caplog.at_level(logging.WARNING):
        assert kernels.kernels.__wrapped__(torch.float32, 8, 2, 60.0) is None
    assert "no-such-flag" in caplog.text


@given(st.integers(1, 40), st.integers(0, 2**16))
def test_unpacking_inverts_packing(context_length, seed):
    bits = random_bits(2, 3, context_length, seed)
    assert torch.equal(unpack(packed(bits), context_length), bits)
