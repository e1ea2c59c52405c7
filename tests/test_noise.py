"""Noise on training samples: its rates, what it leaves alone, and that a larger rate contains a smaller one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawing import draw_block
from pipeline.data.datasets import Address, TrainingSet, read_training_sets, write_holdout, write_training_sets
from pipeline.data.functions import evaluate
from pipeline.data.noise import add_noise
from pipeline.data.sampling import draw_holdout, draw_training_set

CELL = Address("and", 3, 100, 400)
BITS = CELL.n * CELL.T


def draw(address: Address = CELL, seed: int = 0) -> TrainingSet:
    holdout = draw_holdout(address.function, address.k, address.T, 50)
    return draw_training_set(address, seed, holdout, reject_ambiguous=False, max_redraws=0)


def flips(label_noise: float = 0.0, feature_noise: float = 0.0, address: Address = CELL, seed: int = 0) -> tuple:
    """Which labels [n] and which bits [n, T] are flipped."""
    clean = draw(address, seed)
    noisy = add_noise(clean, address, label_noise=label_noise, feature_noise=feature_noise)
    return clean.labels ^ noisy.labels, clean.inputs.unpack() ^ noisy.inputs.unpack()


def deviations(flipped: np.ndarray, rate: float) -> float:
    """Distance of a number of flips from its mean, in standard deviations."""
    return abs(flipped.sum() - rate * flipped.size) / np.sqrt(rate * (1 - rate) * flipped.size)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.4])
def test_rates(rate):
    labels = np.concatenate([flips(label_noise=rate, seed=seed)[0] for seed in range(10)])
    assert deviations(labels, rate) < 4
    _, bits = flips(feature_noise=rate)
    assert deviations(bits, rate) < 4
    per_column = bits.sum(axis=0)
    assert per_column.var() == pytest.approx(rate * (1 - rate) * CELL.n, rel=0.6)  # 100 columns: ±0.14 a deviation


def test_labels_and_bits_are_flipped_by_numbers_of_their_own():
    labels, bits = flips(0.3, 0.3)
    agreement = (labels[:, None] == bits).mean(axis=0)
    expected = 0.3**2 + 0.7**2
    assert np.abs(agreement - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / CELL.n)
    assert (flips(label_noise=0.3)[0] == labels).all()
    assert (flips(feature_noise=0.3)[1] == bits).all()


def test_marginals_after_feature_noise():
    """P(1) = p + r (1 − 2p), with p = 2^(-1/3) for AND."""
    p, r = 2 ** (-1 / 3), 0.1
    noisy = add_noise(draw(), CELL, label_noise=0.0, feature_noise=r).inputs.unpack()
    expected = p + r * (1 - 2 * p)
    assert abs(noisy.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / BITS)
    assert abs(expected - p) > 10 * np.sqrt(expected * (1 - expected) / BITS), "else p itself would pass"


def test_other_runs_have_other_noise():
    labels, bits = flips(0.3, 0.3)
    other_labels, other_bits = flips(0.3, 0.3, seed=1)
    assert 0.4 < (labels == other_labels).mean() < 0.75
    assert abs((bits == other_bits).mean() - 0.58) < 0.02


@given(rates=st.tuples(st.floats(0, 0.499), st.floats(0, 0.499)), seed=st.integers(0, 5))
def test_a_larger_rate_contains_the_flips_of_a_smaller_one(rates, seed):
    address = Address("parity", 2, 20, 30)
    small, large = (flips(rate, rate, address, seed) for rate in sorted(rates))
    for fewer, more in zip(small, large, strict=True):
        assert (more >= fewer).all()


def block(folder, seeds: str, **noise: float) -> list[TrainingSet]:
    """The training sets that the job writes for a small cell."""
    address = Address("majority", 3, 21, 40)
    write_holdout(draw_holdout("majority", 3, 21, 50), folder / "holdout.parquet")
    rates = {"label_noise": 0.0, "feature_noise": 0.0} | noise
    spec = {"cell": address._asdict(), "seeds": seeds, "reject_ambiguous": True, "max_redraws": 5} | rates
    draw_block(spec, folder / "holdout.parquet", folder / f"{seeds}.parquet")
    return read_training_sets(folder / f"{seeds}.parquet")


def test_the_job_changes_labels_and_inputs_and_nothing_else(tmp_path):
    clean, noisy = block(tmp_path, "0-2"), block(tmp_path, "0-2", label_noise=0.2, feature_noise=0.1)
    holdout = draw_holdout("majority", 3, 21, 50).unpack()
    for before, after in zip(clean, noisy, strict=True):
        assert (before.labels == evaluate(before.truth_table, before.inputs.unpack(), before.support)).all()
        assert (before.labels != after.labels).any()
        assert (before.inputs.data != after.inputs.data).any()
        assert after.support.tolist() == before.support.tolist()
        assert after.truth_table.tolist() == before.truth_table.tolist()
        assert (after.holdout_labels == evaluate(before.truth_table, holdout, before.support)).all()
        assert (after.unique, after.redraws) == (before.unique, before.redraws)


def test_without_noise_the_file_is_that_of_the_samples_as_drawn(tmp_path):
    block(tmp_path, "0-2")
    address, holdout = Address("majority", 3, 21, 40), draw_holdout("majority", 3, 21, 50)
    drawn = [draw_training_set(address, seed, holdout, reject_ambiguous=True, max_redraws=5) for seed in range(3)]
    write_training_sets(drawn, tmp_path / "drawn.parquet")
    assert (tmp_path / "0-2.parquet").read_bytes() == (tmp_path / "drawn.parquet").read_bytes()


def test_noise_does_not_depend_on_the_block(tmp_path):
    together, alone = (block(tmp_path, seeds, label_noise=0.2, feature_noise=0.1) for seeds in ("0-2", "1-1"))
    assert together[1].labels.tolist() == alone[0].labels.tolist()
    assert together[1].inputs.data.tolist() == alone[0].inputs.data.tolist()


def test_padding_bits_stay_zero():
    """T = 21 takes three bytes; the last three bits of the third are no positions."""
    address = Address("parity", 2, 21, 30)
    noisy = add_noise(draw(address), address, label_noise=0.0, feature_noise=0.4)
    assert not (noisy.inputs.data[:, -1] & 0b111).any()
