"""Number the words and n-grams of texts by a vocabulary that is a few sorted arrays.

A bigram is known by the numbers of its two words and a trigram by that of its first bigram and
its last word, so that no n-gram is kept or built as a string: a vocabulary of 100,000
n-grams takes half a megabyte, and a batch of texts is looked up by a few calls of numpy.

>>> vocabulary = Vocabulary(("sql", "injection"), np.array([1]), np.array([], np.int64))
>>> vocabulary.grid([["sql", "injection"], ["injection"]])[0].tolist()
[[0, 2, -1], [1, -1, -1], [-1, -1, -1], [1, -1, -1], [-1, -1, -1]]
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
LONG = 300  # words; one description in a hundred has more
_NONE = -1


class Vocabulary:
    """Words, bigrams and trigrams, numbered in this order.

    `bigrams` are sorted keys, first word times the number of words plus second word.
    `trigrams` are sorted keys, number of the bigram (from 0) times the number of words plus last
    word.
    """

    def __init__(self, words: Sequence[str], bigrams: Ints, trigrams: Ints) -> None:
        self.words = words
        self.bigrams = bigrams
        self.trigrams = trigrams
        self._number = {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        """Count all words and n-grams."""
        return len(self.words) + len(self.bigrams) + len(self.trigrams)

    def grid(self, texts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
        """Find the number of what begins at each word: word, bigram, trigram; -1 where unknown.

        In a text of more than LONG words each of them counts once, at its first place: no
        repetition can drown the rest.

        Returns the grid, of shape (words + one empty row after each text, 3), and the text
        that each of its rows belongs to.
        """
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        number = self._number.get
        # The empty row keeps an n-gram from reaching into the next text.
        flat = chain.from_iterable(chain(map(number, text), (_NONE,)) for text in texts)
        column = np.array([_NONE if n is None else n for n in flat], np.int64)
        grid = np.full((len(column), 3), _NONE, np.int64)
        grid[:, 0] = column
        bigrams = self.follow(self.bigrams, column[:-1], column[1:])
        grid[:-1, 1] = np.where(bigrams < 0, _NONE, bigrams + len(self.words))
        if len(column) > 2:
            trigrams = self.follow(self.trigrams, bigrams[:-1], column[2:])
            offset = len(self.words) + len(self.bigrams)
            grid[:-2, 2] = np.where(trigrams < 0, _NONE, trigrams + offset)
        begin = 0
        for length in lengths.tolist():
            if length > LONG:
                _once(grid[begin : begin + length])
            begin += length
        return grid, np.repeat(np.arange(len(texts)), lengths)

    def follow(self, keys: Ints, first: Ints, last: Ints) -> Ints:
        """Find where `first` is followed by `last`: the position among the keys, or -1."""
        found = np.full(len(first), _NONE, np.int64)
        if len(keys):
            known = np.flatnonzero((first >= 0) & (last >= 0))
            wanted = first[known] * len(self.words) + last[known]
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hit = keys[place] == wanted
            found[known[hit]] = place[hit]
        return found


def _once(rows: Ints) -> None:
    """Strike out what stood before, in place."""
    flat = rows.reshape(-1)
    repeated = np.ones(len(flat), bool)
    repeated[np.unique(flat, return_index=True)[1]] = False
    flat[repeated] = _NONE
