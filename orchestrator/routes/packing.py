"""Numbers of many partitions as bytes."""

import sys
from array import array
from collections.abc import Sequence


def saturated(numbers: Sequence[int]) -> bytes:
    """A byte a number, at most 255."""
    try:
        return bytes(iter(numbers))
    except ValueError:
        return bytes(min(number, 255) for number in numbers)


def little_endian(numbers: "array[int]") -> bytes:
    """Numbers as they lie in memory on a little-endian machine."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
