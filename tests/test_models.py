"""The models with gradients by autograd against their plain references, in float64."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from masks import CPU, NoiseOfC
from packing import packed
from pipeline.engine import deep_transformer
from pipeline.engine.autograd import AutogradModel
from pipeline.engine.deep_transformer import DeepTransformer
from pipeline.engine.dropout import NO_DROPOUT, Dropout, Noise
from pipeline.engine.lstm import Lstm
from pipeline.engine.mlp import Mlp
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.reference import (
    ReferenceLstm,
    ReferenceMlp,
    ReferenceTransformer,
    one_run,
    reference_state,
    set_masks,
)

DEEP = DeepTransformer(context_length=9, width=8, heads=2, mlp_width=12, layers=2, init_std=0.02)
EVERY = Dropout(attention=0.3, residual=0.2, mlp=0.4, embedding=0.1)

PLAIN = [
    DeepTransformer(context_length=1, width=4, heads=1, mlp_width=4, layers=1, init_std=0.02),
    replace(DEEP, layers=1, activation="relu"),
    DEEP,
    replace(DEEP, layers=3, heads=8, activation="relu"),
    replace(DEEP, layers=3, heads=1),
    Mlp(context_length=11, widths=(), activation="relu"),
    Mlp(context_length=11, widths=(16,), activation="relu"),
    Mlp(context_length=11, widths=(16, 5, 8), activation="gelu"),
    Lstm(context_length=1, width=3),
    Lstm(context_length=12, width=8),
    Lstm(context_length=7, width=4, layers=3),
]
NOISY = [
    replace(DEEP, layers=1, dropout=EVERY),
    replace(DEEP, layers=3, dropout=EVERY, activation="relu"),
    *(replace(DEEP, dropout=Dropout(**{name: 0.5})) for name in ("attention", "residual", "mlp", "embedding")),
    Mlp(context_length=11, widths=(16, 5), activation="relu", dropout=0.4),
]


class RecordingNoise(Noise):
    """Noise that remembers its masks by name."""

    def __init__(self, seeds: list[int]) -> None:
        super().__init__(seeds, CPU)
        self.masks = {}

    def keep(self, name, shape, rate, like):
        assert name not in self.masks, "a name stands for one mask a step"
        self.masks[name] = super().keep(name, shape, rate, like)
        return self.masks[name]


def random_stack(model: AutogradModel, runs: int) -> ParameterStack:
    """Parameters with nothing special about them: gains and biases random too."""
    generator = torch.Generator().manual_seed(1)
    size = sum(torch.Size(shape).numel() for shape in model.shapes.values())
    flat = torch.randn(runs * size, dtype=torch.float64, generator=generator)
    return ParameterStack(model.shapes, flat.mul_(0.5))


def random_data(runs: int, n: int, context_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    bits = torch.rand(runs, n, context_length, generator=generator) < 0.7
    return bits, (torch.rand(runs, n, generator=generator) < 0.5).double()


def reference(model: AutogradModel) -> nn.Module:
    if isinstance(model, DeepTransformer):
        shape = (model.context_length, model.width, model.heads, model.mlp_width)
        options = {"layers": model.layers, "activation": model.activation, "dropout": model.dropout}
        module = ReferenceTransformer(*shape, **options, cls_only=model.dropout != NO_DROPOUT)
    elif isinstance(model, Mlp):
        module = ReferenceMlp(model.context_length, model.widths, model.activation, model.dropout)
    else:
        module = ReferenceLstm(model.context_length, model.width, model.layers)
    return module.double()


def state(model: AutogradModel, stack: ParameterStack, run: int) -> dict[str, torch.Tensor]:
    return (reference_state if isinstance(model, DeepTransformer) else one_run)(stack, run)


@torch.no_grad()
def step(model: AutogradModel, stack: ParameterStack, bits: torch.Tensor, labels: torch.Tensor, noise: Noise | None):
    """Losses and gradients, as the trainer asks for them."""
    gradients = stack.like(torch.full_like(stack.flat, torch.nan))
    samples = model.encode(packed(bits), stack.flat.dtype)
    return model.loss_and_gradients(stack, samples, labels, gradients, noise), gradients


def assert_agrees(model: AutogradModel, noise: RecordingNoise | None) -> None:
    """Losses and every gradient of every run agree with the reference's to 1e-10."""
    stack, (bits, labels) = random_stack(model, runs=3), random_data(3, 6, model.context_length)
    losses, gradients = step(model, stack, bits, labels, noise)
    for run in range(stack.runs):
        module = reference(model)
        module.load_state_dict(state(model, stack, run))
        set_masks(module, {name: masks[run] for name, masks in noise.masks.items()} if noise else {})
        loss = F.binary_cross_entropy_with_logits(module(bits[run]), labels[run])
        torch.testing.assert_close(losses[run], loss, rtol=1e-10, atol=1e-10)
        loss.backward()
        ours = state(model, gradients, run)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: n + m)


