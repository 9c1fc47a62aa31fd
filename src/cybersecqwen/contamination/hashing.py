"""Hash runs of values, all of them at once: the letters of words, the words of n-grams.

>>> import numpy as np
>>> letters = np.frombuffer(b"to be or to", np.uint8)
>>> to, be, again = span_hashes(letters, np.array([0, 3, 9]), np.array([2, 5, 11])).tolist()
>>> to == again != be
True
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_BASE = 0x5851F42D4C957F2D  # odd: it has an inverse modulo 2**64


def span_hashes(values: npt.NDArray[Any], starts: Integers, ends: Integers) -> Hashes:
    """Hash `values[start:end]` for each pair of places, in time that does not grow with the spans.

    A hash is a polynomial in an odd base modulo 2**64 over the values, none of which may be 0,
    scrambled. It is a difference of two running sums.
    """
    powers, inverses = _powers(1 << len(values).bit_length())
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * powers[: len(values)], out=sums[1:])
    return scrambled((sums[ends] - sums[starts]) * inverses[starts])


def scrambled(numbers: npt.NDArray[Any]) -> Hashes:
    """Mix the bits of each number, so that each of them depends on all (splitmix64's finaliser)."""
    z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@lru_cache(maxsize=4)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse modulo 2**64."""
    every = [np.full(count, value, np.uint64) for value in (_BASE, pow(_BASE, -1, 2**64))]
    for values in every:
        values[0] = 1
        np.multiply.accumulate(values, out=values)
    return every[0], every[1]
