"""How much of each benchmark item stands in a training corpus: what a score is set beside.

    shares = overlap(items, (row.row.text for row in read_rows(Path("train.jsonl"))))

An item's overlap is the share of its 13-grams of words that occur anywhere in the corpus. CVE
texts are boilerplate, so an overlap above 0 is no leak by itself: what tells is whether a model
gains more on overlapping items than one that never saw the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from cybersecqwen.corpus.contamination.ngrams import Grams
from cybersecqwen.corpus.contamination.passages import Words
from cybersecqwen.corpus.contamination.words import Lexicon
from cybersecqwen.records import Item

NGRAM = 13
_BATCH = 1000  # texts held at once


def overlap(items: Sequence[Item], texts: Iterable[str], *, n: int = NGRAM) -> list[float | None]:
    """Give the share of each item's n-grams that the texts hold; None for fewer than n words."""
    lexicon = Lexicon()
    encoded = _encoded(lexicon, (" ".join((item.text, *item.options)) for item in items))
    grams = Grams(encoded, n)
    words = _encoded(lexicon, texts)
    while batch := list(islice(words, _BATCH)):
        grams.note(batch)
    return grams.shares(grams.seen())


def _encoded(lexicon: Lexicon, texts: Iterable[str]) -> Iterator[Words]:
    for text in texts:
        yield np.frombuffer(lexicon.encode(text), np.int32)
