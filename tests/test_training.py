"""The training loop: trajectories against the reference, stopping, compaction, divergence, evaluation."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import optim

from packing import packed
from pipeline.engine import training
from pipeline.engine.batches import Batch, Batches, FullBatch, Minibatches
from pipeline.engine.dropout import Dropout
from pipeline.engine.holdout import Holdout, block_size
from pipeline.engine.model import StackedModel
from pipeline.engine.norm_bound import norm_of_product
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import NormBound, Protocol, Success
from pipeline.engine.schedule import learning_rates
from pipeline.engine.stacking import runs_per_stack
from pipeline.engine.training import Training
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.reference import ReferenceTransformer, reference_state
from pipeline.results import RunResult
from test_transformer import scores_apart

MODEL = Transformer(context_length=12, width=16, heads=4, mlp_width=16, init_std=0.1)
PROTOCOL = Protocol(
    learning_rate=1e-2, weight_decay=1e-4, max_steps=50, eval_every=10, success=Success(accuracy=1.0, when="last")
)


def parameters(runs: int) -> ParameterStack:
    stack = MODEL.initialise([Stream("test-init", seed=seed) for seed in range(runs)])
    return stack.like(stack.flat.double())


def and_data(runs: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples of the AND of the first two bits, different ones for each run."""
    bits = torch.rand(runs, n, 12, generator=torch.Generator().manual_seed(5)) < 0.7
    return bits, bits[..., :2].all(-1)


def holdout(runs: int, accuracy: float = 1.0, size: int = 300) -> Holdout:
    bits, labels = and_data(1, size)
    return Holdout(packed(bits[0]), labels.expand(runs, -1), accuracy)


def batches(protocol: Protocol, samples: torch.Tensor, labels: torch.Tensor) -> Batches:
    full = FullBatch(Batch(samples, labels.double()))
    return Minibatches(full, protocol.batch_size, coordinates(len(samples))) if protocol.batch_size else full


def coordinates(runs: int) -> list[dict]:
    return [{"seed": seed} for seed in range(runs)]


def train(
    protocol: Protocol, stack: ParameterStack, bits: torch.Tensor, labels: torch.Tensor, model: StackedModel = MODEL
) -> list[RunResult]:
    source = batches(protocol, model.encode(packed(bits), torch.float64), labels)
    training = Training(model, protocol, stack, source, holdout(stack.runs), coordinates(stack.runs))
    assert list(training.evaluations())
    return training.results


@pytest.mark.parametrize(
    ("protocol", "kind", "options"),
    [
        (PROTOCOL, optim.Adam, {}),
        (replace(PROTOCOL, optimiser="adamw", batch_size=7, warmup_steps=5, schedule="cosine"), optim.AdamW, {}),
        (replace(PROTOCOL, optimiser="sgd", learning_rate=0.1, momentum=0.9), optim.SGD, {"momentum": 0.9}),
    ],
)
def test_a_trajectory_of_50_steps_is_the_references(protocol, kind, options):
    runs, (bits, labels) = 3, and_data(3, 30)
    stack, source = parameters(runs), batches(protocol, bits, labels)
    modules = [ReferenceTransformer(12, 16, 4, 16).double() for _ in range(runs)]
    for run, module in enumerate(modules):
        module.load_state_dict(reference_state(stack, run))
    options = options | {"lr": protocol.learning_rate, "weight_decay": protocol.weight_decay}
    optimisers = [kind(module.parameters(), **options) for module in modules]
    for step, rate in enumerate(learning_rates(protocol).tolist()):
        losses = []
        for module, optimiser, x, y in zip(modules, optimisers, *source.batch(step)[:2], strict=True):
            optimiser.param_groups[0]["lr"] = rate
            losses.append(F.binary_cross_entropy_with_logits(module(x), y))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
    results = train(protocol, stack, bits, labels)
    for run, module in enumerate(modules):
        assert results[run].curve_train_loss[-1] == pytest.approx(losses[run].item(), rel=1e-8)
        ours = reference_state(stack, run)
        for name, value in module.state_dict().items():
            if not name.endswith("key.bias"):  # it cancels, and the reference's wanders by rounding
                torch.testing.assert_close(ours[name], value, rtol=1e-7, atol=1e-9)


