"""Find the passages that the words of a text are like, by weighted Jaccard similarity.

The similarity of a passage and a text is that of the passage and the part of the text that is
nearest to it: a copy inside a longer text, or behind an instruction, is found as one that stands
alone. Nothing that is alike enough is missed by the search for it, since it is no sample: what is
at least t alike shares that much of the passage's weight, and so at least one of those words
without which the others are not enough (prefix filtering: Chaudhuri, Ganti, Kaushik, 2006).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cybersecqwen.contamination.hashing import Hashes, Integers
from cybersecqwen.contamination.passages import Floats, Passages, Postings
from cybersecqwen.contamination.words import Texts

_ROWS = 256  # parts of texts whose words stand in one table of all known words
_FEWEST = 6  # words of a passage that similarity can be told of
_LONG = 1_000  # words of a text that are compared with all passages at once
_TIER = 64  # words: longer passages are compared with longer parts, by steps of four times
_LENGTHS = (1.0, 1.25)  # of the part of a text that is looked at, in those of the passage
_ROUNDING = 1e-9
_SLACK = 0.75  # of the weight needed: more postings than must be, and far fewer to look into

ScoredPair = tuple[int, int, float]  # a text, a passage, and how alike they are


class Similarity:
    """The passages by the words that tell them from others."""

    def __init__(self, passages: Passages, least: float) -> None:
        self._passages = passages
        self._least = least
        sizes = [len(words) for words in passages.distinct]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._flat = np.concatenate(passages.distinct)
        self._lengths = np.array([len(passage.words) for passage in passages.all])
        self._needed = least * passages.total - _ROUNDING
        self._marked = np.zeros(passages.size, bool)
        self._prefixes: Postings | None = None

    def _post(self, texts: Texts) -> Postings:
        """Post each passage under words of which a text like it has at least one.

        Those are the words that the first texts and the passages have least: the choice has no
        effect on what is found, only on how fast.
        """
        passages = self._passages
        said = np.unique(texts.row * passages.size + passages.number(texts.words)) % passages.size
        counts = np.bincount(said, minlength=passages.size) / max(1, texts.size)
        counts += np.bincount(self._flat, minlength=passages.size) / len(passages.all)
        owner = np.repeat(np.arange(len(passages.all)), np.diff(self._starts))
        order = np.lexsort((counts[self._flat], owner))
        weights = passages.weights[self._flat[order]]
        sums = np.cumsum(weights)
        before = sums - weights - np.concatenate([[0.0], sums])[self._starts[:-1]][owner]
        posted = passages.total[owner] - before >= self._needed[owner] * _SLACK
        own = np.bincount(owner[posted], weights[posted], len(passages.all))
        self._enough = self._needed - (passages.total - own) - _ROUNDING
        postings = Postings(self._flat[order][posted], owner[posted])
        self._is_posted = np.zeros(passages.size, bool)
        self._is_posted[postings.keys] = True
        return postings

    def find(self, texts: Texts) -> Iterator[ScoredPair]:
        """Yield the pairs of a text and a passage that are at least `least` alike.

        A pair comes once for each part of a very long text in which it is found.
        """
        self._prefixes = self._prefixes or self._post(texts)
        table = np.zeros((_ROWS, self._passages.size), bool)
        parts = _parts(texts, int(self._lengths.max()))
        while some := list(islice(parts, _ROWS)):
            yield from self._find(some, self._prefixes, table)

    def _find(
        self, parts: list[_Part], prefixes: Postings, table: npt.NDArray[np.bool_]
    ) -> Iterator[ScoredPair]:
        sizes = [len(part.words) for part in parts]
        row = np.repeat(np.arange(len(parts)), sizes)
        words = np.concatenate([part.words for part in parts])
        known = self._passages.number(words)
        table[row, known] = True
        rows, passages = self._candidates(prefixes, row, known)
        shortest, longest = (np.array([part[i] for part in parts])[rows] for i in (2, 3))
        enough = self._shared(table, rows, passages) >= self._needed[passages]
        enough &= (self._lengths[passages] > shortest) & (self._lengths[passages] <= longest)
        rows, passages = rows[enough], passages[enough]
        table[row, known] = False
        starts = np.concatenate([[0], np.cumsum(sizes)])
        weights, before = self._passages.weights[known], _before(row, words)
        for r, passage in zip(rows.tolist(), passages.tolist(), strict=True):
            here = slice(starts[r], starts[r + 1])
            text = _Text(known[here], weights[here], before[here] - starts[r])
            score = self._score(text, passage)
            if score >= self._least:
                yield parts[r].text, passage, score

    def _candidates(
        self, prefixes: Postings, row: Integers, words: Integers
    ) -> tuple[Integers, Integers]:
        """Pair each text with the passages that are posted under one of its words."""
        posted = self._is_posted[words]
        own = np.unique(row[posted] * self._passages.size + words[posted])
        rows, keys = np.divmod(own, self._passages.size)
        places = np.searchsorted(prefixes.keys, keys)
        which, passages = prefixes.expand(places)
        pairs, which_pair = np.unique(
            rows[which] * len(self._lengths) + passages, return_inverse=True
        )
        rows, passages = np.divmod(pairs, len(self._lengths))
        shared = np.bincount(which_pair, self._passages.weights[keys[which]], len(pairs))
        enough = shared >= self._enough[passages]
        return rows[enough], passages[enough]

    def _shared(self, table: npt.NDArray[np.bool_], rows: Integers, passages: Integers) -> Floats:
        """Sum up the weights of a passage's words that a text has, for each pair."""
        if not len(rows):
            return np.zeros(0)
        sizes = self._starts[passages + 1] - self._starts[passages]
        ends = np.cumsum(sizes)
        places = np.arange(ends[-1]) - np.repeat(ends - sizes - self._starts[passages], sizes)
        words = self._flat[places]
        has = table.ravel()[np.repeat(rows * self._passages.size, sizes) + words]
        return np.add.reduceat(self._passages.weights[words] * has, ends - sizes)

    def _score(self, text: _Text, passage: int) -> float:
        """Return the similarity of a passage and the nearest part of a text; 0 where it is low."""
        own = self._passages.distinct[passage]
        self._marked[own] = True
        there = self._marked[text.words]
        self._marked[own] = False
        sums = np.concatenate([[0.0], np.cumsum(text.weights * there)])
        lengths = {
            min(math.ceil(self._lengths[passage] * factor), len(there)) for factor in _LENGTHS
        }
        return max(self._jaccard(text, there, sums, length, passage) for length in lengths)

    def _jaccard(
        self, text: _Text, there: npt.NDArray[np.bool_], sums: Floats, length: int, passage: int
    ) -> float:
        """Compare with the part of this length that has most of the passage's weight."""
        gains = sums[length:] - sums[:-length]
        start = int(np.argmax(gains))
        if gains[start] < self._needed[passage]:
            return 0.0
        inside = np.flatnonzero(there[start : start + length])
        part = slice(start + int(inside[0]), start + int(inside[-1]) + 1)
        once = text.weights[part] * (text.before[part] < part.start)
        shared = float(once[there[part]].sum())
        return shared / (float(once.sum()) + float(self._passages.total[passage]) - shared)


