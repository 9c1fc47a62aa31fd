"""The texts of benchmark items as arrays, ready to be looked for in other texts.

    passages = Passages(benchmark)

A text that several items share is one passage. A multiple-choice item has two: the question
alone, and with its options.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cybersecqwen.contamination.hashing import Hashes, Integers
from cybersecqwen.contamination.words import encode
from cybersecqwen.records import Item

Floats = npt.NDArray[np.float64]

# A word that this many passages write is one of the language, not the name of a product.
_COMMON = 3


@dataclass(frozen=True)
class Passage:
    """One text: the items that have it, as they write it, and its words."""

    items: tuple[Item, ...]
    texts: tuple[str, ...]
    words: Hashes


class Passages:
    """All texts of a benchmark, with a number and a weight for each of their words.

    Words are numbered from 1; 0 is any that no passage has. A word weighs more the fewer passages
    have it, log((N + 2) / (n + 1)) of N passages; one that none has weighs most. So boilerplate
    hardly counts, and what names a thing does.
    """

    def __init__(self, benchmark: Mapping[str, Iterable[Item]]) -> None:
        pairs = [pair for items in benchmark.values() for item in items for pair in _texts(item)]
        by_words: dict[bytes, list[tuple[str, Item]]] = {}
        hashed = encode([text for text, _ in pairs]).split()
        for words, pair in zip(hashed, pairs, strict=True):
            by_words.setdefault(words.tobytes(), []).append(pair)
        self.all = [
            Passage(
                tuple(dict.fromkeys(item for _, item in of_words)),
                tuple(dict.fromkeys(text for text, _ in of_words)),
                np.frombuffer(words, np.uint64),
            )
            for words, of_words in by_words.items()
            if words
        ]
        self.texts = encode([passage.texts[0] for passage in self.all])
        self._vocabulary, counts = np.unique(self.texts.words, return_counts=True)
        self.size = len(self._vocabulary) + 1
        numbers = self.number(self.texts.words)
        self.distinct = [np.unique(own) for own in np.split(numbers, self._ends())]
        counts = np.bincount(np.concatenate(self.distinct), minlength=self.size)
        self.weights: Floats = np.log((len(self.all) + 2) / (counts + 1))
        is_number = np.zeros(self.size, bool)
        is_number[numbers] = self.texts.numeric
        self.is_common = (counts >= _COMMON) & ~is_number
        self.total: Floats = np.array([self.weights[words].sum() for words in self.distinct])

    def number(self, words: Hashes) -> Integers:
        """Return the number of each word, 0 for one that no passage has."""
        places = np.searchsorted(self._vocabulary, words)
        places[places == len(self._vocabulary)] = 0
        return np.where(self._vocabulary[places] == words, places + 1, 0)

    def _ends(self) -> Integers:
        return np.searchsorted(self.texts.row, np.arange(1, len(self.all)))


def _texts(item: Item) -> Iterator[tuple[str, Item]]:
    yield item.text, item
    if item.options:
        yield " ".join((item.text, *item.options)), item


class Postings:
    """From sorted keys to the passages that hold each, out of pairs of a key and a passage.

    >>> postings = Postings(np.array([7, 5, 7]), np.array([0, 0, 1]))
    >>> postings.keys.tolist(), postings.expand(np.array([1]))[1].tolist()
    ([5, 7], [0, 1])
    """

    def __init__(self, keys: npt.NDArray[np.integer], passages: Integers) -> None:
        order = np.lexsort((passages, keys))
        self.keys, self._starts = np.unique(keys[order], return_index=True)
        self._ends = np.append(self._starts[1:], len(order))
        self._passages = passages[order]

    def expand(self, positions: Integers) -> tuple[Integers, Integers]:
        """Return, for positions in `keys`, each pair of an index into `positions` and a passage."""
        counts = (self._ends - self._starts)[positions]
        which = np.repeat(np.arange(len(positions)), counts)
        first = np.cumsum(counts) - counts
        within = np.arange(len(which)) - first[which]
        return which, self._passages[self._starts[positions][which] + within]
