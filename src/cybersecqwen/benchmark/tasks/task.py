"""The shape of a benchmark task: how answers are read, marked, and turned into its metrics.

A mark is a number for one answer, such as 1 for correct or the distance from the gold. Every
metric is a ratio of sums of marks, so that a mean, its interval and a comparison of two models
are computed alike for all of them.

>>> ACCURACY.numerator, ACCURACY.denominator
({'correct': 1.0}, {'asked': 1.0})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cybersecqwen.records import Item

Marks = Mapping[str, float]


class Extraction(NamedTuple):
    """What an extractor makes of a response: the answer in the gold's form, None for none.

    `proper` tells whether it stands in the form that the extractor's source asks for.
    """

    answer: str | None
    proper: bool = True


NO_ANSWER = Extraction(None, proper=False)


@dataclass(frozen=True)
class Extractor:
    """One published rule from raw response to answer.

    `fits` names the prompts whose answers it was written for; on answers to another prompt it
    can find next to nothing.
    """

    summary: str
    read: Callable[[str], Extraction]
    fits: tuple[str, ...] = ("item",)


@dataclass(frozen=True)
class Metric:
    """A ratio of sums of marks: `numerator` and `denominator` weigh them."""

    summary: str
    numerator: Marks
    denominator: Marks
    better: Literal["higher", "lower"] = "higher"


ACCURACY = Metric("correct answers over all items", {"correct": 1.0}, {"asked": 1.0})
PARSEABLE = Metric(
    "items with an answer that can be read over all items", {"parseable": 1.0}, {"asked": 1.0}
)
# Where a protocol leaves unreadable answers out of the count.
ACCURACY_OF_PARSEABLE = Metric(
    "correct answers over those that can be read", {"correct": 1.0}, {"parseable": 1.0}
)
LENIENT = Metric(
    "correct answers over all items, an answer in another form than asked for counted too",
    {"lenient": 1.0},
    {"asked": 1.0},
)
IMPROPER = Metric(
    "answers in another form than asked for over all items",
    {"improper": 1.0},
    {"asked": 1.0},
    "lower",
)


def exact(item: Item, answer: str) -> Marks:
    """Mark an answer that is right only where it is the gold."""
    return {"correct": float(answer == item.gold)}


def plain(read: Callable[[str], str | None]) -> Callable[[str], Extraction]:
    """Make a reader of a rule that knows no improper form."""
    return lambda text: Extraction(read(text))


@dataclass(frozen=True)
class Task:
    """One benchmark task.

    `extractors` go by the names that a protocol refers to. `mark(item, answer)` gives the marks
    of an answer, `correct` among them; `unread(item)` those of an item without one. `metrics`
    are the task's own, beside accuracy and parseable rate; `headline` names the one to quote.
    `answered(gold, prompt)` writes a response that every extractor which fits the prompt reads
    as the gold.
    """

    name: str
    summary: str
    extractors: Mapping[str, Extractor]
    mark: Callable[[Item, str], Marks] = exact
    unread: Callable[[Item], Marks] = lambda item: {}
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    headline: str = "strict_accuracy"
    answered: Callable[[str, str], str] = lambda gold, prompt: gold