class _Part(NamedTuple):
    """A part of a text, and how long the passages are that it is compared with, in words."""

    text: int
    words: Hashes
    above: float
    up_to: float


def _parts(texts: Texts, longest: int) -> Iterator[_Part]:
    """Cut very long texts into parts a few times as long as the passages they are compared with.

    Parts overlap by more than such a passage: none is cut in two. A part as long as the whole text
    would have enough words of almost any passage, here and there.
    """
    for number, words in enumerate(texts.split()):
        if len(words) <= _LONG:
            yield _Part(number, words, _FEWEST - 1, math.inf)
            continue
        above, up_to = _FEWEST - 1, _TIER
        while above < longest:
            overlap = math.ceil(up_to * max(_LENGTHS))
            step = 3 * up_to - overlap
            for start in range(0, max(1, len(words) - overlap), step):
                yield _Part(number, words[start : start + 3 * up_to], above, up_to)
            above, up_to = up_to, 4 * up_to


class _Text(NamedTuple):
    """The words of a text, 0 for one that no passage has; their weights; where each stood before.

    A word that has not been there stood at a negative place.
    """

    words: Integers
    weights: Floats
    before: Integers


def _before(row: Integers, words: Hashes) -> Integers:
    """Return, for each word, the place at which its text has it last before; -1 for none."""
    order = np.lexsort((words, row))
    same = (words[order[1:]] == words[order[:-1]]) & (row[order[1:]] == row[order[:-1]])
    before = np.full(len(words), -1)
    before[order[1:][same]] = order[:-1][same]
    return before
