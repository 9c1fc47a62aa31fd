"""The rule `ngram`: a share of the row's or of the item's n-grams stands in both.

They are those of the words that are no numbers: a version in the middle of a copy would break
every n-gram across it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule, matches


def item_ngrams(items: ItemIndex) -> Grams:
    """Return the n-grams of the items' passages."""
    return Grams(items.passages.texts.worded(), items.settings.ngram)


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    grams = items.prepared(item_ngrams)
    is_part = np.array([row.is_part for row in batch.rows])
    shared = grams.containment(batch.texts.worded(), items.settings.containment, is_part)
    return matches(shared, items)


def _limits(settings: Contamination) -> dict[str, object]:
    return {"n": settings.ngram, "containment": settings.containment}


NGRAM = Rule(
    "share of the row's or of the item's n-grams that both hold, of the words that are no numbers",
    _look,
    _limits,
)