def test_successful_runs_stop_and_the_others_are_not_touched():
    """With early stopping each run's curve is the beginning of its curve without."""
    bits, labels = and_data(6, 20)
    full_protocol = replace(PROTOCOL, max_steps=150)
    full = train(full_protocol, parameters(6), bits, labels)
    early = train(replace(full_protocol, success=Success(1.0, "any")), parameters(6), bits, labels)
    stops = [result.success_step for result in early]
    assert len({stop for stop in stops if stop}) >= 2, "the runs should stop at different steps"
    for stopped, whole in zip(early, full, strict=True):
        length = len(stopped.curve_steps)
        assert stopped.curve_train_loss == pytest.approx(whole.curve_train_loss[:length], rel=1e-7)
        first = next((s for s, a in zip(whole.curve_steps, whole.curve_holdout_accuracy, strict=True) if a == 1), None)
        assert stopped.success_step == first
        assert stopped.success == (first is not None)
        assert whole.curve_steps[-1] == 150
        assert whole.success == (whole.curve_holdout_accuracy[-1] == 1)


def test_runs_that_are_done_may_stay_in_the_stack_for_a_while(monkeypatch):
    """As they do on a GPU."""
    bits, labels = and_data(6, 20)
    protocol = replace(PROTOCOL, max_steps=150, success=Success(1.0, "any"))
    at_once = train(protocol, parameters(6), bits, labels)
    stops = sorted(result.success_step or 150 for result in at_once)
    assert stops[0] < stops[1] < 150, "a run should be done long before half are"
    monkeypatch.setitem(training.RESTACK, "cpu", 0.5)
    assert train(protocol, parameters(6), bits, labels) == at_once


@pytest.mark.parametrize("when", ["last", "any"], ids=["all stay", "some leave"])
def test_runs_with_fewer_samples_are_trained_as_they_are_alone(when):
    """The places that are left in their stack count nothing, and go with the runs that need them."""
    protocol = replace(PROTOCOL, success=Success(1.0, when))
    bits, labels = and_data(3, 20)
    sizes = torch.tensor([[20], [13], [8]])
    used = torch.arange(20) < sizes
    rows = torch.where(used, torch.arange(20), 0)
    samples, targets = (
        torch.stack([x[row] for x, row in zip(of_runs, rows, strict=True)]) for of_runs in (bits, labels)
    )
    source = FullBatch(Batch(packed(samples), targets.double(), used / sizes.double()))
    together = Training(MODEL, protocol, parameters(3), source, holdout(3), coordinates(3))
    assert list(together.evaluations())
    ends = [result.curve_steps[-1] for result in together.results]
    assert (ends[0] < 50) == (when == "any"), "the run with most samples should leave"
    for run, n in enumerate(sizes.flatten().tolist()):
        chosen = torch.tensor([run])
        own = FullBatch(Batch(packed(bits[chosen, :n]), labels[chosen, :n].double()))
        alone = Training(MODEL, protocol, parameters(3).select(chosen), own, holdout(1), coordinates(1))
        assert list(alone.evaluations())
        assert together.results[run].curve_steps == alone.results[0].curve_steps
        assert together.results[run].curve_train_loss == pytest.approx(alone.results[0].curve_train_loss, rel=1e-9)
        assert together.results[run].curve_holdout_accuracy == alone.results[0].curve_holdout_accuracy


def test_a_diverged_run_is_recorded_and_its_neighbours_go_on():
    bits, labels = and_data(3, 30)
    healthy = train(PROTOCOL, parameters(3), bits, labels)
    stack = parameters(3)
    stack["readout_weight"][1] = torch.inf
    results = train(PROTOCOL, stack, bits, labels)
    assert results[1].status == "diverged"
    assert not results[1].success
    assert results[1].curve_steps == [10]
    for run in (0, 2):
        assert results[run].curve_train_loss == pytest.approx(healthy[run].curve_train_loss, rel=1e-9)
        assert results[run].curve_holdout_accuracy == healthy[run].curve_holdout_accuracy


