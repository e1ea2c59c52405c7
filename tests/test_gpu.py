"""On a GPU: recorded steps are those of the CPU, whatever the options, and interruptions change nothing.

Without a GPU these tests are skipped; test_agreement.py compares success rates.
"""

from dataclasses import replace

import pytest
import torch

import test_checkpoints as interruptions
from pipeline.data.datasets import Address
from pipeline.data.sampling import draw_holdout, draw_training_set
from pipeline.engine import training
from pipeline.engine.batches import choose_batches
from pipeline.engine.deep_transformer import DeepTransformer
from pipeline.engine.dropout import Dropout
from pipeline.engine.holdout import Holdout
from pipeline.engine.lstm import Lstm
from pipeline.engine.mlp import Mlp
from pipeline.engine.model import StackedModel
from pipeline.engine.protocol import NormBound, Protocol, Success
from pipeline.engine.recording import Recorder
from pipeline.engine.training import Training
from pipeline.engine.transformer import Transformer
from pipeline.randomness import Stream
from pipeline.results import RunResult

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

T, RUNS = 20, 4
MODEL = Transformer(T, width=16, heads=4, mlp_width=16, init_std=0.1)
PROTOCOL = Protocol(
    learning_rate=1e-2,
    weight_decay=1e-4,
    max_steps=20,  # later, rounding has grown too far to compare
    eval_every=10,
    success=Success(1.0, "any"),
    record=("attention", "progress"),
)
HOLDOUT = draw_holdout("and", 2, T, 300)


def trained(device: str, protocol: Protocol, sizes: list[int], model: StackedModel = MODEL) -> list[RunResult]:
    """The results of runs with so many samples, trained as one stack in float64."""
    cells = [Address("and", 2, T, n) for n in sizes]
    draw = {"reject_ambiguous": False, "max_redraws": 0}
    sets = [draw_training_set(cell, seed, HOLDOUT, **draw) for seed, cell in enumerate(cells)]
    runs = [{**cell._asdict(), "seed": seed} for seed, cell in enumerate(cells)]
    stack = model.initialise([Stream("test-init", seed=seed) for seed in range(len(runs))])
    stack = stack.like(stack.flat.to(device, torch.float64))
    labels, supports = (
        torch.stack(list(map(torch.tensor, of_runs))).to(device)
        for of_runs in zip(*((one.holdout_labels, one.support) for one in sets), strict=True)
    )
    judge = Holdout(torch.tensor(HOLDOUT.data, device=device), labels, 1.0)
    batches = choose_batches(protocol, model, sets, runs, torch.float64, torch.device(device))
    recorder = Recorder(protocol, model, stack, judge, supports, runs)
    one = Training(model, protocol, stack, batches, judge, runs, recorder)
    assert list(one.evaluations())
    return one.results


OPTIONS = {
    "adam": PROTOCOL,
    "adamw": replace(PROTOCOL, optimiser="adamw", warmup_steps=5, schedule="cosine"),
    "sgd": replace(PROTOCOL, optimiser="sgd", learning_rate=0.1, momentum=0.9),
    "minibatches": replace(PROTOCOL, batch_size=7),
    "fresh samples": replace(PROTOCOL, samples="fresh"),
    "norm bounds": replace(PROTOCOL, norm_bound=NormBound("2,1", value=3.0, query_key=0.5)),
}


ONE_N, SEVERAL_N = [30] * RUNS, [30, 12, 25]
CASES = [(options, sizes) for options in OPTIONS for sizes in (ONE_N, SEVERAL_N)]


@pytest.mark.parametrize(
    ("options", "sizes"),
    [case for case in CASES if case[1] == ONE_N or case[0] not in ("minibatches", "fresh samples")],
)
def test_a_trajectory_is_that_of_the_cpu(options, sizes):
    protocol = OPTIONS[options]
    there, here = (trained(device, protocol, sizes) for device in ("cuda", "cpu"))
    assert any(abs(one.curve_train_loss[0] - one.curve_train_loss[1]) > 1e-3 for one in here), "the loss should move"
    for one, other in zip(there, here, strict=True):
        assert one.curve_steps == other.curve_steps
        assert one.curve_train_loss == pytest.approx(other.curve_train_loss, rel=1e-6)
        assert one.curve_holdout_accuracy == other.curve_holdout_accuracy
        assert one.curve_support_mass == pytest.approx(other.curve_support_mass, rel=1e-6)
        assert one.support_recovered == other.support_recovered


MODELS = {
    "two layers": DeepTransformer(T, width=8, heads=2, mlp_width=8, layers=2, init_std=0.1),
    "mlp": Mlp(T, (16,)),
    "lstm": Lstm(T, width=8),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_other_models_are_trained_as_on_the_cpu(name):
    protocol = replace(PROTOCOL, record=("progress",))
    there, here = (trained(device, protocol, [30, 20], MODELS[name]) for device in ("cuda", "cpu"))
    for one, other in zip(there, here, strict=True):
        assert one.curve_train_loss == pytest.approx(other.curve_train_loss, rel=1e-6)
        assert one.curve_holdout_accuracy == other.curve_holdout_accuracy
        assert one.curve_distance == pytest.approx(other.curve_distance, rel=1e-6)


def test_masks_are_drawn_anew_at_every_replay(monkeypatch):
    """As without a graph: the recorded step takes its generators on."""
    model = replace(MODEL, dropout=Dropout(attention=0.2, residual=0.1, mlp=0.3))
    protocol = replace(PROTOCOL, record=(), max_steps=30)  # three chunks, each seeded anew
    recorded, again = (trained("cuda", protocol, [30] * RUNS, model) for _ in range(2))
    assert recorded == again
    monkeypatch.setattr(training, "CapturedStep", lambda step, noise: step)
    for one, other in zip(recorded, trained("cuda", protocol, [30] * RUNS, model), strict=True):
        assert one.curve_train_loss == pytest.approx(other.curve_train_loss, rel=1e-6)


folder, restack = interruptions.folder, interruptions.restack


@pytest.mark.usefixtures("restack")
@pytest.mark.parametrize("variant", interruptions.VARIANTS)
def test_an_interrupted_job_ends_with_the_rows_of_an_undisturbed_one(folder, variant, monkeypatch, caplog):
    monkeypatch.setattr(interruptions, "DEVICE", torch.device("cuda"))
    interruptions.test_an_interrupted_job_ends_with_the_rows_of_an_undisturbed_one(folder, variant, monkeypatch, caplog)
