"""Attention over the table of tokens against attention over sequences."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from packing import packed
from pipeline.engine.attention import attend
from pipeline.engine.packing import unpack
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer


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


@pytest.mark.parametrize("context_length", [1, 8, 13])
def test_attention_over_the_table_is_attention_over_sequences(context_length):
    stack, bits = random_stack(2, context_length, 12, 3), random_bits(2, 7, context_length)
    torch.testing.assert_close(attend(stack, 3, packed(bits)), by_sequences(stack, bits, 3), rtol=1e-10, atol=1e-10)


def test_shared_samples_are_those_of_every_run():
    stack, bits = random_stack(3, 20, 16, 4), random_bits(1, 25, 20)
    shared, repeated = attend(stack, 4, packed(bits)), attend(stack, 4, packed(bits.expand(3, -1, -1)))
    torch.testing.assert_close(shared, repeated, rtol=1e-12, atol=1e-12)


def without_the_most_attended_token() -> tuple[ParameterStack, torch.Tensor]:
    """A run with one head, and a sample of two bits whose tokens all score 120 below one that it does not have."""
    stack = random_stack(1, 2, 4, 1)
    scores = _scores(stack)
    cls, position, bit = (int(i) for i in (scores == scores.max()).nonzero()[0])
    assert cls == 0, "the token with the largest score should be one of a bit"
    bits = torch.ones(1, 1, 2, dtype=torch.bool)
    bits[0, 0, position] = not bit
    own = torch.stack([scores[1, 0, 0], *scores[0, [0, 1], bits[0, 0].long()]])
    for name in ("query_weight", "query_bias"):
        stack[name].mul_(120 / (scores.max() - own.max()))
    return stack, bits


def test_samples_without_the_most_attended_token_keep_their_weights_in_float32():
    stack, bits = without_the_most_attended_token()
    output = attend(stack.like(stack.flat.float()), 1, packed(bits))
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


@given(st.integers(1, 40), st.integers(0, 2**16))
def test_unpacking_inverts_packing(context_length, seed):
    bits = random_bits(2, 3, context_length, seed)
    assert torch.equal(unpack(packed(bits), context_length), bits)
