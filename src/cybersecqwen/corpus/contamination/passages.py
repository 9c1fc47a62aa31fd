"""The texts of benchmark items as arrays, ready to be looked for in other texts.

    passages = Passages(benchmark, lexicon)

A text that several items share is one passage. A multiple-choice item has two: the question
alone, and with its options.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cybersecqwen.corpus.contamination.words import Lexicon
from cybersecqwen.records import Item

Words = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

# A word that this many passages write is one of the language, not the name of a product.
_COMMON = 3


@dataclass(frozen=True)
class Passage:
    """One text: the items that have it, its words, and what each rule looks at."""

    items: tuple[Item, ...]
    texts: tuple[str, ...]  # as the items write it
    words: Words

    def __hash__(self) -> int:
        return id(self)


class Passages:
    """All texts of a benchmark, with the weight of each word in them.

    A word weighs more the fewer passages have it, log((N + 2) / (n + 1)) of N passages, which is
    above 0 also where all have it; one that none has weighs most. So boilerplate hardly counts,
    and what names a thing does.
    """

    def __init__(self, benchmark: Mapping[str, Iterable[Item]], lexicon: Lexicon) -> None:
        by_words: dict[bytes, dict[str, list[Item]]] = {}
        for item in (item for items in benchmark.values() for item in items):
            for text in _texts(item):
                words = lexicon.encode(text).tobytes()
                by_words.setdefault(words, {}).setdefault(text, []).append(item)
        self.all = [
            Passage(
                tuple(dict.fromkeys(item for items in texts.values() for item in items)),
                tuple(texts),
                np.frombuffer(words, np.int32),
            )
            for words, texts in by_words.items()
            if words
        ]
        self.size = len(lexicon.numeric)  # numbers below this are words of passages
        counts = np.zeros(self.size, np.int64)
        for passage in self.all:
            counts[np.unique(passage.words)] += 1
        self.weights: Floats = np.log((len(self.all) + 2) / (counts + 1))
        self._weight_of_unknown = float(np.log(len(self.all) + 2))
        numeric = np.frombuffer(bytes(lexicon.numeric), np.uint8).astype(bool)
        self.is_common: npt.NDArray[np.bool_] = (counts >= _COMMON) & ~numeric

    @cached_property
    def distinct(self) -> list[Words]:
        """The distinct words of each passage, the heaviest first."""
        found = []
        for passage in self.all:
            words = np.unique(passage.words)
            found.append(words[np.lexsort((words, -self.weights[words]))])
        return found

    @cached_property
    def total(self) -> Floats:
        """The weight of each passage's distinct words."""
        return np.array([self.weights[words].sum() for words in self.distinct])

    def weigh(self, words: Words) -> Floats:
        """Give the weight of each word, known or not."""
        known = words < self.size
        return np.where(known, self.weights[np.where(known, words, 0)], self._weight_of_unknown)


def _texts(item: Item) -> Iterator[str]:
    yield item.text
    if item.options:
        yield " ".join((item.text, *item.options))


class Postings:
    """From sorted keys to the passages that hold each: numbers in two arrays.

    >>> postings = Postings([[5, 7], [7]])
    >>> postings.keys.tolist(), postings.expand(np.array([1]))[1].tolist()
    ([5, 7], [0, 1])
    """

    def __init__(self, keys: Sequence[Iterable[int]]) -> None:
        pairs = sorted((key, number) for number, own in enumerate(keys) for key in set(own))
        every = np.array([key for key, _ in pairs], dtype=np.uint64)
        self.keys, self._starts = np.unique(every, return_index=True)
        self._ends = np.append(self._starts[1:], len(pairs))
        self._passages = np.array([number for _, number in pairs], dtype=np.int64)

    def expand(self, positions: Integers) -> tuple[Integers, Integers]:
        """Give, for positions in `keys`, each pair of an index into `positions` and a passage."""
        counts = (self._ends - self._starts)[positions]
        which = np.repeat(np.arange(len(positions)), counts)
        first = np.cumsum(counts) - counts
        within = np.arange(len(which)) - first[which]
        return which, self._passages[self._starts[positions][which] + within]
