"""Which passages hold which terms, and the BM25 weight of each term in each of them.

    postings = Postings(arrays, size=len(passages))
    [posting] = postings.of(["kerberos"], before=len(passages))
    passages, weights = posting         # None where no passage holds it

The weights are those of Robertson and Zaragoza (2009, 10.1561/1500000019) for whole passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.embedded.terms import hashed

Numbers = NDArray[np.float32]
Positions = NDArray[np.uint32]
Posting = tuple[Positions, Numbers]

K1, B = 0.8, 0.6  # saturation of a repeated word, weight of a passage's length


class Postings:
    """The lists of all terms, unpacked from an index file.

    How rare a term is, and how long a passage is on average, is judged by the first `size`
    passages alone.
    """

    def __init__(self, arrays: Any, size: int) -> None:
        self._size = size
        self._terms: NDArray[np.uint32] = arrays["terms"]
        held = arrays["frequencies"].astype(np.int64)
        self._starts = np.concatenate([[0], np.cumsum(held)])
        self._passages = _unpacked(arrays["gaps"], self._starts, held)
        later = np.add.reduceat(self._passages >= size, self._starts[:-1], dtype=np.int64)
        self._frequencies = held - later
        self._weights = self._weighed(arrays["counts"], arrays["passage_length"], held)

    def of(self, terms: Sequence[str], *, before: int) -> list[Posting | None]:
        """Return for each term the passages that hold it, of the first ones, with its weights."""
        places, known = self._places(terms)
        return [
            self._posting(place, before) if here else None
            for place, here in zip(places.tolist(), known, strict=True)
        ]

    def rarities(self, terms: Sequence[str]) -> list[float]:
        """Return the inverse document frequency of each term."""
        places, known = self._places(terms)
        counts = np.where(known, self._frequencies[places], 0)
        return [float(x) for x in _idf(counts, self._size)]

    def _places(self, terms: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where each term stands among the index's, and whether it does."""
        codes = hashed(terms)
        places = np.minimum(np.searchsorted(self._terms, codes), len(self._terms) - 1)
        return places, self._terms[places] == codes

    def _posting(self, place: int, before: int) -> Posting:
        start, end = self._starts[place : place + 2]
        passages = self._passages[start:end]
        size = np.searchsorted(passages, before)
        return passages[:size], self._weights[start : start + size]

    def _weighed(self, counts: Any, lengths: Any, held: NDArray[np.int64]) -> Numbers:
        """Turn counts into weights, once for all questions."""
        length = lengths.astype(np.float32)
        norm = (K1 * (1 - B + B * length / length[: self._size].mean())).astype(np.float32)
        idf = _idf(self._frequencies, self._size).astype(np.float32) * np.float32(K1 + 1)
        weights: Numbers = counts.astype(np.float32)
        weights /= weights + norm[self._passages]
        weights *= np.repeat(idf, held)
        return weights


def _unpacked(gaps: Any, starts: NDArray[np.int64], held: NDArray[np.int64]) -> Positions:
    """Turn the gaps between passages into passages; the terms' lists stand one after another."""
    # The gaps run on over all terms and may wrap around; each list's base wraps alike.
    passages = np.cumsum(gaps, dtype=np.uint32)
    begin = starts[:-1]
    base = np.where(begin > 0, passages[begin - 1], np.uint32(0))
    passages -= np.repeat(base, held)
    return passages


def _idf(frequencies: Any, passages: int) -> Any:
    """Weigh a term by how few passages hold it, never below zero."""
    return np.log1p((passages - frequencies + 0.5) / (frequencies + 0.5))
