"""The rule `normalised`: an item's text stands in the row once both are folded.

Case, punctuation and white space do not count, nor do compatibility forms of Unicode. A passage is
looked for by the run of words that the fewest passages have.
"""

from __future__ import annotations

from collections.abc import Iterator

from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.rule import Batch, ItemIndex, Match, Rule, matches
from cybersecqwen.contamination.words import stands_in

_RUN = 5  # words in a row by which a passage that stands in a text is looked for


def _rarest_runs(items: ItemIndex) -> Grams:
    return Grams(items.passages.texts, _RUN).rarest()


def whole_passages(batch: Batch, items: ItemIndex) -> list[tuple[int, int]]:
    """List each row, by its number, with each passage whose words stand in it in a row."""
    passages = items.passages.all
    return [
        (row, passage)
        for row, passage in items.prepared(_rarest_runs).shared(batch.texts)
        if stands_in(batch.texts.of(row), passages[passage].words)
    ]


def _look(batch: Batch, items: ItemIndex) -> Iterator[Match]:
    pairs = batch.computed(whole_passages, items)
    return matches(((row, passage, 1.0) for row, passage in pairs), items)


NORMALISED = Rule("the same after NFKC, case folding and dropping punctuation", _look)
