"""Judge rows in partitions on the nodes of a Ray cluster, with the hits that one machine finds.

index = open_index(benchmark, settings, cluster)     # a plain BenchmarkIndex without a cluster
for hits in index.hits_of(rows): ...
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from cybersecqwen.cluster import Cluster, Job
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.hashing import Integers
from cybersecqwen.contamination.index import BenchmarkIndex
from cybersecqwen.contamination.rule import Hit, Row, batched_by_size
from cybersecqwen.records import Benchmark

T = TypeVar("T")
PARTITION = 4_000_000  # characters: a second or two of work

HitsAndGrams = tuple[list[list[Hit]], Integers]  # of each row, and the n-grams that all had


def judge(index: BenchmarkIndex, rows: Iterable[Row]) -> HitsAndGrams:
    """Return the hits of each row, and the n-grams of items that the rows have."""
    return list(index.hits_of(rows)), index.seen()


def judge_on_cluster(
    cluster: Cluster,
    make: Callable[[], BenchmarkIndex],
    batches: Iterable[Sequence[T]],
    row_of: Callable[[T], Row],
) -> Iterator[tuple[Sequence[T], list[list[Hit]], Integers]]:
    """Yield each batch with what `judge` says of its rows; `make` is called in each worker."""
    for batch, data in cluster.run(Job("contamination", partial(_work, make, row_of)), batches):
        yield batch, *pickle.loads(data)


def _work(
    make: Callable[[], BenchmarkIndex], row_of: Callable[[T], Row]
) -> Callable[[Sequence[T]], bytes]:
    index = make()
    return lambda batch: pickle.dumps(judge(index, map(row_of, batch)))


class ClusterIndex(BenchmarkIndex):
    """An index whose rows go to a cluster where they are more than one partition."""

    def __init__(self, benchmark: Benchmark, settings: Contamination, cluster: Cluster) -> None:
        super().__init__(benchmark, settings)
        self._cluster, self._make = cluster, partial(BenchmarkIndex, benchmark, settings)

    def hits_of(self, rows: Iterable[Row]) -> Iterator[list[Hit]]:
        """Yield for each row what a plain index does."""
        batches = batched_by_size(rows, PARTITION, lambda row: row.text)
        first, second = next(batches, []), next(batches, None)
        if second is None:
            yield from super().hits_of(first)
            return
        batches = chain((first, second), batches)
        for _, hits, _ in judge_on_cluster(self._cluster, self._make, batches, _itself):
            yield from hits


def _itself(row: Row) -> Row:
    return row


def open_index(
    benchmark: Benchmark, settings: Contamination, cluster: Cluster | None = None
) -> BenchmarkIndex:
    """Return the index of a benchmark, which works on a cluster where one is given."""
    if cluster is None:
        return BenchmarkIndex(benchmark, settings)
    return ClusterIndex(benchmark, settings, cluster)
