"""N-grams of words as 64-bit hashes: those of passages, looked for in many texts at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cybersecqwen.corpus.contamination.passages import Hashes, Integers, Postings, Words
from cybersecqwen.corpus.contamination.words import BOUNDARY

_FILTER = 22  # bits: a table of 4 MB, in which one place of thirty is taken
_END = np.array([BOUNDARY], np.int32)


class Grams:
    """The n-grams of passages; a run that is longer than a passage is none of it."""

    def __init__(self, passages: Iterable[Words], n: int) -> None:
        self._n = n
        self._post([np.unique(hashes_of(words, n)[0]) for words in passages])

    def _post(self, hashes: list[Hashes]) -> None:
        self._own = hashes
        self._sizes = np.array([len(own) for own in hashes])
        self._postings = Postings([own.tolist() for own in hashes])
        self._seen = np.zeros(len(self._postings.keys), bool)
        self._filter = np.zeros(1 << _FILTER, bool)  # most n-grams of a text end here
        self._filter[self._postings.keys >> np.uint64(64 - _FILTER)] = True

    def rarest(self) -> Self:
        """Keep only the n-gram of each passage that the fewest passages have."""
        values, counts = np.unique(np.concatenate(self._own), return_counts=True)
        self._post([o[np.argsort(counts[np.searchsorted(values, o)])[:1]] for o in self._own])
        return self

    def shared(self, texts: list[Words]) -> Iterator[tuple[int, int]]:
        """Yield each pair of a text and a passage that have an n-gram in common."""
        rows, passages, _ = self._count(*_runs(texts, self._n))
        yield from zip(rows.tolist(), passages.tolist(), strict=True)

    def containment(self, texts: list[Words], least: float) -> Iterator[tuple[int, int, float]]:
        """Yield pairs and the share of the text's or of the passage's n-grams that both have.

        The larger share counts, and only where it is at least `least`.
        """
        row, hashes = _runs(texts, self._n)
        rows, passages, counts = self._count(row, hashes)
        shares = counts / np.minimum(self._sizes[passages], _distinct(row, hashes)[rows])
        enough = shares >= least
        rows, passages, shares = rows[enough], passages[enough], shares[enough]
        yield from zip(rows.tolist(), passages.tolist(), shares.tolist(), strict=True)

    def note(self, texts: list[Words]) -> None:
        """Take note of the n-grams that the texts have, for `seen`."""
        self._count(*_runs(texts, self._n))

    def seen(self) -> Integers:
        """List the numbers of the n-grams that texts had since this was last asked."""
        found = np.flatnonzero(self._seen)
        self._seen[:] = False
        return found

    def shares(self, seen: Iterable[int]) -> list[float | None]:
        """Give the share of each passage's n-grams that were seen; None where it has none."""
        was_seen = np.zeros(len(self._postings.keys), bool)
        was_seen[list(seen)] = True
        places = (np.searchsorted(self._postings.keys, own) for own in self._own)
        return [float(was_seen[own].mean()) if len(own) else None for own in places]

    def _count(self, row: Integers, hashes: Hashes) -> tuple[Integers, Integers, Integers]:
        """Count the distinct n-grams that a text and a passage share, for each pair with any."""
        likely = self._filter[hashes >> np.uint64(64 - _FILTER)]
        row, hashes = row[likely], hashes[likely]
        keys = self._postings.keys
        numbers = np.searchsorted(keys, hashes)
        numbers[numbers == len(keys)] = 0
        found = keys[numbers] == hashes
        own = np.unique(row[found] * len(keys) + numbers[found])
        rows, numbers = np.divmod(own, max(1, len(keys)))
        self._seen[numbers] = True
        which, passages = self._postings.expand(numbers)
        pairs, counts = np.unique(rows[which] * len(self._sizes) + passages, return_counts=True)
        return *np.divmod(pairs, len(self._sizes)), counts


def _runs(texts: list[Words], n: int) -> tuple[Integers, Hashes]:
    """Hash all runs of n words of each text: the number of the text, and the hash."""
    words = np.concatenate([part for text in texts for part in (text, _END)])
    row = np.repeat(np.arange(len(texts)), [len(text) + 1 for text in texts])
    hashes, places = hashes_of(words, n)
    return row[places], hashes


def _distinct(row: Integers, hashes: Hashes) -> Integers:
    """Count the distinct hashes of each text, by its number."""
    own = hashes ^ _scrambled(row)  # the same run in two texts counts in both
    order = np.argsort(own)
    first = np.ones(len(own), bool)
    first[1:] = own[order[1:]] != own[order[:-1]]
    return np.bincount(row[order[first]], minlength=int(row[-1]) + 1 if len(row) else 0)


def hashes_of(words: Words, n: int) -> tuple[Hashes, Integers]:
    """Hash every run of n words that crosses no boundary; also say where it begins.

    A run's hash is a polynomial in an odd base, modulo 2**64, over scrambled numbers of words.
    """
    count = len(words) - n + 1
    if count < 1:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    powers, inverses = _powers(len(words))
    sums = np.zeros(len(words) + 1, np.uint64)
    np.cumsum(_scrambled(words) * powers, out=sums[1:])
    ends = np.zeros(len(words) + 1, np.int64)
    np.cumsum(words == BOUNDARY, out=ends[1:])
    places = np.flatnonzero(ends[n:] == ends[:count])
    # The high bits choose the place in the filter, so they have to depend on all words.
    return _scrambled((sums[n:] - sums[:count])[places] * inverses[places]), places


def _scrambled(numbers: npt.NDArray[Any]) -> Hashes:
    """Mix the bits of each number (the finaliser of splitmix64)."""
    z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@lru_cache(maxsize=1)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Give the powers of the base and of its inverse modulo 2**64."""
    base = 0x5851F42D4C957F2D
    every = [np.full(count, value, np.uint64) for value in (base, pow(base, -1, 2**64))]
    for values in every:
        values[:1] = 1
        np.multiply.accumulate(values, out=values)
    return every[0], every[1]
