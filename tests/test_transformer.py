"""The engine's Transformer against the plain reference module, in float64."""

import pytest
import torch
import torch.nn.functional as F

from packing import packed
from pipeline.engine import transformer
from pipeline.engine.attention_weights import all_weights
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer
from pipeline.reference import ReferenceTransformer, reference_state

ARCHITECTURES = [  # (T, n, width, heads, mlp_width)
    (1, 3, 4, 1, 4),
    (7, 5, 8, 2, 12),
    (30, 20, 64, 16, 64),
    (50, 16, 32, 32, 8),
    (40, 24, 16, 1, 128),
]


def random_stack(model: Transformer, runs: int, scale: float) -> ParameterStack:
    """Parameters with nothing special about them: gains and biases random too."""
    generator = torch.Generator().manual_seed(1)
    flat = torch.cat([torch.zeros(runs, *shape).flatten() for shape in model.shapes.values()]).double()
    stack = ParameterStack(model.shapes, flat)
    for name in model.shapes:
        stack[name].normal_(generator=generator).mul_(scale).add_(1.0 if name.endswith("_gain") else 0.0)
    return stack


def random_data(runs: int, n: int, context_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    bits = torch.rand(runs, n, context_length, generator=generator) < 0.7
    return bits, (torch.rand(runs, n, generator=generator) < 0.5).double()


def reference(model: Transformer, stack: ParameterStack, run: int, **options: bool) -> ReferenceTransformer:
    options |= {"activation": model.activation}
    module = ReferenceTransformer(model.context_length, model.width, model.heads, model.mlp_width, **options).double()
    module.load_state_dict(reference_state(stack, run))
    return module


@pytest.fixture(params=["in C", "in torch"])
def way(request, monkeypatch):
    """Both ways of a step."""
    if request.param == "in torch":
        monkeypatch.setattr(transformer, "kernels", lambda *architecture: None)


def assert_agrees(
    model: Transformer, stack: ParameterStack, bits: torch.Tensor, labels: torch.Tensor, tolerance: float = 1e-10
) -> None:
    """Logits, losses and every gradient of every run agree with those of the reference in float64."""
    samples, close = model.encode(packed(bits), stack.flat.dtype), {"rtol": tolerance, "atol": tolerance}
    gradients = stack.like(torch.full_like(stack.flat, torch.nan))
    losses = model.loss_and_gradients(stack, samples, labels.to(stack.flat), gradients, None)
    logits = model.logits(stack, samples)
    for run in range(stack.runs):
        module = reference(model, stack, run)
        expected = module(bits[run])
        torch.testing.assert_close(logits[run].double(), expected, **close)
        loss = F.binary_cross_entropy_with_logits(expected, labels[run])
        torch.testing.assert_close(losses[run].double(), loss, **close)
        loss.backward()
        ours = reference_state(gradients, run)
        for name, parameter in module.named_parameters():
            limit = tolerance * max(1, parameter.grad.abs().max().item())
            torch.testing.assert_close(
                ours[name].double(), parameter.grad, rtol=tolerance, atol=limit, msg=lambda m, n=name: n + m
            )


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize(("context_length", "n", "width", "heads", "mlp_width"), ARCHITECTURES)
@pytest.mark.parametrize("scale", [0.02, 0.5])
def test_outputs_and_gradients_agree(context_length, n, width, heads, mlp_width, scale, activation):
    model = Transformer(context_length, width, heads, mlp_width, init_std=0.02, activation=activation)
    assert_agrees(model, random_stack(model, runs=3, scale=scale), *random_data(3, n, context_length))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sharpness", [10.0, 100.0])
def test_agrees_when_attention_is_nearly_one_hot(sharpness):
    model = Transformer(30, 16, 4, 16, init_std=0.02)
    stack = random_stack(model, runs=2, scale=0.3)
    stack["query_weight"].mul_(sharpness)
    bits, _ = random_data(1, 200, 30)
    module = reference(model, stack, 0)
    tokens = module.token(F.pad(bits[0].long(), (1, 0), value=2)) + module.position
    layer = module.layers[0]
    normed = layer.attention_norm(tokens)
    queries, keys = (layer.attention._split(f(normed)) for f in (layer.attention.query, layer.attention.key))
    attention = (queries[:, :, :1] @ keys.mT / 2).softmax(-1)
    assert attention.amax(-1).median() > 0.95
    assert_agrees(model, stack, *random_data(2, 40, 30))


def scores_apart(model: Transformer, stack: ParameterStack, bits: torch.Tensor, distance: float) -> ParameterStack:
    """In float32, with a head whose largest score of all tokens lies this far above the largest of a sample's own."""
    scores, own = (weights.log() for weights in all_weights(stack, model.heads))  # [R, 2, T, H] and of [CLS] [R, H]
    tokens = torch.where(bits.unsqueeze(-1), scores[:, 1:], scores[:, :1])  # [R, n, T, H]
    of_samples = torch.maximum(tokens.amax(2), own.unsqueeze(1))
    apart = torch.maximum(scores.amax((1, 2)), own).unsqueeze(1) - of_samples
    for name in ("query_weight", "query_bias"):
        stack[name].mul_(distance / apart.max())
    return stack.like(stack.flat.float())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("distance", "steepness"),
    [(100, 1), (130, 1), (150, 1), (200, 1), (1000, 1), (145, 1000)],  # the last: gradients overflow, losses do not
)
def test_agrees_in_float32_when_scores_are_further_apart_than_its_range(distance, steepness):
    model = Transformer(6, 16, 4, 16, init_std=0.02)
    bits, labels = random_data(3, 30, 6)
    stack = random_stack(model, runs=3, scale=0.3)
    stack["readout_weight"].mul_(steepness)
    assert_agrees(model, scores_apart(model, stack, bits, distance), bits, labels, tolerance=1e-3)


def test_shared_samples_give_the_logits_of_repeated_ones():
    model = Transformer(20, 16, 4, 16, init_std=0.02)
    stack = random_stack(model, runs=3, scale=0.3)
    bits, _ = random_data(1, 25, 20)
    shared = model.logits(stack, model.encode(packed(bits), torch.float64))
    repeated = model.logits(stack, model.encode(packed(bits.expand(3, -1, -1)), torch.float64))
    torch.testing.assert_close(shared, repeated, rtol=1e-12, atol=1e-12)


def test_reference_read_at_cls_alone_is_the_same_function():
    model = Transformer(9, 8, 2, 8, init_std=0.02)
    stack = random_stack(model, runs=1, scale=0.5)
    bits, _ = random_data(1, 6, 9)
    full, cls_only = (reference(model, stack, 0, cls_only=flag)(bits[0]) for flag in (False, True))
    torch.testing.assert_close(full, cls_only, rtol=1e-12, atol=1e-12)
