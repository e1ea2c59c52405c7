"""Training sets and holdouts: distribution, rejection, independence of packing and of the process, round trip."""

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline import checkpoints
from pipeline.checkpoints import Checkpoint
from pipeline.data import sampling
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import (
    Address,
    TrainingSet,
    read_holdout,
    read_training_sets,
    write_holdout,
    write_training_sets,
)
from pipeline.data.functions import FUNCTIONS, evaluate
from pipeline.data.sampling import draw_holdout, draw_training_set
from pipeline.data.uniqueness import consistent_supports
from pipeline.jobs import dataset
from pipeline.storage import read_table

CELL = Address("and", 3, 40, 60)


def draw(address: Address = CELL, seed: int = 0, *, reject: bool = True, max_redraws: int = 100) -> TrainingSet:
    holdout = draw_holdout(address.function, address.k, address.T, 200)
    return draw_training_set(address, seed, holdout, reject_ambiguous=reject, max_redraws=max_redraws)


def content(one: TrainingSet) -> dict:
    """Everything in a training set, comparable by ==."""
    values = vars(one) | {"inputs": one.inputs.unpack()}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_labels_are_the_functions_at_its_bit_probability(function):
    address = Address(function, 3, 12, 400)
    one = draw(address)
    holdout = draw_holdout(function, 3, 12, 200)
    assert (one.labels == evaluate(one.truth_table, one.inputs.unpack(), one.support)).all()
    assert (one.holdout_labels == evaluate(one.truth_table, holdout.unpack(), one.support)).all()
    p, ones = FUNCTIONS[function].bit_probability(3), np.bitwise_count(np.arange(2**3)).astype(int)
    share = np.sum(one.truth_table * p**ones * (1 - p) ** (3 - ones))
    assert abs(one.labels.mean() - share) < 4 * 0.5 / np.sqrt(400)


def test_supports_are_uniform_over_seeds():
    supports = Counter(
        tuple(draw(Address("and", 2, 5, 8), seed, max_redraws=2).support.tolist()) for seed in range(800)
    )
    assert len(supports) == 10
    assert stats.chisquare(list(supports.values())).pvalue > 1e-4


def test_a_rejected_sample_is_redrawn_until_it_is_unique():
    """At T = 40 and n = 20 about one sample in two is ambiguous."""
    address = CELL._replace(n=20)
    sets = [draw(address, seed) for seed in range(20)]
    redraws = [one.redraws for one in sets]
    assert 0 in redraws
    assert max(redraws) >= 1
    for one in sets:
        assert one.unique
        found = consistent_supports(one.truth_table, one.inputs.unpack(), one.labels)
        assert found.tolist() == [one.support.tolist()]
        first = draw(address, one.seed, reject=False)
        assert (first.inputs.data == one.inputs.data).all() == (one.redraws == 0)
        assert (first.support == one.support).all(), "rejection must not favour a support"


def test_a_hopeless_sample_is_kept_and_marked_after_the_last_redraw():
    one = draw(Address("and", 3, 200, 5), max_redraws=4)
    assert (one.redraws, one.unique) == (4, False)
    assert len(consistent_supports(one.truth_table, one.inputs.unpack(), one.labels)) == 2


def test_without_rejection_nothing_is_said_about_uniqueness():
    one = draw(Address("and", 3, 200, 5), reject=False)
    assert (one.redraws, one.unique) == (0, None)


def test_coordinates_give_different_data():
    base = draw()
    for other in (draw(seed=1), draw(CELL._replace(n=61)), draw(CELL._replace(T=41))):
        assert content(other)["inputs"] != content(base)["inputs"]
        assert other.support.tolist() != base.support.tolist()


def test_a_run_does_not_depend_on_its_block(tmp_path):
    write_training_sets([draw(seed=seed) for seed in (3, 4, 5)], tmp_path / "a.parquet")
    write_training_sets([draw(seed=4)], tmp_path / "b.parquet")
    together, alone = read_training_sets(tmp_path / "a.parquet"), read_training_sets(tmp_path / "b.parquet")
    assert content(together[1]) == content(alone[0])


def digest() -> str:
    holdout = draw_holdout("and", 3, 40, 200)
    return hashlib.sha256(repr(content(draw())).encode() + holdout.data.tobytes()).hexdigest()


