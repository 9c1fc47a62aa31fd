"""The shape of a benchmark task: its items and prompts, and how responses become its metrics.

A mark is a number for one answer, such as 1 for correct or the distance from the gold. Every
metric is a ratio of sums of marks, so that a mean, its interval and a comparison of two models
are computed alike for all of them.

>>> ACCURACY.numerator, ACCURACY.denominator
({'correct': 1.0}, {'asked': 1.0})
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from cybersecqwen.benchmark.tasks.lenient import Reading, nothing
from cybersecqwen.files import Json
from cybersecqwen.records import GivesAnswer, Item

Marks = Mapping[str, float]
Predictions = Sequence[Sequence[str | None]]  # items x trials, None where nothing was read


@dataclass(frozen=True)
class Suite:
    """A published benchmark that tasks belong to; `fetch` is the command that gets its files."""

    name: str
    title: str
    source: str
    licence: str
    fetch: str


class Extraction(NamedTuple):
    """An answer extracted from a response, in the gold's form, None for none.

    `proper` tells whether it stands in the form that the extractor's source asks for.
    """

    answer: str | None
    proper: bool = True


NO_ANSWER = Extraction(None, proper=False)


@dataclass(frozen=True)
class Extractor:
    """One published rule from raw response to answer.

    `fits` names the prompts whose answers it was written for; on answers to another prompt it
    can find next to nothing. `protocols` are those that read by it; a protocol that no extractor
    of a task names reads by the first.
    """

    summary: str
    read: Callable[[str], Extraction]
    fits: tuple[str, ...] = ("item",)
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shots:
    """A few-shot form for base models: `write(item, answer)` writes one exemplar.

    With "" for the answer it writes the open question. `stop` ends a completion.
    """

    preamble: str
    write: Callable[[Item, str], str]
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A ratio of sums of marks: `numerator` and `denominator` weigh them.

    Tables quote a metric unless it is for a closer look only.
    """

    summary: str
    numerator: Marks
    denominator: Marks
    better: Literal["higher", "lower"] = "higher"
    quoted: bool = True


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


def contains_gold(item: Item, answer: str, text: str) -> bool:
    """Tell whether a training row's answer holds the words of the gold."""
    from cybersecqwen.contamination import normalised

    return f" {normalised(item.gold)} " in f" {normalised(answer)} "


@dataclass(frozen=True)
class Task:
    """One benchmark task, whole.

    What is asked: `read` makes the items of `file`, which lies in the benchmark's folder.
    `prompts` write the question of an item by the name that a protocol gives to its prompt; an
    item's own prompt is asked where there is none. Under "item" stands what writes that own prompt
    again when options are permuted. `shots` are the forms for base models by the protocol's base
    style, the first one the default. `placeholder` is an item with words in capitals, to show
    prompts by.

    What comes back: `extractors` go by name, the first is the default. `mark(item, answer)` gives
    the marks of an answer, `correct` among them; `unread(item)` those of an item without one.
    `metrics` are the task's own, beside accuracy and parseable rate; `headline` names the one to
    quote. `details(predictions, golds)` reports on items x trials. `answered(gold, prompt)` writes
    a response that every extractor which fits the prompt reads as the gold. `free_text` says that
    almost any text can be read as an answer.

    What else judges: `gold_file` holds the golds where the task's file does not, `open(folder)`
    returns the task that judges by the `judging_files` of a folder. `gives_answer(item, answer,
    text)` tells whether a training row gives the gold away. `published` is the sha256 of the items
    as published, see `fingerprint`. `lenient(item, text)` reads an answer in any clear form, to say
    what an extractor leaves unread.
    """

    name: str
    summary: str
    suite: Suite
    file: str
    read: Callable[[Path], tuple[Item, ...]]
    extractors: Mapping[str, Extractor]
    placeholder: Item
    gives_answer: GivesAnswer = contains_gold
    prompts: Mapping[str, Callable[[Item], str]] = field(default_factory=dict)
    shots: Mapping[str, Shots] = field(default_factory=dict)
    mark: Callable[[Item, str], Marks] = exact
    unread: Callable[[Item], Marks] = lambda item: {}
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    headline: str = "strict_accuracy"
    details: Callable[[Predictions, Sequence[str]], Json] = lambda predictions, golds: {}
    answered: Callable[[str, str], str] = lambda gold, prompt: gold
    free_text: bool = False
    gold_file: str = ""
    judging_files: tuple[str, ...] = ()
    open: Callable[[Path], Task] | None = None
    published: str = ""
    lenient: Callable[[Item, str], Reading] = nothing


def fingerprint(items: Sequence[Item]) -> str:
    """Hash links, prompts and golds; quoting and white space do not change the sha256."""
    lines = "".join(f"{item.url}\t{' '.join(item.prompt.split())}\t{item.gold}\n" for item in items)
    return hashlib.sha256(lines.encode()).hexdigest()
