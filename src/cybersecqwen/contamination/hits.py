"""What is asked about and what is found: a row of a training file, and the items that it hits.

The rules, strongest first:

- `cve-id`: the record is one that the item links to or names.
- `exact`, `normalised`: the item's text stands in the row, to the letter or once case,
  punctuation and white space are folded.
- `masked`: it does once versions, numbers, names of products and identifiers are left out, where
  enough words remain.
- `ngram`: a share of the row's or of the item's n-grams stands in both, of the words that are no
  numbers: a version in the middle of a copy would break every n-gram across it.
- `near-duplicate`: the words of the item and those of the part of the row that is nearest to it
  are alike, by weighted Jaccard similarity.
- `answer-aware`: they are somewhat less alike, and the row gives the item's gold answer too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cybersecqwen.config import Contamination

RULES = ("cve-id", "exact", "normalised", "masked", "ngram", "near-duplicate", "answer-aware")
RUN = 10  # common words that a masked text has at least: fewer are boilerplate


class Row(NamedTuple):
    """A text to judge, with the CVE ids it is about and the answer it teaches, "" if none."""

    text: str
    cve_ids: tuple[str, ...] = ()
    answer: str = ""


class Hit(NamedTuple):
    """One benchmark item that a row overlaps with: the strongest rule, and all that hold."""

    rule: str
    task: str
    item: int
    score: float  # of the strongest rule: 1.0 for equality, a containment, or a similarity
    rules: tuple[tuple[str, float], ...] = ()
    has_answer: bool = False  # whether the row gives the item's gold answer too


def strength(hit: Hit) -> tuple[int, float, str, int]:
    """Sort hits by it: the strongest rule first, then the higher score."""
    return RULES.index(hit.rule), -hit.score, hit.task, hit.item


def held(
    scores: Mapping[str, float], settings: Contamination, *, has_answer: bool
) -> tuple[tuple[str, float], ...]:
    """Name the rules whose score reaches its limit, strongest first."""
    limits = {
        "ngram": settings.containment,
        "near-duplicate": settings.similarity,
        "answer-aware": settings.similarity_with_answer,
    }
    scores = dict(scores)
    if has_answer:
        scores["answer-aware"] = scores.get("near-duplicate", 0.0)
    return tuple(
        (rule, round(scores[rule], 4))
        for rule in RULES
        if scores.get(rule, 0.0) >= limits.get(rule, 1.0)
    )


def describe_rules(settings: Contamination) -> dict[str, dict[str, object]]:
    """State each rule and its parameters, for a certificate."""
    return {
        "cve-id": {"description": "the item's link or text names the record's CVE id"},
        "exact": {"description": "the item's text stands in the row to the letter"},
        "normalised": {"description": "the same after NFKC, case folding and dropping punctuation"},
        "masked": {
            "description": "the same of the words that at least three items write and that are "
            "no numbers, where a run of them is long enough",
            "words": RUN,
        },
        "ngram": {
            "description": "share of the row's or of the item's n-grams that both hold, of the "
            "words that are no numbers",
            "n": settings.ngram,
            "containment": settings.containment,
        },
        "near-duplicate": {
            "description": "Jaccard similarity of the words, weighted by their rarity among "
            "items, of the item and the nearest part of the row",
            "similarity": settings.similarity,
        },
        "answer-aware": {
            "description": "the same similarity, where the row gives the item's gold answer",
            "similarity": settings.similarity_with_answer,
        },
    }
