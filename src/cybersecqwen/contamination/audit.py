"""Hold every row of a training file against every item of a benchmark, and keep the evidence.

    audit = run_audit(Path("train.jsonl"), read_benchmark(folder), Contamination())
    print(audit.clean, audit.counts["cti-rcm"]["ngram"])

A rule counts an item or a row wherever it holds, also where a stronger one does too. A file of
which something was not read is not proven clean, even where nothing overlaps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from cybersecqwen.cluster import Cluster
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import RULES, BenchmarkIndex, Hit
from cybersecqwen.contamination.hashing import Integers
from cybersecqwen.contamination.partitions import CHUNK, judged_here, judged_on_cluster
from cybersecqwen.contamination.reading import PartReading, Reading
from cybersecqwen.contamination.rule import batched_by_size
from cybersecqwen.contamination.rules import strength
from cybersecqwen.contamination.training_rows import TrainRow, Unread, rows_of, size_of, unread_rows
from cybersecqwen.errors import InputError
from cybersecqwen.records import Benchmark

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
    audit = Audit(
        {task: len(items) for task, items in benchmark.items()},
        reading=Reading(train, allow_unreadable=allow_unreadable),
    )
    make = partial(BenchmarkIndex, benchmark, settings)
    index = make()
    overlaps: dict[tuple[int, str, int], Overlap] = {}
    seen = set[int]()
    parts = batched_by_size(unread_rows(train), CHUNK, size_of)
    with (
        tqdm(desc="rows", unit=" rows", disable=None) as bar,
        cluster.bad_rows() if cluster else nullcontext() as audit.reading.ledger,
    ):
        if cluster:
            judged = judged_on_cluster(cluster, make, judge, parts)
        else:
            judged = judged_here(index, make, judge, parts)
        for part in judged:
            for overlap in _by_rules(part.overlaps, rules):
                number = audit.train_rows + overlap.row.number
                where = audit.reading.within(overlap.row.where)
                row = overlap.row._replace(number=number, where=where)
                key = number, overlap.hit.task, overlap.hit.item
                overlaps[key] = _stronger(Overlap(row, overlap.hit), overlaps.get(key))
            audit.forms += part.forms
            audit.reading.take_over(part.reading)
            audit.train_rows += part.rows
            seen.update(part.grams.tolist())
            bar.update(part.rows)
    audit.overlaps = sorted(overlaps.values(), key=lambda o: (strength(o.hit), o.row.number))
    audit.shares = index.shares(seen)
    return audit


class Judged(NamedTuple):
    """The findings in a part of the rows, which are numbered from 0 in it."""

    rows: int
    forms: Counter[str]
    reading: PartReading
    overlaps: list[Overlap]
    grams: Integers  # of items, that rows have


def judge(index: BenchmarkIndex, unread: Sequence[Unread]) -> Judged:
    """Read rows, and hold them against the items of a benchmark."""
    reading, forms, overlaps = PartReading(), Counter[str](), list[Overlap]()
    last = -1  # the number of the row before
    rows = rows_of(unread, reading)
    for some in batched_by_size(rows, CHUNK, lambda row: len(row.row.text)):
        for row, hits in zip(some, index.hits_of(row.row for row in some), strict=True):
            forms[row.form] += row.number != last
            last = row.number
            overlaps += (Overlap(row, hit) for hit in hits)
    return Judged(last + 1, forms, reading, overlaps, index.seen())


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


def _by_rules(overlaps: Iterable[Overlap], rules: Sequence[str]) -> Iterator[Overlap]:
    for row, hit in overlaps:
        held = tuple((rule, score) for rule, score in hit.rules if rule in rules)
        if held:
            yield Overlap(row, hit._replace(rule=held[0][0], score=held[0][1], rules=held))
