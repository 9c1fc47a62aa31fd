"""Find the words that two texts share, as places in both, to show an overlap.

>>> tuple(*shared_spans("Foo has a stack overflow here.", "There is a stack overflow here"))
(8, 29, 9, 30)
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from cybersecqwen.contamination.words import tokens, word_spans

_RUN = 3  # words in a row: fewer are chance
_LONGEST = 200_000  # characters of a text that are looked through


class Shared(NamedTuple):
    """A run of words that stands in both texts: where it starts and ends in each, in characters."""

    start: int
    end: int
    item_start: int
    item_end: int


def shared_spans(text: str, item: str) -> list[Shared]:
    """List the longest runs of at least three words that both texts have, by place in the first.

    Words are compared as the rules do, without case and punctuation. Runs do not overlap in
    the first text; of very long texts the beginning is looked at.
    """
    text, item = text[:_LONGEST], item[:_LONGEST]
    words, own = tokens(text), tokens(item)
    places = defaultdict(list)
    for i in range(len(own) - _RUN + 1):
        places[own[i : i + _RUN]].append(i)
    spans, item_spans = word_spans(text), word_spans(item)
    shared = []
    i = 0
    while i <= len(words) - _RUN:
        lengths = [(_length(words, i, own, j), -j) for j in places.get(words[i : i + _RUN], ())]
        if not lengths:
            i += 1
            continue
        length, negative = max(lengths)
        j, i = -negative, i + length
        shared.append(
            Shared(
                spans[i - length][0],
                spans[i - 1][1],
                item_spans[j][0],
                item_spans[j + length - 1][1],
            )
        )
    return shared


def _length(words: tuple[str, ...], i: int, own: tuple[str, ...], j: int) -> int:
    """Count the words from two places on that are the same."""
    length = 0
    while (
        i + length < len(words) and j + length < len(own) and words[i + length] == own[j + length]
    ):
        length += 1
    return length
