"""Vectors of 4-bit numbers, as the classifier's artifact holds them.

>>> vectors = Quantised.of(np.array([[3.5, -3.5, 0.5, 0.0]], np.float32))
>>> vectors.take(np.array([0])).tolist()
[[3.5, -3.5, 0.5, 0.0]]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cybersecqwen.embedded.tokenizer import Ints

Floats = npt.NDArray[np.float32]

_ZERO = 8  # the step that stands for 0
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of the largest number; what lies beyond is cut off


class Quantised(NamedTuple):
    """Vectors of 4-bit numbers: dimension i in the low half of byte i, i + size / 2 in the high."""

    packed: npt.NDArray[np.uint8]  # (vectors, size / 2)
    scale: npt.NDArray[np.float16]  # (vectors,)

    @classmethod
    def of(cls, vectors: Floats) -> Quantised:
        """Round to the 16 steps from -8 to 7 of a scale that loses least of each vector."""
        largest = np.maximum(np.abs(vectors).max(1), 1e-6)
        best, scale = np.full(len(vectors), np.inf, np.float32), largest.astype(np.float16)
        for share in _SCALES:
            tried = (largest * share / 7).astype(np.float16)
            lost = (
                (_steps(vectors, tried) * tried[:, None].astype(np.float32) - vectors) ** 2
            ).sum(1)
            scale = np.where(lost < best, tried, scale)
            best = np.minimum(lost, best)
        steps = (_steps(vectors, scale) + _ZERO).astype(np.uint8)
        low, high = np.split(steps, 2, axis=1)
        return cls((low | high << 4).astype(np.uint8), scale)

    def take(self, rows: Ints) -> Floats:
        """Return vectors in float32, of shape (rows, size)."""
        packed = self.packed[rows]
        steps = np.empty((len(rows), 2 * packed.shape[1]), np.float32)
        np.bitwise_and(packed, 15, out=steps[:, : packed.shape[1]], casting="unsafe")
        np.right_shift(packed, 4, out=steps[:, packed.shape[1] :], casting="unsafe")
        vectors: Floats = (steps - _ZERO) * self.scale[rows].astype(np.float32)[:, None]
        return vectors


def _steps(vectors: Floats, scale: npt.NDArray[np.float16]) -> Floats:
    steps: Floats = np.rint(vectors / scale[:, None].astype(np.float32)).clip(-8, 7)
    return steps


class VectorCache:
    """Unpacks vectors when they are first met: a few thousand words make up most of all texts."""

    def __init__(self, packed: Quantised) -> None:
        self._packed = packed
        count, half = packed.packed.shape
        self._unpacked = np.empty((count, 2 * half), np.float32)  # takes memory where it is filled
        self._known = np.zeros(count, bool)

    def take(self, rows: Ints) -> Floats:
        """Return vectors in float32, of shape (rows, size)."""
        known = self._known.take(rows)
        if not known.all():
            missing = np.zeros(len(self._known), bool)
            missing[rows[~known]] = True
            new = np.flatnonzero(missing)
            self._unpacked[new] = self._packed.take(new)
            self._known[new] = True
        vectors: Floats = self._unpacked.take(rows, axis=0)
        return vectors
