"""The GPU's kernels give what the torch form gives in float64, logits and gradients.

test_fused.py says where they run.
"""

import os

import pytest
import torch

from pipeline.engine import fused
from pipeline.engine.attention import bits
from pipeline.engine.attention_weights import all_weights
from pipeline.engine.autograd import AutogradModel
from pipeline.engine.fused.check import agree
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream

GPU = os.environ.get("TRITON_INTERPRET") != "1"
CASES = [  # T, n, runs, width, heads, MLP width
    (37, 20, 2, 32, 16, 16),
    (64, 33, 2, 16, 16, 32),
    (70, 75, 3, 64, 16, 64),
    (1, 1, 1, 32, 32, 16),
]
if GPU:
    CASES += [(500, 110, 4, 64, 16, 64), (1100, 200, 40, 64, 16, 64), (300, 2048, 2, 64, 32, 64)]
    DEVICE, DTYPE, TOLERANCE = torch.device("cuda"), torch.float32, 1e-5
else:  # 1e-8 is what numbers lose that the kernels have in float32
    DEVICE, DTYPE, TOLERANCE = torch.device("cpu"), torch.float64, 1e-7


def distance(found, expected) -> float:
    found, expected = found.cpu().double(), expected.double()
    return ((found - expected).norm() / expected.norm().clamp_min(1e-30)).item()


def drawn(case, activation="gelu", scale=0.3):
    """A model, parameters in float64, packed samples, labels and weights, of which some are 0."""
    T, n, runs, width, heads, mlp_width = case
    model = Transformer(T, width=width, heads=heads, mlp_width=mlp_width, init_std=scale, activation=activation)
    generator = torch.Generator().manual_seed(T)
    p = model.initialise([Stream("test-fused", seed=seed) for seed in range(runs)])
    p = p.like(p.flat.double() + 0.1 * torch.randn(p.flat.shape, generator=generator, dtype=torch.float64))
    packed = torch.randint(0, 256, (runs, n, -(-T // 8)), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 2, (runs, n), generator=generator).double()
    weights = torch.rand(runs, n, generator=generator, dtype=torch.float64)
    weights[:, n // 2 + 1 :] = 0
    return model, p, packed, labels, weights


def moved(p):
    return p.like(p.flat.to(DEVICE, DTYPE))


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_autograd(case, weighted, activation):
    model, p, packed, labels, weights = drawn(case, activation)
    expected, found = p.like(torch.zeros_like(p.flat)), moved(p.like(torch.full_like(p.flat, torch.nan)))
    weights = weights if weighted else None
    losses = AutogradModel.loss_and_gradients(model, p, packed, labels, expected, None, weights)
    given = bits(packed.to(DEVICE), case[0]), labels.to(DEVICE, DTYPE)
    weights = weights if weights is None else weights.to(DEVICE, DTYPE)
    assert distance(model.loss_and_gradients(moved(p), *given, found, None, weights), losses) < TOLERANCE
    for name in p.shapes:
        assert distance(found[name], expected[name]) < 10 * TOLERANCE, name


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_torch(case, shared):
    model, p, packed, _, _ = drawn(case)
    packed = packed[:1] if shared else packed
    expected = AutogradModel.logits(model, p, packed)
    assert distance(model.logits(moved(p), bits(packed.to(DEVICE), case[0])), expected) < TOLERANCE


def test_what_is_given_may_lie_in_memory_in_any_order():
    model, p, packed, labels, weights = drawn(CASES[0])
    given = bits(packed.to(DEVICE), CASES[0][0]), labels.to(DEVICE, DTYPE), weights.to(DEVICE, DTYPE)
    strewn = [tensor.mT.contiguous().mT for tensor in given]
    assert not any(tensor.is_contiguous() for tensor in strewn)
    found = []
    for samples, labels, weights in (given, strewn):
        gradients, stack = moved(p.like(torch.empty_like(p.flat))), moved(p)
        losses = model.loss_and_gradients(stack, samples, labels, gradients, None, weights)
        found.append([losses, gradients.flat, model.logits(stack, samples)])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("case", CASES[:3])
def test_scores_may_be_far_apart(case):
    model, p, packed, labels, _ = drawn(case)
    scores = all_weights(p, case[4])[0].log().flatten(1, 2)
    sharper = 100 / (scores.amax(1) - scores.amin(1)).max()  # of the 140 that float32 has room for
    p["query_weight"].mul_(sharper)
    p["query_bias"].mul_(sharper)
    expected, found = (p.like(torch.zeros_like(p.flat)) for _ in range(2))
    found = moved(found)
    losses = AutogradModel.loss_and_gradients(model, p, packed, labels, expected, None)
    given = bits(packed.to(DEVICE), case[0]), labels.to(DEVICE, DTYPE)
    assert distance(model.loss_and_gradients(moved(p), *given, found, None), losses) < 10 * TOLERANCE
    assert distance(found.flat, expected.flat) < 100 * TOLERANCE


@pytest.mark.parametrize("case", CASES[:3])
def test_the_kernels_are_compared_with_the_torch_form_before_they_are_used(case, caplog):
    model = drawn(case)[0]
    agree.cache_clear()
    assert agree(model, DEVICE)
    assert not caplog.text


@pytest.mark.parametrize("wrong", [torch.nan, 1.5])
@pytest.mark.parametrize("part", ["sums", "tokens"])
def test_wrong_kernels_are_not_used(part, wrong, monkeypatch, caplog):
    right, model = getattr(fused, part).forward, drawn(CASES[0])[0]

    def forward(*given):
        result = right(*given)
        changed = result if part == "sums" else result.products
        changed[0, ..., -1, :8].mul_(wrong)  # eight values of one sample, or of one bit
        return result

    monkeypatch.setattr(getattr(fused, part), "forward", forward)
    agree.cache_clear()
    assert not agree(model, DEVICE)
    assert "training takes the torch form" in caplog.text
    agree.cache_clear()


if GPU:

    def test_tf32_is_a_choice():
        case = CASES[2]
        model, p, packed, _, _ = drawn(case)
        expected, samples = AutogradModel.logits(model, p, packed), bits(packed.cuda(), case[0])
        torch.set_float32_matmul_precision("high")
        found = model.logits(moved(p), samples)
        torch.set_float32_matmul_precision("highest")
        assert 1e-5 < distance(found, expected) < 1e-2
