"""The rule `answer-aware`: an item and a row are somewhat alike, and the row gives its gold too."""

from __future__ import annotations

from collections.abc import Iterator

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule
from cybersecqwen.contamination.rules.near_duplicate import similar_items


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    least = items.settings.similarity_with_answer
    for number, item, score in batch.computed(similar_items, items):
        if score >= least and items.gives_answer(batch.rows[number], item):
            yield number, item, score


def _limits(settings: Contamination) -> dict[str, object]:
    return {"similarity": settings.similarity_with_answer}


ANSWER_AWARE = Rule(
    "the same similarity, where the row gives the item's gold answer", _look, _limits
)