@pytest.mark.parametrize("model", PLAIN, ids=str)
def test_losses_and_gradients_are_the_references(model):
    assert_agrees(model, None)


@pytest.mark.parametrize("model", NOISY, ids=str)
def test_with_dropout_they_are_the_references_under_the_same_masks(model):
    noise = RecordingNoise([5, 6, 7])
    assert_agrees(model, noise)
    assert noise.masks


@pytest.mark.parametrize("model", PLAIN + NOISY, ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_logits_are_the_references_without_dropout(model, shared):
    stack, (bits, _) = random_stack(model, runs=3), random_data(1 if shared else 3, 6, model.context_length)
    logits = model.logits(stack, model.encode(packed(bits), torch.float64))
    for run, inputs in enumerate(bits.expand(3, -1, -1)):
        module = reference(model).eval()
        module.load_state_dict(state(model, stack, run))
        torch.testing.assert_close(logits[run], module(inputs), rtol=1e-10, atol=1e-10)


def test_masks_are_as_documented():
    T, d, H, m, n = DEEP.context_length, DEEP.width, DEEP.heads, DEEP.mlp_width, 6
    noise, model = RecordingNoise([5, 6]), replace(DEEP, dropout=EVERY)
    step(model, random_stack(model, runs=2), *random_data(2, n, T), noise)
    expected = {"embedding": (n, T + 1, d)}
    for layer, queries in ((1, T + 1), (2, 1)):
        expected[f"attention{layer}"] = (n, H, queries, T + 1)
        expected[f"attention_residual{layer}"] = expected[f"mlp_residual{layer}"] = (n, queries, d)
        expected[f"mlp{layer}"] = (n, queries, m)
    assert {name: tuple(mask.shape[1:]) for name, mask in noise.masks.items()} == expected


@pytest.mark.parametrize("model", [DEEP, NOISY[1], NOISY[-1], PLAIN[-1]], ids=str)
def test_a_run_is_the_same_alone_and_in_a_stack(model):
    stack, (bits, labels) = random_stack(model, runs=4), random_data(4, 6, model.context_length)
    losses, gradients = step(model, stack, bits, labels, Noise(range(4), CPU))
    for run in range(4):
        alone = stack.select(torch.tensor([run]))
        loss, gradient = step(model, alone, bits[run : run + 1], labels[run : run + 1], Noise([run], CPU))
        torch.testing.assert_close(losses[run], loss[0], rtol=1e-10, atol=1e-10)
        expected = gradients.select(torch.tensor([run])).flat
        torch.testing.assert_close(gradient.flat, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("model", [DEEP, NOISY[1], NOISY[-1], PLAIN[-1]], ids=str)
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_diverged_run_touches_no_other(model, value):
    stack, (bits, labels) = random_stack(model, runs=3), random_data(3, 6, model.context_length)
    healthy_losses, healthy = step(model, stack, bits, labels, Noise(range(3), CPU))
    for name in stack.shapes:
        stack[name][1] = value
    losses, gradients = step(model, stack, bits, labels, Noise(range(3), CPU))
    assert not losses[1].isfinite()
    others = torch.tensor([0, 2])
    assert torch.equal(losses[others], healthy_losses[others])
    assert torch.equal(gradients.select(others).flat, healthy.select(others).flat)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("dropout", [NO_DROPOUT, replace(EVERY, embedding=0.0)])
def test_one_layer_is_the_fast_transformer(heads, dropout):
    """The same logits, and the same losses and gradients under the same masks."""
    shape = {"context_length": 13, "width": 8, "heads": heads, "mlp_width": 12}
    fast = Transformer(**shape, init_std=0.02, dropout=dropout)
    deep = DeepTransformer(**shape, layers=1, init_std=0.02, dropout=dropout)

    def as_deep(stack: ParameterStack) -> ParameterStack:
        runs = [one_run(stack, run) for run in range(2)]
        return ParameterStack.stack(
            deep.shapes, [{name: run[name.removeprefix("layer1_")] for name in deep.shapes} for run in runs]
        )

    stack, (bits, labels) = random_stack(fast, runs=2), random_data(2, 10, 13)
    logits = fast.logits(stack, fast.encode(packed(bits), torch.float64))
    torch.testing.assert_close(deep.logits(as_deep(stack), bits), logits, rtol=1e-10, atol=1e-10)
    losses, gradients = step(fast, stack, bits, labels, Noise([8, 9], CPU))
    deep_losses, deep_gradients = step(deep, as_deep(stack), bits, labels, NoiseOfC(fast, [8, 9]))
    torch.testing.assert_close(deep_losses, losses, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(deep_gradients.flat, as_deep(gradients).flat, rtol=1e-10, atol=1e-10)


def test_many_samples_are_evaluated_piece_by_piece(monkeypatch):
    stack, (bits, _) = random_stack(DEEP, runs=2), random_data(1, 50, DEEP.context_length)
    whole = DEEP.forward(stack, bits, None)
    sizes = []

    def forward(self, p, samples, noise):
        sizes.append(samples.shape[1])
        return original(self, p, samples, noise)

    original = DeepTransformer.forward
    monkeypatch.setattr(DeepTransformer, "forward", forward)
    monkeypatch.setattr(deep_transformer, "MAX_EVALUATED", 2 * 20 * DEEP.floats_per_sample)
    torch.testing.assert_close(DEEP.logits(stack, bits), whole, rtol=1e-12, atol=1e-12)
    assert sizes == [20, 20, 10]


@pytest.mark.parametrize("model", [Mlp(30, (16, 8)), Lstm(12, 20, layers=2)], ids=str)
def test_the_initial_parameters_are_uniform_as_in_torch(model):
    """Of the largest parameters, the range and the standard deviation; of all, the range."""
    stack = model.initialise([Stream("test", seed=seed) for seed in range(200)])
    module = reference(model)
    assert stack.flat.dtype == torch.float32
    for name, theirs in module.named_parameters():
        fan_in = (
            model.width
            if isinstance(model, Lstm)
            else module.get_parameter(f"{name.rsplit('.', 1)[0]}.weight").shape[1]
        )
        assert stack[name].shape == (200, *theirs.shape)
        assert stack[name].abs().max() <= fan_in**-0.5
        assert theirs.abs().max() <= fan_in**-0.5
        assert stack[name].std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)
        assert stack[name].abs().max() >= 0.95 * fan_in**-0.5


def test_the_initial_parameters_of_a_deep_transformer():
    stack = replace(DEEP, init_std=0.3).initialise([Stream("test", seed=seed) for seed in range(300)])
    for name in stack.shapes:
        if name.endswith("_gain"):
            assert (stack[name] == 1).all()
        elif name.endswith("_bias"):
            assert (stack[name] == 0).all()
        else:
            assert stack[name].mean().item() == pytest.approx(0, abs=0.03)
            assert stack[name].std().item() == pytest.approx(0.3, rel=0.1)


def test_a_runs_initial_parameters_follow_from_its_stream():
    for model in (DEEP, PLAIN[-1], PLAIN[-4]):
        stack = model.initialise([Stream("test", seed=seed) for seed in (0, 1)])
        alone = model.initialise([Stream("test", seed=1)])
        assert torch.equal(stack.select(torch.tensor([1])).flat, alone.flat)
        assert not torch.equal(stack.select(torch.tensor([0])).flat, alone.flat)


SIZED = [
    replace(DEEP, context_length=40, width=32, heads=8, mlp_width=32, layers=1),
    replace(DEEP, context_length=40, width=32, heads=8, mlp_width=32, layers=3),
    replace(DEEP, context_length=40, width=32, heads=8, mlp_width=32, layers=2, dropout=EVERY),
    Mlp(context_length=40, widths=(64, 64)),
    Mlp(context_length=40, widths=(64, 64), dropout=0.5),
    Lstm(context_length=40, width=16, layers=2),
    Transformer(40, 32, 8, 32, init_std=0.02, dropout=Dropout(attention=0.1)),
]


@pytest.mark.parametrize("model", SIZED, ids=str)
def test_floats_per_run_covers_what_autograd_saves(model, monkeypatch):
    """And is not far above it: at most twice. Of the fast Transformer, where there is no compiler."""
    monkeypatch.setattr(Transformer, "_kernels", lambda *_: None)
    runs, n = 2, 50
    stack, (bits, labels) = random_stack(model, runs), random_data(runs, n, model.context_length)
    saved = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step(model, stack, bits, labels, Noise(range(runs), CPU))
    floats = sum(saved.values()) / 8 / runs
    assert floats <= model.floats_per_run(n, CPU) <= 2 * floats + 4 * stack.size
