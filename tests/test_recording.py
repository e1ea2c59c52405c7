"""What runs record: attention and hidden progress, against the plain reference in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from packing import packed
from pipeline.engine import attention_weights, deep_transformer
from pipeline.engine.batches import Batch, FullBatch
from pipeline.engine.deep_transformer import DeepTransformer
from pipeline.engine.dropout import Dropout
from pipeline.engine.holdout import Holdout, Verdict
from pipeline.engine.mlp import Mlp
from pipeline.engine.model import AttentionModel, StackedModel
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol, Success
from pipeline.engine.recording import Recorder
from pipeline.engine.training import Training
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.reference import ReferenceMlp, ReferenceTransformer, one_run, reference_state
from pipeline.results import RunResult

T, K, RUNS = 12, 2, 4
MODEL = Transformer(context_length=T, width=16, heads=4, mlp_width=16, init_std=0.1)
DEEP = DeepTransformer(context_length=T, width=8, heads=2, mlp_width=8, layers=2, init_std=0.1)
PROTOCOL = Protocol(
    learning_rate=1e-2,
    weight_decay=1e-4,
    max_steps=12,
    eval_every=1,
    success=Success(accuracy=0.95, when="any"),
    record=("attention", "progress"),
)
LONGER = replace(PROTOCOL, max_steps=60, eval_every=10, record=("progress",))
SUPPORTS = torch.tensor([[0, 1], [3, 7], [2, 11], [4, 5]])


def random_stack(model: StackedModel, runs: int, scale: float = 0.5) -> ParameterStack:
    """Parameters with nothing special about them: gains and biases random too."""
    size = sum(torch.Size(shape).numel() for shape in model.shapes.values())
    generator = torch.Generator().manual_seed(1)
    return ParameterStack(model.shapes, torch.randn(runs * size, dtype=torch.float64, generator=generator) * scale)


def random_bits(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2)) < 0.7


def reference(model: StackedModel, stack: ParameterStack, run: int) -> torch.nn.Module:
    """A run's reference module, whose parameters are a copy."""
    if isinstance(model, Mlp):
        module, state = ReferenceMlp(T, model.widths).double(), one_run(stack, run)
    else:
        layers = getattr(model, "layers", 1)
        module = ReferenceTransformer(model.context_length, model.width, model.heads, model.mlp_width, layers=layers)
        module, state = module.double(), reference_state(stack, run)
    module.load_state_dict(state)
    return module.eval()


def reference_attention(module: ReferenceTransformer, bits: torch.Tensor) -> torch.Tensor:
    """The mean over the samples of the last layer's softmax weights of the [CLS] query, [H, T + 1]."""
    seen = []
    module.layers[-1].attention.dropout.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    module(bits)
    return seen[0][:, :, 0].mean(0)


