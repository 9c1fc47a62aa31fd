"""Give partitions to the nodes of a cluster, and take their output in the order of the input.

Ray's tasks and no more of Ray: they go to whichever processor is free, on nodes that join later
too, and again to another one when a worker or a node dies. So many partitions are under way at any
time, by the number of processors, that memory holds a part of the input and never all of it.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from cybersecqwen.cluster.partition import Job, this_build, write_job, write_rows
from cybersecqwen.errors import CyberSecQwenError, PartitionError
from cybersecqwen.files import Json, atomic_write, write_jsonl

T = TypeVar("T")
_log = logging.getLogger(__name__)

LEDGER, BAD_ROWS = "ledger.jsonl", "bad-rows.jsonl"
_AHEAD, _LEAST = 2, 4  # partitions under way: for each processor, and besides
_RETRIES = 3  # of a partition whose worker or node died
_QUIET = 60.0  # seconds without a word from any node, after which that is said


@dataclass
class _Partition(Generic[T]):
    path: Path
    rows: Sequence[T]
    record: Json | None = None
    failure: str = ""


@dataclass
class Cluster:
    """A Ray cluster that this process is connected to, and the folder that its nodes see."""

    folder: Path
    _refused: set[str] = field(default_factory=set)  # nodes
    _finished: dict[Path, list[Json]] = field(default_factory=dict)  # records, by a job's folder

    def run(
        self, job: Job[T], batches: Iterable[Sequence[T]]
    ) -> Iterator[tuple[Sequence[T], bytes]]:
        """Yield each batch with what the job made of it, in their order.

        What an earlier run has finished is not done again. A partition that fails is left out, and
        PartitionError raised when all others are done. Raises CyberSecQwenError where no node can
        work.
        """
        folder = write_job(self.folder, job)
        run = _Run[T](self, folder)
        yield from run.outputs(batches)
        records = self._finished.setdefault(folder, [])
        records += run.records
        write_jsonl(folder / LEDGER, records)
        if run.failures:
            raise PartitionError(
                f"{len(run.failures):,} partitions failed",
                where=folder,
                tip="the same command tries them again",
            )

    def delete_others(self) -> None:
        """Delete the partitions of other inputs; for the end, when every job has had its rows."""
        for folder, records in self._finished.items():
            names = {record["partition"] for record in records}
            for path in folder.glob("[0-9]*.*"):
                if path.stem not in names:
                    path.unlink()

    @contextmanager
    def bad_rows(self) -> Iterator[Callable[[CyberSecQwenError], None]]:
        """Open the ledger of rows that cannot be read: their place, and what is wrong with them."""
        with atomic_write(self.folder / BAD_ROWS) as file:

            def put(error: CyberSecQwenError) -> None:
                row = {"where": str(error.where), "what": error.what}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

            failure = None
            try:
                yield put
            except PartitionError as error:  # all rows have been read
                failure = error
        if failure:
            raise failure

    def submit(self, path: Path) -> Any:
        """Give a partition to a node that is not left out; returns Ray's reference."""
        selector = {"ray.io/node-id": f"!in({','.join(sorted(self._refused))})"}
        task = _task().options(label_selector=selector if self._refused else None)
        return task.remote(str(path), tuple(this_build()))

    def leave_out(self, node: Json, reason: str) -> None:
        """Give a node no more work; raises CyberSecQwenError where it was the last one."""
        import ray

        if node["id"] not in self._refused:
            self._refused.add(node["id"])
            _log.warning("node %s is left out: %s", node["ip"], reason)
        others = [n for n in ray.nodes() if n["Alive"] and n["NodeID"] not in self._refused]
        if not any(n["Resources"].get("CPU") for n in others):
            what = f"no node is left that can work; the last one: {reason}"
            raise CyberSecQwenError(what, where=f"node {node['ip']}")


@cache
def _task() -> Any:
    """Return the task that works on a partition.

    Ray sends the code of a function within a function, so that it runs on a node that lacks the
    package and can say so.
    """
    import ray

    def work(path: str, build: tuple[str, str]) -> Json:
        context = ray.get_runtime_context()
        node = {"id": context.get_node_id(), "ip": ray.util.get_node_ip_address()}
        try:
            from cybersecqwen.cluster.partition import outcome
        except ImportError as error:
            return {"node": node, "refused": f"has another package: {error}"}
        return {"node": node, **outcome(path, build, node["ip"])}

    return ray.remote(max_retries=_RETRIES)(work)


class _Run(Generic[T]):
    """One job: the partitions in their order, and those of them that nodes have now."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._waiting: deque[_Partition[T]] = deque()
        self._at_nodes: dict[Any, _Partition[T]] = {}
        self.records: list[Json] = []
        self.failures: list[str] = []

    def outputs(self, batches: Iterable[Sequence[T]]) -> Iterator[tuple[Sequence[T], bytes]]:
        """Yield the batches with their outputs as far as they are done without a gap."""
        for number, rows in enumerate(batches):
            path, record = write_rows(self._folder, number, rows)
            partition = _Partition(path, rows, record)
            self._waiting.append(partition)
            if not partition.record:
                self._submit(partition)
            while len(self._waiting) > self._most():
                yield from self._first()
        while self._waiting:
            yield from self._first()

    def _most(self) -> int:
        import ray

        return _AHEAD * int(ray.cluster_resources().get("CPU", 0)) + _LEAST

    def _first(self) -> Iterator[tuple[Sequence[T], bytes]]:
        partition = self._waiting.popleft()
        while not (partition.record or partition.failure):
            self._wait()
        if partition.record:
            self.records.append(_repeat_warnings(partition.record))
            yield partition.rows, partition.path.with_suffix(".out").read_bytes()
        else:
            self.failures.append(f"{partition.path}: {partition.failure}")
            _log.error("%s", self.failures[-1])

    def _submit(self, partition: _Partition[T]) -> None:
        self._at_nodes[self._cluster.submit(partition.path)] = partition

    def _wait(self) -> None:
        """Wait until a node has answered, and take down what it says."""
        import ray

        ready, _ = ray.wait(list(self._at_nodes), timeout=_QUIET)
        if not ready:
            _log.warning("no node has answered for %g seconds; waiting", _QUIET)
        for reference in ready:
            partition = self._at_nodes.pop(reference)
            try:
                outcome: Json = ray.get(reference)
            except ray.exceptions.RayTaskError:
                raise  # a bug, with its traceback
            except ray.exceptions.RayError as error:
                reason = str(error).strip().partition("\n")[0]
                partition.failure = f"given up by Ray: {reason}"
                continue
            if "refused" in outcome:
                self._cluster.leave_out(outcome["node"], outcome["refused"])
                self._submit(partition)
            else:
                partition.record = outcome.get("record")
                partition.failure = outcome.get("failed", "")


def _repeat_warnings(record: Json) -> Json:
    """Say again what the package warned of in a worker, and return the record without it."""
    for name, level, message, arguments in record["warnings"]:
        logging.getLogger(name).log(level, message, *arguments)
    return {name: value for name, value in record.items() if name != "warnings"}
