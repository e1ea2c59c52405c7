"""Blocks of seeds: every seed once, and what is there is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.blocks import block_name, cut, seed_range


@pytest.mark.parametrize(
    ("count", "size", "present", "blocks"),
    [
        (5, 2, [], ["0-1", "2-3", "4-4"]),
        (5, 2, ["0-1", "2-2"], ["0-1", "2-2", "3-4"]),  # the count was raised from 3
        (3, 2, ["0-1", "2-3", "4-4"], ["0-1", "2-3"]),  # and lowered from 5
        (50, 50, ["0-19"], ["0-19", "20-49"]),
        (20, 50, ["0-49"], ["0-49"]),
        (50, 10, ["0-49"], ["0-49"]),
        (20, 50, ["0-19", "0-49"], ["0-49"]),
        (50, 50, ["20-49"], ["0-19", "20-49"]),  # the file of the first was deleted
        (6, 4, ["2-2", "9-9"], ["0-1", "2-2", "3-5"]),
    ],
)
def test_blocks_that_are_there_are_kept(count, size, present, blocks):
    assert [block_name(block) for block in cut(count, size, [seed_range(name) for name in present])] == blocks


@given(st.integers(1, 60), st.integers(1, 20), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30))))
def test_every_seed_is_in_one_block_and_new_blocks_are_not_too_large(count, size, present):
    there = [range(start, start + length) for start, length in present]
    blocks = cut(count, size, there)
    seeds = [seed for block in blocks for seed in block]
    assert seeds == list(range(len(seeds)))
    assert len(seeds) >= count
    assert all(block in there or (len(block) <= size and block.stop <= count) for block in blocks)