def assert_is_the_references_attention(model: AttentionModel, stack: ParameterStack, bits: torch.Tensor) -> None:
    attention = model.attention(stack, packed(bits))
    assert attention.dtype == torch.float64
    assert attention.shape == (stack.runs, model.heads, model.context_length)
    for run in range(stack.runs):
        expected = reference_attention(reference(model, stack, run), bits)
        torch.testing.assert_close(attention[run], expected[:, 1:], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(1 - attention[run].sum(1), expected[:, 0], rtol=1e-10, atol=1e-10)
    assert (attention >= 0).all()
    assert (attention.sum(2) <= 1 + 1e-12).all()


@given(
    context_length=st.integers(1, 40),
    n=st.integers(1, 30),
    heads=st.sampled_from([1, 2, 4]),
    runs=st.integers(1, 3),
    scale=st.sampled_from([0.02, 0.5, 1.0]),
)
def test_attention_is_the_references(context_length, n, heads, runs, scale):
    model = Transformer(context_length, width=8, heads=heads, mlp_width=4, init_std=0.02)
    assert_is_the_references_attention(model, random_stack(model, runs, scale), random_bits(n, context_length))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("dropout", [Dropout(), Dropout(attention=0.5, embedding=0.5)])
def test_attention_of_a_deep_transformer_is_that_of_its_last_layer_without_dropout(layers, dropout, monkeypatch):
    model = replace(DEEP, layers=layers, dropout=dropout)
    monkeypatch.setattr(deep_transformer, "MAX_EVALUATED", 3 * 10 * model.floats_per_sample)
    assert_is_the_references_attention(model, random_stack(model, 3), random_bits(35, T))


def test_attention_is_without_dropout():
    stack, bits = random_stack(MODEL, 2), packed(random_bits(20, T))
    noisy = replace(MODEL, dropout=Dropout(attention=0.5))
    assert torch.equal(noisy.attention(stack, bits), MODEL.attention(stack, bits))


def test_attention_of_float32_parameters_is_computed_in_float64():
    """Also where scores differ by more than float32 has room for."""
    stack = random_stack(MODEL, 1, scale=1.0)
    stack["query_weight"].mul_(100)
    single = stack.like(stack.flat.float())
    assert_is_the_references_attention(MODEL, single.like(single.flat.double()), random_bits(50, T))
    attention = MODEL.attention(single, packed(random_bits(50, T)))
    assert torch.equal(attention, MODEL.attention(single.like(single.flat.double()), packed(random_bits(50, T))))
    assert attention.amax() > 0.99


def holdout(size: int = 300) -> tuple[torch.Tensor, torch.Tensor, Holdout]:
    """Bits, labels of the runs (the AND of their supports) and the holdout of both."""
    bits = random_bits(size, T)
    labels = bits[:, SUPPORTS].all(2).T
    return bits, labels, Holdout(packed(bits), labels, PROTOCOL.success.accuracy)


class Trained:
    """Runs trained with their parameters kept after every evaluation."""

    def __init__(self, protocol: Protocol, model: StackedModel, spoilt: int | None = None) -> None:
        stack = model.initialise([Stream("test-init", seed=seed) for seed in range(RUNS)])
        stack = stack.like(stack.flat.double())
        self.initial = stack.like(stack.flat.clone())
        if spoilt is not None:
            stack[next(reversed(model.shapes))][spoilt] = torch.inf
        self.bits, self.labels, judge = holdout()
        inputs = torch.rand(RUNS, 40, T, generator=torch.Generator().manual_seed(3)) < 0.7
        labels = torch.stack([x[:, support].all(1) for x, support in zip(inputs, SUPPORTS, strict=True)])
        source = FullBatch(Batch(model.encode(packed(inputs), torch.float64), labels.double()))
        runs = [{"seed": seed} for seed in range(RUNS)]
        recorder = Recorder(protocol, model, stack, judge, SUPPORTS, runs)
        training = Training(model, protocol, stack, source, judge, runs, recorder)
        self.parameters: list[dict[int, ParameterStack]] = [{} for _ in range(RUNS)]
        verdict_on = judge.judge

        def judge_and_remember(
            model: StackedModel, stack: ParameterStack, active: torch.Tensor, **how: bool
        ) -> Verdict:
            for row, run in enumerate(active.tolist()):
                self.parameters[run][training.step] = stack.select(torch.tensor([row]))
            return verdict_on(model, stack, active, **how)

        judge.judge = judge_and_remember
        for _ in training.evaluations():
            pass
        self.results: list[RunResult] = training.results


@pytest.mark.parametrize(
    ("model", "protocol"), [(MODEL, PROTOCOL), (DEEP, LONGER), (Mlp(T, (16,)), LONGER)], ids=["fast", "deep", "mlp"]
)
def test_progress_is_what_the_parameters_at_each_evaluation_say(model, protocol):
    trained = Trained(protocol, model)
    assert {result.status for result in trained.results} == {"succeeded", "failed"}
    for run, result in enumerate(trained.results):
        start = all_parameters(trained.initial, run)
        sign = torch.where(trained.labels[run], 1.0, -1.0)
        assert result.curve_steps == list(trained.parameters[run])
        for at, stack in enumerate(trained.parameters[run].values()):
            distance = (all_parameters(stack, 0) - start).norm() / start.norm()
            assert result.curve_distance[at] == pytest.approx(distance.item(), rel=1e-9)
            module = reference(model, stack, 0)
            output = 2 * module(trained.bits).sigmoid() - 1
            assert result.curve_fourier_coefficient[at] == pytest.approx((sign * output).mean().item(), abs=1e-9)
            right = ((output > 0) == trained.labels[run]).double().mean().item()
            assert result.curve_holdout_accuracy[at] == pytest.approx(right), "the whole holdout is judged"
            mass = None
            if not isinstance(model, Mlp):
                mass = reference_attention(module, trained.bits)[:, 1 + SUPPORTS[run]].sum(1).mean().item()
            assert result.curve_support_mass[at] == (mass and pytest.approx(mass, abs=1e-9))


def all_parameters(stack: ParameterStack, run: int) -> torch.Tensor:
    return torch.cat([value.flatten() for value in one_run(stack, run).values()])


@pytest.mark.parametrize("record", [("attention",), ("attention", "progress")])
def test_attention_is_recorded_when_a_run_ends(record):
    trained = Trained(replace(PROTOCOL, record=record), MODEL)
    assert {result.status for result in trained.results} == {"succeeded", "failed"}
    recovered = []
    for run, result in enumerate(trained.results):
        last = trained.parameters[run][result.curve_steps[-1]]
        attention = reference_attention(reference(MODEL, last, 0), trained.bits)[:, 1:].detach()
        masses = attention[:, SUPPORTS[run]].sum(1)
        assert result.head_support_mass == pytest.approx(masses.tolist(), abs=1e-9)
        assert result.support_mass == pytest.approx(masses.mean().item(), abs=1e-9)
        largest = np.argsort(attention.mean(0).numpy())[-K:]
        recovered.append(result.support_recovered)
        assert result.support_recovered == (set(largest.tolist()) == set(SUPPORTS[run].tolist()))
        if run == 0:
            assert result.attention_map == pytest.approx(attention.flatten().tolist(), abs=1e-9)
        else:
            assert result.attention_map is None
    assert set(recovered) == {True, False}, "both should occur"


def test_a_diverged_run_has_no_attention_and_its_neighbours_have_theirs():
    trained, healthy = Trained(PROTOCOL, MODEL, spoilt=1), Trained(PROTOCOL, MODEL)
    diverged = trained.results[1]
    assert diverged.status == "diverged"
    assert (diverged.support_mass, diverged.head_support_mass, diverged.support_recovered) == (None, None, None)
    assert math.isnan(diverged.curve_distance[0])
    for run in (0, 2, 3):
        assert trained.results[run].head_support_mass == pytest.approx(healthy.results[run].head_support_mass)
        assert trained.results[run].curve_distance == pytest.approx(healthy.results[run].curve_distance)


@pytest.mark.parametrize("record", [(), ("attention",), ("progress",)])
def test_what_is_not_asked_for_is_not_recorded(record):
    for result in Trained(replace(PROTOCOL, record=record), MODEL).results:
        evaluations = len(result.curve_steps) if "progress" in record else 0
        curves = (result.curve_distance, result.curve_fourier_coefficient, result.curve_support_mass)
        assert [len(curve) for curve in curves] == 3 * [evaluations]
        ended = (result.support_mass, result.head_support_mass, result.support_recovered)
        assert all((value is not None) == ("attention" in record) for value in ended)


class Given(Transformer):
    """A Transformer whose attention weights are given."""

    weights: torch.Tensor

    def attention(self, p, inputs):
        return self.weights


@pytest.mark.parametrize(
    ("weights", "recovered"),
    [
        ([[0.1, 0.4, 0.3, 0.2]], True),
        ([[0.3, 0.4, 0.2, 0.1]], False),
        ([[0.9, 0.1, 0.0, 0.0], [0.0, 0.2, 0.8, 0.0]], False),  # the largest of a head, not of the heads' mean
        ([[0.3, 0.1, 0.4, 0.0], [0.0, 0.6, 0.2, 0.0]], True),
        ([[0.25, 0.25, 0.25, 0.25]], False),  # no larger than the others
    ],
)
def test_the_support_is_recovered_if_its_positions_have_the_largest_mean_weights(weights, recovered):
    model = Given(4, 4, len(weights), 4, init_std=0.1)
    object.__setattr__(model, "weights", torch.tensor([weights], dtype=torch.float64))
    result = recorded(model, torch.tensor([[1, 2]]))
    assert result.support_recovered is recovered
    assert result.head_support_mass == pytest.approx([head[1] + head[2] for head in weights])
    assert result.attention_map == [weight for head in weights for weight in head]


def test_a_support_of_all_positions_is_always_recovered():
    model = Transformer(4, 4, 2, 4, init_std=0.1)
    result = recorded(model, torch.tensor([[0, 1, 2, 3]]))
    assert result.support_recovered is True


def test_weights_that_are_not_finite_are_not_recorded():
    model = Given(4, 4, 1, 4, init_std=0.1)
    object.__setattr__(model, "weights", torch.tensor([[[0.1, 0.4, torch.nan, 0.2]]], dtype=torch.float64))
    assert recorded(model, torch.tensor([[1, 2]])) == RunResult()


def recorded(model: Transformer, supports: torch.Tensor) -> RunResult:
    """What is recorded of one run of seed 0 that ends."""
    judge = Holdout(packed(random_bits(5, 4)), torch.zeros(1, 5, dtype=torch.bool), 1.0)
    recorder = Recorder(
        replace(PROTOCOL, record=("attention",)), model, random_stack(model, 1), judge, supports, [{"seed": 0}]
    )
    results, run = [RunResult()], torch.zeros(1, dtype=torch.int64)
    recorder.record(random_stack(model, 1), run, torch.zeros(1), torch.ones(1, dtype=torch.bool), results)
    return results[0]


@pytest.mark.parametrize("length", [5, 16, 19])
def test_a_gpus_way_to_the_mean_attention_is_that_of_the_cpu(length, monkeypatch):
    monkeypatch.setattr(attention_weights, "SAMPLES", 7)
    monkeypatch.setattr(attention_weights, "RUNS", 2)
    stack, inputs = random_stack(replace(MODEL, context_length=length), 3), packed(random_bits(30, length))
    together = attention_weights.by_products(*attention_weights.all_weights(stack, 4), inputs)
    torch.testing.assert_close(together, attention_weights.mean_attention(stack, 4, inputs), rtol=1e-12, atol=1e-15)
