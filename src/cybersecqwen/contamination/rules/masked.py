"""The rule `masked`: an item's text stands in the row once names and numbers are left out.

What counts are the words of the language: those that several items write and that are no numbers,
versions, products or identifiers. A text that several passages share once they are masked is
boilerplate, and one with few such words says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule, matches
from cybersecqwen.contamination.words import Texts, stands_in

_RUN = 10  # common words that a masked text has at least: fewer are boilerplate


def _common(texts: Texts, items: ItemIndex) -> Texts:
    """Keep only words of the language: no numbers, names or identifiers."""
    return texts.kept(items.passages.is_common[items.passages.number(texts.words)])


def _masked(items: ItemIndex) -> tuple[Texts, Grams]:
    """Mask the passages, empty what several of them share, and take the rarest run of each."""
    masked = _common(items.passages.texts, items)
    own = [words.tobytes() for words in masked.split()]
    counts = Counter(own)
    is_alone = np.array([counts[words] == 1 for words in own])
    masked = masked.kept(is_alone[masked.row])
    return masked, Grams(masked, _RUN).rarest()


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    passages, runs = items.prepared(_masked)
    rows = _common(batch.texts, items)
    whole = (
        (row, passage, 1.0)
        for row, passage in runs.shared(rows)
        if stands_in(rows.of(row), passages.of(passage))
    )
    return matches(whole, items)


def _limits(_: Contamination) -> dict[str, object]:
    return {"words": _RUN}


MASKED = Rule(
    "the same of the words that at least three items write and that are no numbers, where a run "
    "of them is long enough",
    _look,
    _limits,
)
