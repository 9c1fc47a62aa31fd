"""The shape of a rule of contamination: rows go in, the benchmark items that they hit come out.

for number, item, score in RULES["ngram"].look(batch, items):
    print(batch.rows[number].text, item.index, score)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.passages import Passages
from cybersecqwen.contamination.words import encode
from cybersecqwen.records import Benchmark, Item

T = TypeVar("T")


class Row(NamedTuple):
    """A text to judge, with the CVE ids it is about and the answer it teaches, "" if none.

    Where it is the smaller part of a row, a phrase that an item has too is no share of the row.
    """

    text: str
    cve_ids: tuple[str, ...] = ()
    answer: str = ""
    is_part: bool = False


class Hit(NamedTuple):
    """One benchmark item that a row overlaps with: the strongest rule, and all that hold."""

    rule: str
    task: str
    item: int
    score: float  # of the strongest rule: 1.0 for equality, a containment, or a similarity
    rules: tuple[tuple[str, float], ...] = ()
    has_answer: bool = False  # whether the row gives the item's gold answer too


class ItemIndex:
    """The items of a benchmark, with what the rules make of them to look items up by."""

    def __init__(self, benchmark: Benchmark, settings: Contamination) -> None:
        self.benchmark = benchmark
        self.settings = settings
        self.passages = Passages(benchmark)
        self._prepared: dict[Callable[..., Any], Any] = {}

    def prepared(self, prepare: Callable[[ItemIndex], T]) -> T:
        """Return what a rule's function makes of the items; it is called once."""
        if prepare not in self._prepared:
            self._prepared[prepare] = prepare(self)
        prepared: T = self._prepared[prepare]
        return prepared

    def gives_answer(self, row: Row, item: Item) -> bool:
        """Say whether a row gives the gold of an item away, as the item's task decides."""
        gives = self.benchmark.gives_answer.get(item.task)
        if gives is None or not row.answer or not item.gold:
            return False
        return gives(item, row.answer, row.text)


class Batch:
    """Rows that are judged at once, with what several rules find out about them."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.texts = encode([row.text for row in rows])
        self._computed: dict[Callable[..., Any], Any] = {}

    def computed(self, compute: Callable[[Batch, ItemIndex], T], items: ItemIndex) -> T:
        """Return what a rule's function finds for the rows; it is called once for all rules."""
        if compute not in self._computed:
            self._computed[compute] = compute(self, items)
        computed: T = self._computed[compute]
        return computed


def batched_by_size(rows: Iterable[T], most: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Group rows, in their order, into lists that have `most` characters or a row more."""
    batch: list[T] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += size_of(row)
        if size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


Match = tuple[int, Item, float]  # the number of a row in its batch, an item, and a score


def _no_limits(_: Contamination) -> dict[str, object]:
    return {}


@dataclass(frozen=True)
class Rule:
    """One way in which a row can overlap with an item.

    `look` yields each match whose score is high enough, once or more often; `limits` are the
    parameters that a certificate states.
    """

    description: str
    look: Callable[[Batch, ItemIndex], Iterator[Match]]
    limits: Callable[[Contamination], dict[str, object]] = _no_limits


def matches(scored: Iterable[tuple[int, int, float]], items: ItemIndex) -> Iterator[Match]:
    """Put the score of a row and a passage down to every item that has the passage."""
    for row, passage, score in scored:
        for item in items.passages.all[passage].items:
            yield row, item, score
