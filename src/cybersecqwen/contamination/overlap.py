"""Measure how much of each benchmark item stands in a training corpus, to set beside a score.

    shares = overlap(items, (row.row.text for row in read_rows(Path("train.jsonl"))))

An item's overlap is the share of its 13-grams of words that occur anywhere in the corpus. CVE
texts are boilerplate, so an overlap above 0 is no leak by itself. The question is whether a model
gains more on overlapping items than one that never saw the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.words import encode
from cybersecqwen.records import Item

NGRAM = 13
_BATCH = 1000  # texts held at once


def overlap(items: Sequence[Item], texts: Iterable[str], *, n: int = NGRAM) -> list[float | None]:
    """Return the share of each item's n-grams that the texts hold; None for fewer than n words."""
    grams = Grams(encode([" ".join((item.text, *item.options)) for item in items]), n)
    more = iter(texts)
    while batch := list(islice(more, _BATCH)):
        grams.note(encode(batch))
    return grams.shares(grams.seen())