def test_a_run_whose_scores_leave_the_range_of_float32_goes_on_like_the_reference():
    bits, labels = and_data(2, 30)
    stack = scores_apart(MODEL, parameters(2), bits, 400.0)
    module = ReferenceTransformer(12, 16, 4, 16).double()
    module.load_state_dict(reference_state(stack, 0))
    optimiser = optim.Adam(module.parameters(), lr=1e-2, weight_decay=1e-4)
    protocol = replace(PROTOCOL, max_steps=10)
    source = FullBatch(Batch(packed(bits), labels.float()))
    training = Training(MODEL, protocol, stack, source, holdout(2), coordinates(2))
    assert list(training.evaluations())
    for _ in range(10):
        loss = F.binary_cross_entropy_with_logits(module(bits[0]), labels[0].double())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert [result.status for result in training.results] == ["failed", "failed"]
    assert training.results[0].train_loss == pytest.approx(loss.item(), rel=1e-2)
    unseen, truth = and_data(1, 300)
    accuracy = ((module(unseen[0]) > 0) == truth[0]).double().mean().item()
    assert training.results[0].curve_holdout_accuracy == [pytest.approx(accuracy, abs=0.02)]


def test_dropout_and_minibatches_of_a_run_do_not_depend_on_its_neighbours():
    model = replace(MODEL, dropout=Dropout(attention=0.2, residual=0.1, mlp=0.3))
    protocol = replace(PROTOCOL, batch_size=8)
    bits, labels = and_data(3, 30)
    together = train(protocol, parameters(3), bits, labels, model)
    alone = train(protocol, parameters(1), bits[:1], labels[:1], model)
    assert alone[0].curve_train_loss == pytest.approx(together[0].curve_train_loss, rel=1e-9)
    without = train(protocol, parameters(1), bits[:1], labels[:1])
    assert alone[0].curve_train_loss[0] != pytest.approx(without[0].curve_train_loss[0], rel=1e-3)


class Masks:
    """A model whose loss is a number of its own for each mask that dropout draws."""

    def loss_and_gradients(self, p, samples, labels, gradients, noise, weights=None):
        gradients.flat.zero_()
        return noise.keep("mask", (50,), 0.5, p.flat) @ 2.0 ** torch.arange(50, dtype=torch.float64)

    def encode(self, bits, dtype):
        return bits

    def logits(self, p, samples):
        return torch.zeros(p.runs, samples.shape[1])


def test_dropout_differs_between_runs_and_between_chunks():
    bits, labels = and_data(3, 5)
    stack = ParameterStack({"weight": (1,)}, torch.zeros(3, dtype=torch.float64))
    losses = [loss for result in train(PROTOCOL, stack, bits, labels, Masks()) for loss in result.curve_train_loss]
    assert len(set(losses)) == 15


@pytest.mark.parametrize("norm", ["frobenius", "2,1"])
def test_bounds_hold_at_the_end_and_bind(norm):
    bits, labels = and_data(2, 30)
    free, bound = parameters(2), parameters(2)
    train(PROTOCOL, free, bits, labels)
    train(replace(PROTOCOL, norm_bound=NormBound(norm, None, 0.3)), bound, bits, labels)

    def norms(stack: ParameterStack) -> torch.Tensor:
        query, key = (stack[f"{name}_weight"].unflatten(1, (4, -1)) for name in ("query", "key"))
        return norm_of_product(query, key, norm)

    assert (norms(free) > 0.3).any()
    assert (norms(bound) <= 0.3 * (1 + 1e-9)).all()
    assert norms(bound).amax().item() == pytest.approx(0.3)


class Oracle:
    """A model whose logits are given for every holdout sample; its parameter is the run's number."""

    def __init__(self, correct: torch.Tensor, labels: torch.Tensor) -> None:
        self.logit = torch.where(correct == labels, 1.0, -1.0)

    def encode(self, bits, dtype):
        return bits[0, :, 0]

    def logits(self, stack, samples):
        return self.logit[stack["run"].flatten().long()][:, samples]


def judged(correct: torch.Tensor, accuracy: float, exhaustive: bool):
    """The verdict on runs that are right on given holdout samples, bool [R, N]."""
    runs, size = correct.shape
    labels = torch.rand(runs, size, generator=torch.Generator().manual_seed(1)) < 0.5
    oracle = Oracle(correct, labels)
    stack = ParameterStack({"run": (1,)}, torch.arange(runs, dtype=torch.float64))
    judge = Holdout(torch.arange(size).unsqueeze(1), labels, accuracy)
    return judge.judge(oracle, stack, torch.arange(runs), exhaustive=exhaustive)


