"""A partition on disk, and what a worker does with it.

    000012-5f0c….in      the rows, pickled; deleted when they are done
    000012-5f0c….out     the bytes that the job made of them
    000012-5f0c….json    its record, written last: rows, bytes, sha256, seconds, node, warnings

The name holds a checksum of the rows, and that of the folder one of the job, of the package's
version and of the artifacts that ship: what stands under a name is what would be made again.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from cybersecqwen import __version__
from cybersecqwen.artifacts import FOLDER
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import Json, read_json, sha256_tree, write_bytes, write_json

T = TypeVar("T")
_JOB = "job.pickle"
_KEY = 16  # characters of a checksum in a name
_OTHER = {"version": "another version", "artifacts": "other artifacts"}


class NodeError(CyberSecQwenError):
    """A node that cannot work on any partition; others may."""


@dataclass(frozen=True)
class Job(Generic[T]):
    """What is done with each partition.

    `make` is called once in each worker, and returns what makes bytes of the rows of a partition:
    the function that one machine runs. It has to be importable, with arguments that can be pickled.
    """

    name: str
    make: Callable[[], Callable[[Sequence[T]], bytes]]


class Build(NamedTuple):
    """The package as it is installed on a machine."""

    version: str
    artifacts: str  # checksum of what ships


@cache
def this_build() -> Build:
    """Return what is installed here."""
    hashes = repr(sorted(sha256_tree(FOLDER).items()))
    return Build(__version__, hashlib.sha256(hashes.encode()).hexdigest())


def write_job(folder: Path, job: Job[T]) -> Path:
    """Write a job into a folder of its own below `folder`, and return that."""
    data = pickle.dumps((this_build(), job.make))
    own = folder / f"{job.name}-{_checksum(data)[:_KEY]}"
    write_bytes(own / _JOB, data)
    return own


def write_rows(folder: Path, number: int, rows: Sequence[object]) -> tuple[Path, Json | None]:
    """Write the rows of a partition unless it is done, and return its path and its record if so.

    The path lacks the endings of the partition's files.
    """
    data = pickle.dumps(rows)
    path = folder / f"{number:06}-{_checksum(data)[:_KEY]}"
    record = _finished(path)
    if not record:
        write_bytes(path.with_suffix(".in"), data)
    return path, record


def _finished(path: Path) -> Json | None:
    """Return the record of a partition that is done and whole, else None."""
    if not path.with_suffix(".json").is_file() or not path.with_suffix(".out").is_file():
        return None
    record: Json = read_json(path.with_suffix(".json"))
    return record if record["sha256"] == _checksum(path.with_suffix(".out").read_bytes()) else None


def outcome(path: str, build: tuple[str, str], node: str) -> Json:
    """Work on a partition, and return its record, why it failed, or why this node refuses it."""
    try:
        return {"record": work_on(Path(path), Build(*build), node)}
    except NodeError as error:
        return {"refused": str(error)}
    except CyberSecQwenError as error:
        return {"failed": str(error)}


def work_on(path: Path, build: Build, node: str) -> Json:
    """Make the output of a partition, write its record last, and return that.

    Raises NodeError where this machine has another build than the driver, does not see the folder,
    or cannot write into it.
    """
    _compare(build)
    work = _load(path.with_name(_JOB))
    started = time.perf_counter()
    if record := _finished(path):  # by a worker that was taken for dead
        return record
    rows = _read_rows(path)
    with _warnings() as warnings:
        data = work(rows)
    record = {
        "partition": path.name,
        "rows": len(rows),
        "bytes": len(data),
        "sha256": _checksum(data),
        "seconds": round(time.perf_counter() - started, 3),
        "node": node,
        "warnings": warnings,
    }
    try:
        write_bytes(path.with_suffix(".out"), data)
        write_json(path.with_suffix(".json"), record)
    except CyberSecQwenError as error:
        raise NodeError(error.what, where=error.where, tip=error.tip) from error
    path.with_suffix(".in").unlink(missing_ok=True)
    return record


def _compare(build: Build) -> None:
    for name, here, there in zip(Build._fields, this_build(), build, strict=True):
        if here != there:
            what = f"has {_OTHER[name]}: {here[:_KEY]}, here {there[:_KEY]}"
            raise NodeError(what, tip="install the same package there")


def _load(path: Path) -> Callable[[Sequence[Any]], bytes]:
    try:
        data = path.read_bytes()
    except OSError as error:
        data = b""
        reason = error.strerror
    else:
        reason = "it holds another file"
    if not path.parent.name.endswith(_checksum(data)[:_KEY]):
        raise NodeError(
            f"does not see {path} ({reason})", tip="--shared has to be a folder that all nodes see"
        )
    return _unpickle(data)


@lru_cache(maxsize=1)
def _unpickle(data: bytes) -> Callable[[Sequence[Any]], bytes]:
    _, make = pickle.loads(data)
    work: Callable[[Sequence[Any]], bytes] = make()
    return work


def _read_rows(path: Path) -> Sequence[Any]:
    try:
        data = path.with_suffix(".in").read_bytes()
    except OSError as error:
        raise CyberSecQwenError(f"cannot be read: {error.strerror}") from error
    if not path.name.endswith(_checksum(data)[:_KEY]):
        raise CyberSecQwenError("its rows are not what was written")
    rows: Sequence[Any] = pickle.loads(data)
    return rows


@contextmanager
def _warnings() -> Iterator[list[tuple[str, int, str, list[Any]]]]:
    """Collect what the package logs, for the driver to say it in the order of the input."""
    collected: list[tuple[str, int, str, list[Any]]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arguments = [a if isinstance(a, int | float) else str(a) for a in record.args or ()]
            collected.append((record.name, record.levelno, str(record.msg), arguments))

    logger, collector = logging.getLogger("cybersecqwen"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield collected
    finally:
        logger.removeHandler(collector)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
