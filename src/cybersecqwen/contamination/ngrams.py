"""N-grams of words as 64-bit hashes: those of passages, looked for in many texts at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np

from cybersecqwen.contamination.hashing import Hashes, Integers, scrambled, span_hashes
from cybersecqwen.contamination.passages import Postings
from cybersecqwen.contamination.words import Flags, Texts

_FILTER = 22  # bits: a table of 4 MB, in which one place of thirty is taken


class Grams:
    """The n-grams of passages; a run that is longer than a passage is none of it."""

    def __init__(self, passages: Texts, n: int) -> None:
        self._n = n
        row, hashes = _runs(passages, n)
        order = np.lexsort((hashes, row))
        row, hashes = row[order], hashes[order]
        new = np.ones(len(row), bool)
        new[1:] = (row[1:] != row[:-1]) | (hashes[1:] != hashes[:-1])
        self._post(passages.size, row[new], hashes[new])

    def _post(self, count: int, passages: Integers, hashes: Hashes) -> None:
        self._passages, self._hashes = passages, hashes
        self._sizes = np.bincount(passages, minlength=count)
        self._postings = Postings(hashes, passages)
        self._seen = np.zeros(len(self._postings.keys), bool)
        self._filter = np.zeros(1 << _FILTER, bool)  # most n-grams of a text end here
        self._filter[self._postings.keys >> np.uint64(64 - _FILTER)] = True

    def rarest(self) -> Self:
        """Keep only the n-gram of each passage that the fewest passages have."""
        numbers = np.searchsorted(self._postings.keys, self._hashes)
        order = np.lexsort((self._hashes, np.bincount(numbers)[numbers], self._passages))
        passages, first = np.unique(self._passages[order], return_index=True)
        self._post(len(self._sizes), passages, self._hashes[order][first])
        return self

    def shared(self, texts: Texts) -> Iterator[tuple[int, int]]:
        """Yield each pair of a text and a passage that have an n-gram in common."""
        rows, passages, _ = self._count(*_runs(texts, self._n))
        yield from zip(rows.tolist(), passages.tolist(), strict=True)

    def containment(
        self, texts: Texts, least: float, is_part: Flags | None = None
    ) -> Iterator[tuple[int, int, float]]:
        """Yield pairs and the share of the text's or of the passage's n-grams that both have.

        The larger share counts, of a text that is part of a row that of the passage, and only
        where it is at least `least`.
        """
        row, hashes = _runs(texts, self._n)
        rows, passages, counts = self._count(row, hashes)
        concerned = np.isin(row, rows)
        own = _distinct(row[concerned], hashes[concerned], texts.size)
        sizes = self._sizes[passages]
        smaller = np.minimum(sizes, own[rows])
        shares = counts / (smaller if is_part is None else np.where(is_part[rows], sizes, smaller))
        enough = shares >= least
        rows, passages, shares = rows[enough], passages[enough], shares[enough]
        yield from zip(rows.tolist(), passages.tolist(), shares.tolist(), strict=True)

    def note(self, texts: Texts) -> None:
        """Take note of the n-grams that the texts have, for `seen`."""
        self._count(*_runs(texts, self._n))

    def seen(self) -> Integers:
        """List the numbers of the n-grams that texts had since this was last asked."""
        numbers = np.flatnonzero(self._seen)
        self._seen[:] = False
        return numbers

    def shares(self, seen: Iterable[int]) -> list[float | None]:
        """Return the share of each passage's n-grams that were seen; None where it has none."""
        was_seen = np.zeros(len(self._postings.keys), bool)
        was_seen[list(seen)] = True
        own = was_seen[np.searchsorted(self._postings.keys, self._hashes)]
        counts = np.bincount(self._passages, own, len(self._sizes)).tolist()
        return [n / size if size else None for n, size in zip(counts, self._sizes, strict=True)]

    def _count(self, row: Integers, hashes: Hashes) -> tuple[Integers, Integers, Integers]:
        """Count the distinct n-grams that a text and a passage share, for each pair with any."""
        likely = self._filter[hashes >> np.uint64(64 - _FILTER)]
        row, hashes = row[likely], hashes[likely]
        keys = self._postings.keys
        numbers = np.searchsorted(keys, hashes)
        numbers[numbers == len(keys)] = 0
        is_known = keys[numbers] == hashes
        own = np.unique(row[is_known] * len(keys) + numbers[is_known])
        rows, numbers = np.divmod(own, max(1, len(keys)))
        self._seen[numbers] = True
        which, passages = self._postings.expand(numbers)
        pairs, counts = np.unique(rows[which] * len(self._sizes) + passages, return_counts=True)
        return *np.divmod(pairs, len(self._sizes)), counts


def _runs(texts: Texts, n: int) -> tuple[Integers, Hashes]:
    """Hash all runs of n words within a text: the number of the text, and the hash."""
    row = texts.row
    places = np.flatnonzero(row[n - 1 :] == row[: max(0, len(row) - n + 1)])
    return row[places], span_hashes(texts.words, places, places + n)


def _distinct(row: Integers, hashes: Hashes, count: int) -> Integers:
    """Count the distinct hashes of each of `count` texts."""
    own = hashes ^ scrambled(row)  # the same run in two texts counts in both
    order = np.argsort(own)
    first = np.ones(len(own), bool)
    first[1:] = own[order[1:]] != own[order[:-1]]
    return np.bincount(row[order[first]], minlength=count)
