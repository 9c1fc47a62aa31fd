"""The rule `exact`: an item's text stands in the row, to the letter."""

from __future__ import annotations

from collections.abc import Iterator

from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule, matches
from cybersecqwen.contamination.rules.normalised import whole_passages


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    pairs = batch.computed(whole_passages, items)
    passages = items.passages.all
    exact = (
        (row, passage, 1.0)
        for row, passage in pairs
        if any(text in batch.rows[row].text for text in passages[passage].texts)
    )
    return matches(exact, items)


EXACT = Rule("the item's text stands in the row to the letter", _look)