def test_another_process_draws_the_same():
    command = [sys.executable, "-c", "from test_datasets import digest; print(digest())"]
    other = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert other.stdout.strip() == digest()


@given(n=st.integers(1, 20), T=st.integers(1, 40), N=st.integers(1, 20), unique=st.sampled_from([True, False, None]))
def test_training_sets_survive_the_round_trip(tmp_path_factory, n, T, N, unique):
    rng = np.random.default_rng([n, T, N])
    inputs, labels, holdout_labels = rng.random((n, T)) < 0.5, rng.random(n) < 0.5, rng.random(N) < 0.5
    known = (np.array([0]), np.array([True, False]))
    first = TrainingSet(7, *known, PackedBits.pack(inputs), labels, holdout_labels, 2, unique)
    second = replace(first, seed=8, inputs=PackedBits.pack(~inputs))
    path = tmp_path_factory.mktemp("data") / "block.parquet"
    write_training_sets([first, second], path)
    assert [content(one) for one in read_training_sets(path)] == [content(first), content(second)]


@given(n=st.integers(1, 20), T=st.integers(1, 40))
def test_holdouts_survive_the_round_trip(tmp_path_factory, n, T):
    inputs = np.random.default_rng([n, T]).random((n, T)) < 0.5
    path = tmp_path_factory.mktemp("data") / "holdout.parquet"
    write_holdout(PackedBits.pack(inputs), path)
    read = read_holdout(path).unpack()
    assert read.dtype == bool
    assert (read == inputs).all()


@given(n=st.integers(1, 9), T=st.integers(1, 40), data=st.data())
def test_columns_of_packed_bits_are_those_of_the_bits(n, T, data):
    bits = np.random.default_rng([n, T]).random((n, T)) < 0.5
    positions = np.array(data.draw(st.lists(st.integers(0, T - 1), min_size=1)))
    columns = PackedBits.pack(bits).columns(positions)
    assert columns.dtype == bool
    assert (columns == bits[:, positions]).all()


def test_bits_are_packed(tmp_path):
    write_holdout(draw_holdout("and", 3, 1000, 2000), tmp_path / "holdout.parquet")
    assert (tmp_path / "holdout.parquet").stat().st_size < 1.1 * 1000 * 2000 / 8


def test_an_interrupted_job_draws_the_same_without_searching_again(tmp_path, monkeypatch):
    """Few samples, so that some are redrawn; the last redraw that is allowed keeps an ambiguous one."""
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    holdout, cell = tmp_path / "holdout.parquet", {"function": "and", "k": 2, "T": 30, "n": 8}
    write_holdout(draw_holdout("and", 2, 30, 50), holdout)
    spec = {"cell": cell, "seeds": "3-10", "reject_ambiguous": True, "max_redraws": 3}
    spec |= {"label_noise": 0.1, "feature_noise": 0.0}
    dataset.draw_block(spec, holdout, tmp_path / "whole.parquet", Checkpoint(tmp_path / "a", spec, "", holdout))
    undisturbed = read_table(tmp_path / "whole.parquet")
    redraws, unique = (undisturbed[name].to_pylist() for name in ("redraws", "unique"))
    assert 0 in redraws and False in unique[:5] and (1 in redraws[:5] or 2 in redraws[:5])
    searches, neighbour = [], sampling.has_neighbour
    monkeypatch.setattr(sampling, "has_neighbour", lambda *sample: searches.append(sample) or neighbour(*sample))
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(dataset, "add_noise", interrupted_after(5, dataset.add_noise))
        dataset.draw_block(spec, holdout, tmp_path / "again.parquet", Checkpoint(tmp_path / "b", spec, "", holdout))
    assert len(searches) == sum(redraws[:6]) + 6, "the sixth was found and not yet written"
    dataset.draw_block(spec, holdout, tmp_path / "again.parquet", Checkpoint(tmp_path / "b", spec, "", holdout))
    assert read_table(tmp_path / "again.parquet").equals(undisturbed)
    assert len(searches) == sum(redraws) + 8, "one for each sample of each set"


def interrupted_after(count: int, work: Callable) -> Callable:
    """Work that is interrupted when so much of it is done."""
    left = iter(range(count))

    def interrupted(*arguments, **options):
        if next(left, None) is None:
            raise InterruptedError
        return work(*arguments, **options)

    return interrupted
