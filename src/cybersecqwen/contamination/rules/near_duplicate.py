"""The rule `near-duplicate`: an item and the part of the row that is nearest to it are alike.

They are compared by the weighted Jaccard similarity of their words.
"""

from __future__ import annotations

from collections.abc import Iterator

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule, matches
from cybersecqwen.contamination.similarity import Similarity


def _similarity(items: ItemIndex) -> Similarity:
    settings = items.settings
    return Similarity(items.passages, min(settings.similarity, settings.similarity_with_answer))


def similar_items(batch: Batch, items: ItemIndex) -> list[Match]:
    """List what is alike enough for this rule, or for the one that looks at answers too."""
    return list(matches(items.prepared(_similarity).find(batch.texts), items))


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    least = items.settings.similarity
    return (match for match in batch.computed(similar_items, items) if match[2] >= least)


def _limits(settings: Contamination) -> dict[str, object]:
    return {"similarity": settings.similarity}


NEAR_DUPLICATE = Rule(
    "Jaccard similarity of the words, weighted by their rarity among items, of the item and the "
    "nearest part of the row",
    _look,
    _limits,
)
