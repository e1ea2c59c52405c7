"""Named random streams: fixed values, independence of the order of coordinates, and distributions."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pipeline import randomness
from pipeline.randomness import Stream


def test_a_stream_never_changes():
    """Results of published runs rest on these values: if this test fails, every run changes."""
    stream = Stream("training-inputs", function="and", k=3, T=100, n=50, seed=7)
    assert stream.bernoulli(0.5, (8,)).tolist() == [True, True, False, False, False, False, True, False]
    assert stream.subset(3, 100).tolist() == [9, 65, 93]
    np.testing.assert_allclose(
        stream.normal((3,)), [-1.3252183795937056, 0.14295192455303354, 0.15967146145679373], rtol=1e-12
    )


def test_uniform_values_never_change():
    values = Stream("initialisation", seed=7).uniform((3,))
    np.testing.assert_allclose(values, [0.9021789983203969, 0.15178918093692045, 0.9804954279352494], rtol=1e-15)


def test_uniform_values_are_uniform():
    values = Stream("test-uniform").uniform((101, 99))
    assert values.shape == (101, 99)
    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-4


def test_the_address_names_the_stream():
    first = Stream("support", T=10, k=3).subset(3, 1000)
    assert (first == Stream("support", k=3, T=10).subset(3, 1000)).all()
    assert not (first == Stream("support", k=3, T=11).subset(3, 1000)).all()
    assert not (first == Stream("inputs", k=3, T=10).subset(3, 1000)).all()


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.7937, 1.0])
def test_bernoulli_has_its_probability(probability):
    bits = Stream("test", p=str(probability)).bernoulli(probability, (300, 333))
    assert bits.shape == (300, 333)
    assert abs(bits.mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / bits.size)


def test_subsets_are_uniform():
    stream = Stream("test-subsets")
    counts = Counter(tuple(stream.subset(2, 5).tolist()) for _ in range(4000))
    assert set(counts) == set(combinations(range(5), 2))
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_normal_values_are_normal():
    values = Stream("test-normal").normal((101, 99))
    assert values.shape == (101, 99)
    assert stats.kstest(values.ravel(), "norm").pvalue > 1e-4


def test_bits_do_not_depend_on_the_pieces_they_are_drawn_in(monkeypatch):
    whole = Stream("bits").bernoulli(0.3, (7, 101))
    monkeypatch.setattr(randomness, "PIECE", 64)
    assert (Stream("bits").bernoulli(0.3, (7, 101)) == whole).all()
