"""Leave out of what is trained on whatever overlaps with a benchmark, and count why.

    clean = decontaminate(records, lambda r: Row(r.description, (r.cve_id,)), index)
    clean.kept, clean.counts()["exact"]["cti-rcm"]

A corpus, synthetic pairs and the embedded model are decontaminated alike by this function.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cybersecqwen.contamination.index import BenchmarkIndex
from cybersecqwen.contamination.rule import Hit, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Decontaminated(Generic[T]):
    """The records to train on, and those to leave out with the items they hit, strongest first."""

    kept: list[T]
    dropped: list[tuple[T, list[Hit]]]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count what was dropped by the strongest rule of each, and by task."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for _, hits in self.dropped:
            counts[hits[0].rule].update({hit.task for hit in hits})
        return _sorted(counts)

    def hit_counts(self) -> dict[str, dict[str, int]]:
        """Count what was dropped by every item's strongest rule, and by task."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for _, hits in self.dropped:
            for rule, task in {(hit.rule, hit.task) for hit in hits}:
                counts[rule][task] += 1
        return _sorted(counts)


def decontaminate(
    records: Iterable[T], row_of: Callable[[T], Row], index: BenchmarkIndex
) -> Decontaminated[T]:
    """Check every record against the benchmark, by the row that would be trained on."""
    kept, dropped, held = [], [], list(records)
    for record, hits in zip(held, index.hits_of(map(row_of, held)), strict=True):
        if hits:
            dropped.append((record, hits))
        else:
            kept.append(record)
    return Decontaminated(kept, dropped)


def _sorted(counts: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """Sort counts by rule and task, so that a certificate has the same bytes every time."""
    return {rule: dict(sorted(tasks.items())) for rule, tasks in sorted(counts.items())}
