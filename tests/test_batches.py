"""What a stack is trained on at each step: orders of minibatches, fresh samples, independence of packing and gaps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.data.datasets import Address
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.sampling import draw_holdout, draw_training_set
from pipeline.engine.batches import Batches, choose_batches
from pipeline.engine.mlp import Mlp
from pipeline.engine.protocol import Protocol, Success

CELL = Address("and", 2, 30, 23)
MODEL = Mlp(CELL.T, (4,))  # encodes bits as ±1
PROTOCOL = Protocol(learning_rate=0.1, weight_decay=0, max_steps=20, eval_every=5, success=Success(1.0, "any"))
MINIBATCHES, FRESH = replace(PROTOCOL, batch_size=5), replace(PROTOCOL, samples="fresh")
HOLDOUT = draw_holdout("and", 2, CELL.T, 50)


def training_set(seed: int, cell: Address = CELL):
    return draw_training_set(cell, seed, HOLDOUT, reject_ambiguous=False, max_redraws=0)


def batches(protocol: Protocol, seeds: list[int], cell: Address = CELL) -> Batches:
    runs = [{**cell._asdict(), "seed": seed} for seed in seeds]
    sets = [training_set(seed, cell) for seed in seeds]
    return choose_batches(protocol, MODEL, sets, runs, torch.float64, torch.device("cpu"))


def content(source: Batches, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The inputs [R, b, T] and labels [R, b] of a step, as bools."""
    samples, labels, _ = source.batch(step)
    assert samples.dtype == labels.dtype == torch.float64
    return samples.numpy() > 0, labels.numpy() == 1


def test_a_full_batch_is_the_training_set():
    source = batches(PROTOCOL, [3, 5])
    for step in (0, 7):
        inputs, labels = content(source, step)
        for row, seed in enumerate([3, 5]):
            assert (inputs[row] == training_set(seed).inputs.unpack()).all()
            assert (labels[row] == training_set(seed).labels).all()


def test_runs_with_fewer_samples_have_their_first_again_with_no_weight():
    cells = [CELL._replace(n=n) for n in (23, 9)]
    sets = [training_set(3, cell) for cell in cells]
    runs = [{**cell._asdict(), "seed": 3} for cell in cells]
    source = choose_batches(PROTOCOL, MODEL, sets, runs, torch.float64, torch.device("cpu"))
    inputs, labels = content(source, 0)
    weights = source.batch(0).weights
    for row, one in enumerate(sets):
        n = len(one.labels)
        expected, own = one.inputs.unpack(), np.arange(23) < n
        assert (inputs[row] == expected[np.where(own, np.arange(23), 0)]).all()
        assert (labels[row, :n] == one.labels).all()
        assert weights[row].tolist() == (own / n).tolist()
    source.keep(torch.tensor([1]))
    assert (content(source, 1)[0][0] == sets[1].inputs.unpack()).all(), "the places that no run needs go"
    assert source.batch(1).weights[0].tolist() == weights[1, :9].tolist()


def test_an_epoch_of_minibatches_has_each_sample_once_and_leaves_out_the_rest():
    source, whole = batches(MINIBATCHES, [0, 1]), training_set(0)
    samples = whole.inputs.unpack()
    assert len(np.unique(samples, axis=0)) == 23, "the samples should be distinguishable"
    orders = []
    for epoch in range(3):
        steps = [content(source, step) for step in range(4 * epoch, 4 * epoch + 4)]
        inputs, labels = (np.concatenate([step[part][0] for step in steps]) for part in (0, 1))
        order = [int(np.flatnonzero((samples == sample).all(1))[0]) for sample in inputs]
        assert len(set(order)) == 20
        assert (labels == whole.labels[order]).all()
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]


def test_a_batch_may_be_as_large_as_the_training_set():
    source = batches(replace(PROTOCOL, batch_size=23), [0])
    expected = np.unique(training_set(0).inputs.unpack(), axis=0)
    for step in (0, 1):
        assert np.array_equal(np.unique(content(source, step)[0][0], axis=0), expected)


def test_every_order_of_a_minibatch_is_as_likely():
    """The first batch of three samples, one a batch, over 600 epochs: each of the 6 orders about 100 times."""
    cell = Address("and", 2, CELL.T, 3)
    source, inputs = batches(replace(PROTOCOL, batch_size=1), [0], cell), training_set(0, cell).inputs.unpack()
    assert len(np.unique(inputs, axis=0)) == 3
    drawn = [np.flatnonzero((inputs == content(source, step)[0][0, 0]).all(1))[0] for step in range(1800)]
    counts = np.unique(np.reshape(drawn, (600, 3)), axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert ((counts - 100) ** 2 / 100).sum() < 20.5  # χ² of 5 degrees: exceeded once in 1000


def test_fresh_samples_have_the_runs_labels_and_the_functions_distribution():
    source, cell = batches(FRESH, [0, 1]), training_set(1)
    drawn = [content(source, step) for step in range(100)]
    for inputs, labels in drawn:
        assert inputs.shape == (2, 23, 30)
        assert (labels[1] == evaluate(cell.truth_table, inputs[1], cell.support)).all()
    bits = np.stack([inputs for inputs, _ in drawn])
    assert abs(bits.mean() - FUNCTIONS["and"].bit_probability(2)) < 4 * 0.5 / np.sqrt(bits.size)
    assert not (bits[0] == bits[1]).all()
    assert not (bits[0, 0] == bits[0, 1]).all()


@pytest.mark.parametrize("protocol", [MINIBATCHES, FRESH])
def test_a_runs_batches_do_not_depend_on_its_neighbours_or_on_what_came_before(protocol):
    together, thinned, alone = batches(protocol, [3, 5, 8]), batches(protocol, [3, 5, 8]), batches(protocol, [8])
    for step in range(20):
        if step == 6:
            thinned.keep(torch.tensor([0, 2]))
        inputs, labels = content(together, step)
        for other in [thinned, *([alone] if step >= 10 else [])]:
            found = content(other, step)
            assert (found[0][-1] == inputs[-1]).all()
            assert (found[1][-1] == labels[-1]).all()
