"""Hold every row of a training file against every item of a benchmark, and keep the evidence.

    audit = run_audit(Path("train.jsonl"), read_benchmark(folder), Contamination())
    print(audit.clean, audit.counts["cti-rcm"]["ngram"])

A rule counts an item or a row wherever it holds, also where a stronger one does too. A file of
which something was not read is not proven clean, even where nothing overlaps.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import RULES, BenchmarkIndex, Hit, Row
from cybersecqwen.contamination.hashing import Integers
from cybersecqwen.contamination.partitions import (
    PARTITION,
    HitsAndGrams,
    judge,
    judge_on_cluster,
)
from cybersecqwen.contamination.rule import batched_by_size
from cybersecqwen.contamination.rules import strength
from cybersecqwen.contamination.training_files import Reading
from cybersecqwen.contamination.training_rows import TrainRow, read_rows
from cybersecqwen.errors import InputError
from cybersecqwen.records import Benchmark

_CHUNK = 1_000_000  # characters that a process is given at once
_FEW = 4_000_000  # characters that one process has done before others are ready

Verdict = Literal["clean", "contaminated", "not proven clean"]


class Overlap(NamedTuple):
    """A row, by its text that overlaps most, and one of the items that it hits."""

    row: TrainRow
    hit: Hit


@dataclass
class Audit:
    """The findings of an audit: all overlaps, the strongest first, and how much was looked at."""

    items: dict[str, int]  # by task
    train_rows: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    reading: Reading = field(default_factory=Reading)
    overlaps: list[Overlap] = field(default_factory=list)
    shares: dict[tuple[str, int], float | None] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Say whether a row overlaps with an item, and if none does, whether all was read."""
        if self.overlaps:
            return "contaminated"
        return "clean" if self.train_rows and not self.reading.unreadable else "not proven clean"

    @property
    def clean(self) -> bool:
        """Say whether no row overlaps with an item, and everything could be read."""
        return self.verdict == "clean"

    @property
    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Count, by task and rule and for `any` of them, the items and the rows that are hit."""
        items = {(task, rule): set[int]() for task in self.items for rule in (*RULES, "any")}
        rows = {key: set[int]() for key in items}
        for row, hit in self.overlaps:
            for rule in ("any", *(rule for rule, _ in hit.rules)):
                items[hit.task, rule].add(hit.item)
                rows[hit.task, rule].add(row.number)
        return {
            task: {
                rule: {"items": len(items[task, rule]), "rows": len(rows[task, rule])}
                for rule in (*RULES, "any")
            }
            for task in self.items
        }


def checked_rules(given: Sequence[str]) -> tuple[str, ...]:
    """Check the names of rules; all of them where none is given. Raises InputError."""
    for rule in given:
        if rule not in RULES:
            raise InputError(f"unknown rule {rule!r}", tip=f"known are {', '.join(RULES)}")
    return tuple(rule for rule in RULES if rule in given) or tuple(RULES)


def checked_settings(limits: Mapping[str, float | None]) -> Contamination:
    """Take the limits that are given, the defaults for None; raises InputError on a bad one."""
    from pydantic import ValidationError

    try:
        return Contamination(**{k: v for k, v in limits.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise InputError(
            f"--{name}: {first['msg']}", tip="a share lies above 0, up to 1"
        ) from error


def run_audit(
    train: Path,
    benchmark: Benchmark,
    settings: Contamination,
    *,
    rules: Sequence[str] = tuple(RULES),
    allow_unreadable: bool = False,
    cluster: Cluster | None = None,
) -> Audit:
    """Judge every row of a training file or folder by the rules, on a cluster where one is given.

    Raises InputError at the first row or file that is wrong, unless that is allowed: then it is
    listed, as is always what holds no text that can be read, and the file is not proven clean.
    """
    reading = Reading(train, allow_unreadable=allow_unreadable)
    audit = Audit({task: len(items) for task, items in benchmark.items()}, reading=reading)
    overlaps: dict[tuple[int, str, int], Overlap] = {}
    last = -1  # the number of the row before
    size = PARTITION if cluster else _CHUNK
    chunks = batched_by_size(read_rows(train, reading), size, lambda row: row.row.text)
    with (
        tqdm(desc="rows", unit=" rows", disable=None) as bar,
        cluster.bad_rows() if cluster else nullcontext() as reading.ledger,
    ):
        make = partial(BenchmarkIndex, benchmark, settings)
        index, seen = make(), set[int]()
        if cluster:
            judged = judge_on_cluster(cluster, make, chunks, attrgetter("row"))
        else:
            judged = _judged(chunks, index, make)
        for chunk, hits_of, grams in judged:
            for row, hits in zip(chunk, hits_of, strict=True):
                audit.forms[row.form] += row.number != last
                last = row.number
                for hit in filter(None, (_by_rules(hit, rules) for hit in hits)):
                    place = row._replace(where=reading.within(row.where))
                    key = row.number, hit.task, hit.item
                    overlaps[key] = _stronger(Overlap(place, hit), overlaps.get(key))
            seen.update(grams.tolist())
            bar.update(last + 1 - bar.n)
    audit.train_rows = last + 1
    audit.overlaps = sorted(overlaps.values(), key=lambda o: (strength(o.hit), o.row.number))
    audit.shares = index.shares(seen)
    return audit


def _stronger(one: Overlap, other: Overlap | None) -> Overlap:
    """Join what two texts of a row share with an item: the stronger one stands for both."""
    if other is None:
        return one
    first, second = sorted((other, one), key=lambda overlap: strength(overlap.hit))
    scores = dict(second.hit.rules)
    scores |= {rule: max(score, scores.get(rule, 0.0)) for rule, score in first.hit.rules}
    held = tuple((rule, scores[rule]) for rule in RULES if rule in scores)
    has_answer = first.hit.has_answer or second.hit.has_answer
    return Overlap(first.row, first.hit._replace(rules=held, has_answer=has_answer))


def _by_rules(hit: Hit, rules: Sequence[str]) -> Hit | None:
    held = tuple((rule, score) for rule, score in hit.rules if rule in rules)
    return hit._replace(rule=held[0][0], score=held[0][1], rules=held) if held else None


_Judged = tuple[Sequence[TrainRow], list[list[Hit]], Integers]


def _judged(
    chunks: Iterator[list[TrainRow]], index: BenchmarkIndex, make: partial[BenchmarkIndex]
) -> Iterator[_Judged]:
    """Judge the chunks in order: the first ones here, and where there are more, in processes."""
    done = 0
    for chunk in chunks:
        yield chunk, *judge(index, (row.row for row in chunk))
        done += sum(len(row.row.text) for row in chunk)
        if done >= _FEW and _processes() > 1:
            yield from _in_processes(chunks, make)


def _in_processes(
    chunks: Iterator[list[TrainRow]], make: partial[BenchmarkIndex]
) -> Iterator[_Judged]:
    context = multiprocessing.get_context("spawn")  # nothing inherited: the same everywhere
    with ProcessPoolExecutor(
        _processes(), mp_context=context, initializer=_begin, initargs=(make,)
    ) as pool:
        ahead: deque[tuple[list[TrainRow], Future[HitsAndGrams]]] = deque()
        for chunk in chunks:
            ahead.append((chunk, pool.submit(_judge, [row.row for row in chunk])))
            if len(ahead) > 2 * _processes():  # memory is bounded, however long the file is
                first, future = ahead.popleft()
                yield first, *future.result()
        for chunk, future in ahead:
            yield chunk, *future.result()


def _processes() -> int:
    from cybersecqwen.engines.threads import available_cores

    return available_cores()


_INDEX: list[BenchmarkIndex] = []  # of a process of the pool


def _begin(make: partial[BenchmarkIndex]) -> None:
    _INDEX.append(make())


def _judge(rows: list[Row]) -> HitsAndGrams:
    return judge(_INDEX[0], rows)
