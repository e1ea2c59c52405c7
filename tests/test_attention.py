"""Attention over the table of tokens: the kernels against the statement in torch, and both against sequences."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from packing import packed
from pipeline.engine import kernels
from pipeline.engine.attention import FusedAttention, Inputs, PlainAttention, attend
from pipeline.engine.packing import unpack

TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-11}


def random_inputs(runs, context_length, width, heads, dtype=torch.float64, sharpness=1.0, seed=0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    inputs = Inputs(
        normal(runs, context_length + 2, width),
        normal(runs, width + heads, width) / width**0.5,
        normal(runs, width + heads),
        normal(runs, width),
    )
    inputs.projection[:, width:] *= sharpness
    return inputs


def random_bits(runs, n, context_length, seed=0) -> torch.Tensor:
    return torch.rand(runs, n, context_length, generator=torch.Generator().manual_seed(seed)) < 0.7


def by_sequences(inputs: Inputs, bits: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention over n sequences of T + 1 tokens, [CLS] first."""
    width = inputs.embedding.shape[2]
    position, bit = inputs.embedding[:, None, :-2], inputs.embedding[:, None, -2:]
    tokens = position + torch.where(bits.unsqueeze(-1), bit[:, :, 1:], bit[:, :, :1])
    normed = torch.nn.functional.layer_norm(tokens, [width])
    rows = normed @ inputs.projection.mT.unsqueeze(1)
    rows = torch.cat([inputs.cls[:, None, None].expand(*rows.shape[:2], 1, -1), rows], 2)
    values, scores = rows[..., :width].unflatten(-1, (-1, heads)), rows[..., width:]
    attended = (scores.softmax(2).unsqueeze(-2) * values).sum(2)  # [R, n, d / H, H]
    return attended.mT.flatten(2) + inputs.constant.unsqueeze(1)


def assert_agree(inputs: Inputs, bits: torch.Tensor) -> None:
    """Outputs and gradients of the two ways agree."""
    d_output = torch.randn(len(inputs.cls), bits.shape[1], inputs.embedding.shape[2], dtype=inputs.cls.dtype)
    fused, plain = attend(inputs, packed(bits)), PlainAttention(inputs, packed(bits))
    assert isinstance(fused, FusedAttention)
    tolerance = TOLERANCE[inputs.cls.dtype]
    torch.testing.assert_close(fused.output, plain.output, rtol=tolerance, atol=tolerance)
    gradients = (way.backward(d_output, torch.empty_like(inputs.embedding)) for way in (fused, plain))
    for name, ours, theirs in zip(Inputs._fields, *gradients, strict=True):
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}")


@settings(max_examples=40)
@given(
    runs=st.integers(1, 3),
    n=st.integers(1, 9),
    context_length=st.integers(1, 35),
    shape=st.sampled_from([(4, 1), (8, 8), (12, 3), (64, 16)]),
    seed=st.integers(0, 2**16),
)
def test_kernels_agree_with_torch(runs, n, context_length, shape, seed):
    assert_agree(random_inputs(runs, context_length, *shape, seed=seed), random_bits(runs, n, context_length, seed))


def test_kernels_agree_with_torch_in_float32():
    assert_agree(random_inputs(3, 200, 64, 16, torch.float32), random_bits(3, 50, 200))


@pytest.mark.parametrize("sharpness", [10.0, 100.0])
def test_kernels_agree_when_attention_is_nearly_one_hot(sharpness):
    assert_agree(random_inputs(2, 30, 16, 4, sharpness=sharpness), random_bits(2, 40, 30))


@pytest.mark.parametrize("way", [attend, PlainAttention])
@pytest.mark.parametrize("context_length", [1, 8, 13])
def test_attention_over_the_table_is_attention_over_sequences(way, context_length):
    inputs, bits = random_inputs(2, context_length, 12, 3), random_bits(2, 7, context_length)
    expected = by_sequences(inputs, bits, heads=3)
    torch.testing.assert_close(way(inputs, packed(bits)).output, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", [attend, PlainAttention])
def test_shared_samples_are_those_of_every_run(way):
    inputs, bits = random_inputs(3, 20, 16, 4), random_bits(1, 25, 20)
    shared, repeated = way(inputs, packed(bits)).output, way(inputs, packed(bits.expand(3, -1, -1))).output
    torch.testing.assert_close(shared, repeated, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", [attend, PlainAttention])
def test_samples_without_the_most_attended_token_keep_their_weights_in_float32(way):
    """Every sample lacks the token whose score is largest by about 130; its normaliser must not underflow."""
    inputs = Inputs(
        torch.tensor([[[1.0, 0.0, -1.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, -1.0, 1.0]]]),
        torch.zeros(1, 4, 3),
        torch.tensor([[5.0, 6.0, 7.0, 0.0]]),
        torch.zeros(1, 3),
    )
    inputs.projection[0, :3] = torch.eye(3)
    inputs.projection[0, 3, 0] = 106.0  # score about 130 of bit 0 at position 0, and -130 of bit 0 at position 1
    bits = torch.tensor([[[True, True], [True, False]]])
    output = way(inputs, packed(bits)).output
    expected = by_sequences(Inputs(*(x.double() for x in inputs)), bits, heads=1)
    torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-4)


def test_a_run_that_is_not_finite_leaves_its_neighbours_alone():
    inputs, bits = random_inputs(3, 20, 16, 4), random_bits(3, 10, 20)
    whole = attend(inputs, packed(bits))
    inputs.embedding[1, 3, 5] = torch.nan
    broken = attend(inputs, packed(bits))
    assert not broken.output[1].isfinite().any()
    d_output = torch.ones_like(whole.output)
    gradients = (way.backward(d_output, torch.empty_like(inputs.embedding)) for way in (broken, whole))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.equal(ours[[0, 2]], theirs[[0, 2]])
    assert torch.equal(broken.output[[0, 2]], whole.output[[0, 2]])


def test_without_a_compiler_attention_goes_the_plain_way_and_says_so(monkeypatch, caplog, tmp_path):
    kernels.kernels.cache_clear()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        attention = attend(random_inputs(1, 9, 8, 2), packed(random_bits(1, 3, 9)))
    kernels.kernels.cache_clear()
    assert isinstance(attention, PlainAttention)
    assert "'no-such-compiler' could not be used" in caplog.text


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
