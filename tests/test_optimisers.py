"""Optimisers over stacked runs against torch's classes, and the learning rates against torch's schedulers."""

from dataclasses import replace

import pytest
import torch
from torch import optim
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

from pipeline.engine.optimisers import StackedOptimiser
from pipeline.engine.parameters import ParameterStack
from pipeline.engine.protocol import Protocol, Success
from pipeline.engine.schedule import learning_rates

PROTOCOL = Protocol(learning_rate=0.1, weight_decay=0.03, max_steps=12, eval_every=4, success=Success(1.0, "any"))
SHAPES = {"weight": (2, 3), "bias": (2,)}
CASES = [  # protocol, torch's class with its options
    (PROTOCOL, optim.Adam, {}),
    (replace(PROTOCOL, optimiser="adamw"), optim.AdamW, {}),
    (replace(PROTOCOL, optimiser="sgd"), optim.SGD, {}),
    (replace(PROTOCOL, optimiser="sgd", momentum=0.8), optim.SGD, {"momentum": 0.8}),
]


def stack(runs: int, seed: int) -> ParameterStack:
    generator = torch.Generator().manual_seed(seed)
    return ParameterStack(SHAPES, torch.randn(8 * runs, dtype=torch.float64, generator=generator))


def pull(parameters: ParameterStack, targets: ParameterStack) -> torch.Tensor:
    """The gradient of the distance to some targets, which is neither linear nor the same for all runs."""
    return (parameters.flat - targets.flat).sinh()


@pytest.mark.parametrize(("protocol", "kind", "options"), CASES)
def test_trajectories_are_those_of_torch_whatever_runs_leave(protocol, kind, options):
    rates = learning_rates(replace(protocol, schedule="cosine", warmup_steps=3))
    start, targets = stack(4, seed=0), stack(4, seed=1)
    expected = start.like(start.flat.clone().requires_grad_())
    theirs = kind([expected.flat], lr=0.1, weight_decay=0.03, **options)
    ours = StackedOptimiser(start, protocol)
    runs = torch.arange(4)
    for step, rate in enumerate(rates):
        if step == 5:
            runs = torch.tensor([1, 3])
            ours.keep(runs)
        ours.rate.copy_(rate)
        ours.gradients.flat.copy_(pull(ours.parameters, targets.select(runs)))
        ours.step()
        theirs.param_groups[0]["lr"] = rate.item()
        expected.flat.grad = pull(expected, targets).detach()
        theirs.step()
    remaining = expected.select(runs).flat.detach()
    torch.testing.assert_close(ours.parameters.flat, remaining, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("runs", [[0, 1, 2], [2, 0]], ids=["all runs", "some runs"])
def test_the_state_is_all_that_later_steps_need(runs):
    """Steps of an optimiser that was given another's state are those of the other, to the bit."""
    chosen, targets = torch.tensor(runs), stack(3, seed=1)
    for protocol, *_ in CASES:
        whole = StackedOptimiser(stack(3, seed=0), protocol)
        resumed = StackedOptimiser(stack(len(runs), seed=2), protocol)
        for step in range(8):
            if step == 4:
                resumed.restore(whole.state(chosen))
            for one, own in ((whole, targets), (resumed, targets.select(chosen))):
                one.gradients.flat.copy_(pull(one.parameters, own))
                one.step()
        assert torch.equal(whole.parameters.select(chosen).flat, resumed.parameters.flat)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 1, 2, 7, 11])
def test_rates_are_those_of_torchs_schedulers(warmup, schedule):
    protocol = replace(PROTOCOL, warmup_steps=warmup, schedule=schedule)
    optimiser = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    after = {
        "constant": lambda: ConstantLR(optimiser, factor=1.0),
        "cosine": lambda: CosineAnnealingLR(optimiser, T_max=protocol.max_steps - warmup),
    }[schedule]
    parts = [LinearLR(optimiser, start_factor=1 / warmup, total_iters=warmup - 1)] if warmup > 1 else []
    parts += [ConstantLR(optimiser, factor=1.0)] if warmup == 1 else []
    scheduler = SequentialLR(optimiser, [*parts, after()], milestones=[warmup] if warmup else [])
    expected = []
    for _ in range(protocol.max_steps):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert learning_rates(protocol).tolist() == pytest.approx(expected, rel=1e-12)


def test_rates_by_hand():
    rates = learning_rates(replace(PROTOCOL, max_steps=8, warmup_steps=4, schedule="cosine"))
    half = 2**-0.5
    assert rates.tolist() == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.05 * (1 + half), 0.05, 0.05 * (1 - half)])
