"""Blocks of seeds: what one job takes of a cell's seeds 0, 1, …"""

from collections.abc import Collection


def seed_range(name: str) -> range:
    """The seeds of a block by its name: ``"0-49"`` -> ``range(0, 50)``."""
    first, last = map(int, name.split("-"))
    return range(first, last + 1)


def block_name(seeds: range) -> str:
    """The name of a block: ``range(0, 50)`` -> ``"0-49"``."""
    return f"{seeds[0]}-{seeds[-1]}"


def cut(count: int, size: int, present: Collection[range] = ()) -> list[range]:
    """The seeds below ``count`` in blocks: those present, and between them new ones of at most ``size``.

    So a count that is raised leaves the blocks that there are, even if the last of them has fewer than ``size``. One
    that is present may reach beyond ``count``: if that was lowered, what there is still serves.
    """
    ends = {block.start: block.stop for block in sorted(present, key=len)}  # of those that begin alike, the longest
    blocks, first = [], 0
    while first < count:
        end = ends.get(first) or min(first + size, count, *(start for start in ends if start > first))
        blocks.append(range(first, end))
        first = end
    return blocks
