"""The sample sizes that an adaptive design chooses from: fine, and round enough to be read."""

RESOLUTION = 0.02  # neighbours differ by 1 or by at most this share


def sizes_between(low: int, high: int) -> list[int]:
    """The sizes that a design chooses from: integers, from 100 on in steps of 1, 2 or 5 times a power of ten."""
    sizes, size = [], 1
    while size <= high:
        sizes.append(size)
        size += _step(size)
    return [size for size in sizes if size >= low]


def _step(size: int) -> int:
    """The largest of 1, 2, 5, 10, 20, … that is at most ``RESOLUTION`` of the size, or 1."""
    steps = (digit * 10**exponent for exponent in range(12) for digit in (1, 2, 5))
    return max(step for step in steps if step <= max(1, RESOLUTION * size))
