"""Judge rows by a benchmark's index in parts: here, in processes, or on the nodes of a Ray cluster.

    for judged in judged_here(index, make, judge, parts): ...    # each by judge(index, part)
    for judged in judged_on_cluster(cluster, make, judge, parts): ...

    index = open_index(benchmark, settings, cluster)     # a plain BenchmarkIndex without a cluster
    for hits in index.hits_of(rows): ...

The results are those of one process, in the order of the parts.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from cybersecqwen.cluster import Cluster, Job
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.index import BenchmarkIndex
from cybersecqwen.contamination.rule import Hit, Row, batched_by_size
from cybersecqwen.records import Benchmark

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 1_000_000  # characters that a process or a node is given at once: half a second or more
_FEW = 4  # chunks that one process has done before others are ready

Make = Callable[[], BenchmarkIndex]
Judge = Callable[[BenchmarkIndex, Sequence[T]], R]


def judged_on_cluster(
    cluster: Cluster, make: Make, judge: Judge[T, R], parts: Iterable[Sequence[T]]
) -> Iterator[R]:
    """Yield what `judge` returns for each part; `make` is called once in each worker."""
    for _, data in cluster.run(Job("contamination", partial(_work, make, judge)), parts):
        yield pickle.loads(data)


def _work(make: Make, judge: Judge[T, R]) -> Callable[[Sequence[T]], bytes]:
    index = make()
    return lambda part: pickle.dumps(judge(index, part))


def judged_here(
    index: BenchmarkIndex, make: Make, judge: Judge[T, R], parts: Iterable[Sequence[T]]
) -> Iterator[R]:
    """Yield the same: the first parts are judged by `index`, and the others in processes.

    `make` is called once in each of these.
    """
    remaining, several = iter(parts), _processes() > 1
    yield from (judge(index, part) for part in islice(remaining, _FEW if several else None))
    if (part := next(remaining, None)) is not None:
        yield from _in_processes(make, judge, chain((part,), remaining))


def _in_processes(make: Make, judge: Judge[T, R], parts: Iterable[Sequence[T]]) -> Iterator[R]:
    context = multiprocessing.get_context("spawn")  # nothing inherited: the same everywhere
    with ProcessPoolExecutor(
        _processes(), mp_context=context, initializer=_begin, initargs=(make,)
    ) as pool:
        ahead: deque[Future[R]] = deque()
        for part in parts:
            ahead.append(pool.submit(_judge, judge, part))
            if len(ahead) > 2 * _processes():  # memory is bounded, however long the input is
                yield ahead.popleft().result()
        yield from (future.result() for future in ahead)


def _processes() -> int:
    from cybersecqwen.engines.threads import available_cores

    return available_cores()


_INDEX: list[BenchmarkIndex] = []  # of a process of the pool


def _begin(make: Make) -> None:
    _INDEX.append(make())


def _judge(judge: Judge[T, R], part: Sequence[T]) -> R:
    return judge(_INDEX[0], part)


class ClusterIndex(BenchmarkIndex):
    """An index whose rows go to a cluster where they are more than one partition."""

    def __init__(self, benchmark: Benchmark, settings: Contamination, cluster: Cluster) -> None:
        super().__init__(benchmark, settings)
        self._cluster, self._make = cluster, partial(BenchmarkIndex, benchmark, settings)

    def hits_of(self, rows: Iterable[Row]) -> Iterator[list[Hit]]:
        """Yield for each row what a plain index does."""
        batches = batched_by_size(rows, CHUNK, lambda row: len(row.text))
        first, second = next(batches, []), next(batches, None)
        if second is None:
            yield from super().hits_of(first)
            return
        batches = chain((first, second), batches)
        for hits in judged_on_cluster(self._cluster, self._make, _hits, batches):
            yield from hits


def _hits(index: BenchmarkIndex, rows: Sequence[Row]) -> list[list[Hit]]:
    return list(index.hits_of(rows))


def open_index(
    benchmark: Benchmark, settings: Contamination, cluster: Cluster | None = None
) -> BenchmarkIndex:
    """Return the index of a benchmark, which works on a cluster where one is given."""
    if cluster is None:
        return BenchmarkIndex(benchmark, settings)
    return ClusterIndex(benchmark, settings, cluster)
