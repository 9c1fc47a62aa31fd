"""The shape of a benchmark task: how it is asked few-shot, how answers are read and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cybersecqwen.records import Item


@dataclass(frozen=True)
class Task:
    """One benchmark task.

    `shot(item, answered)` writes an item as an exemplar, or as the open question.
    `extractors` maps an extractor's name, which a protocol refers to, to a function from
    raw response to the answer in gold's form, or None where the response holds none.
    """

    name: str
    summary: str
    preamble: str
    shot: Callable[[Item, bool], str]
    stop: tuple[str, ...]
    extractors: Mapping[str, Callable[[str], str | None]]