def right_but(size: int, *wrong: int) -> torch.Tensor:
    correct = torch.ones(size, dtype=torch.bool)
    correct[list(wrong)] = False
    return correct


def test_an_exhaustive_verdict_counts_every_sample():
    correct = torch.stack([right_but(2500), right_but(2500, 3), right_but(2500, *range(1200)), right_but(2500, 2499)])
    accuracy, reached, _ = judged(correct, 1.0, exhaustive=True)
    assert accuracy.tolist() == pytest.approx([1, 1 - 1 / 2500, 1 - 1200 / 2500, 1 - 1 / 2500])
    assert reached.tolist() == [True, False, False, False]


def test_a_verdict_that_may_stop_is_the_same_and_reports_the_samples_seen():
    correct = torch.stack([right_but(2500), right_but(2500, 3), right_but(2500, 1500), right_but(2500, 2499)])
    accuracy, reached, _ = judged(correct, 1.0, exhaustive=False)
    assert accuracy.tolist() == pytest.approx([1, 1 - 1 / 250, 1 - 1 / 2000, 1 - 1 / 2500])
    assert reached.tolist() == [True, False, False, False]


def test_a_verdict_has_the_correlation_of_outputs_and_labels():
    correct = torch.stack([right_but(1000), right_but(1000, *range(250)), right_but(1000, *range(1000))])
    output = torch.tanh(torch.tensor(0.5)).item()  # of a logit of 1
    exhaustive = judged(correct, 1.0, exhaustive=True).correlation
    assert exhaustive.tolist() == pytest.approx([output, output / 2, -output])
    assert judged(correct, 1.0, exhaustive=False).correlation.tolist() == pytest.approx([output, -output, -output])


@pytest.mark.parametrize(("wrong", "reached"), [(90, True), (91, False)])
def test_the_required_accuracy_is_met_exactly(wrong, reached):
    """55 % of 200 samples allow 90 errors, though 0.55 · 200 exceeds 110 in floating point."""
    assert 0.55 * 200 > 110
    correct = right_but(200, *range(wrong)).unsqueeze(0)
    assert judged(correct, 0.55, exhaustive=False).reached.tolist() == [reached]


def test_a_logit_that_is_no_number_is_an_error_whatever_the_label():
    labels = torch.tensor([[True, False, True, False]])
    oracle = Oracle(torch.ones_like(labels), labels)
    oracle.logit = torch.tensor([[1.0, -1.0, torch.nan, torch.nan]])
    stack = ParameterStack({"run": (1,)}, torch.zeros(1, dtype=torch.float64))
    verdict = Holdout(torch.arange(4).unsqueeze(1), labels, 0.75).judge(oracle, stack, torch.arange(1), exhaustive=True)
    assert verdict.accuracy.tolist() == [0.5]
    assert verdict.reached.tolist() == [False]


def blocks(device: str, runs: int, size: int = 10_000) -> list[int]:
    sizes = []
    while sum(sizes) < size:
        sizes.append(block_size(device, sum(sizes), runs))
    return sizes


def test_blocks_of_an_evaluation_grow_as_far_as_memory_allows():
    assert blocks("cpu", runs=50) == [250, 250, 500] + 9 * [1000]
    assert blocks("cuda", runs=50) == [500, 4000, 4000, 4000]
    assert blocks("cuda", runs=500) == [500] + 5 * [2000]
    assert blocks("cuda", runs=3_000_000, size=502) == [500, 1, 1]


def test_stacks_keep_to_their_memory_budget():
    model = replace(MODEL, context_length=1100, width=64, heads=16)
    cpu = torch.device("cpu")
    sizes = [runs_per_stack(replace(model, context_length=T), 110, cpu) for T in (10, 100, 1100, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] >= 50, "a paper's block of seeds fits into one stack"
    assert 4 * sizes[3] * replace(model, context_length=100_000).floats_per_run(110, cpu) <= 512 * 2**20
    largest = replace(model, context_length=100_000, dropout=Dropout(attention=0.1))
    assert 4 * largest.floats_per_run(2000, cpu) <= 512 * 2**20, "masks of attention weights are not stored"
