"""A real HTTP server that speaks upstream's protocols, with faults on demand."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import record_table
from cybersecqwen.sources.download import RetryPolicy


@dataclass
class Answer:
    """What the server says; it closes the connection after `cut` bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Seen:
    """A request as the server got it, and the bytes of body that it sent."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    sent: range = range(0)


Fault = Callable[[Answer], Answer]


class Upstream:
    """Files, computed routes, and faults that each spoil one answer of a path in turn."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.routes: dict[str, Callable[[Seen], Answer]] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.ranges = True
        self.weak = False
        self.etag = ""  # of every file, in place of one made from its bytes
        self.url = ""

    def of(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def answer(self, seen: Seen) -> Answer:
        if seen.path in self.routes:
            answer = self.routes[seen.path](seen)
        elif seen.path in self.files:
            answer = self._file(seen)
        else:
            answer = Answer(404)
        faults = self.faults[seen.path]
        return faults.pop(0)(answer) if faults else answer

    def _file(self, seen: Seen) -> Answer:
        body = self.files[seen.path]
        etag = (
            "W/" if self.weak else ""
        ) + f'"{self.etag or hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": etag, "X-Repo-Commit": "c" * 40}
        if seen.headers.get("If-None-Match") == etag:
            return Answer(304, headers=headers)
        wanted = seen.headers.get("Range")
        if wanted and self.ranges and seen.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return Answer(416, headers={"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return Answer(206, body[start:], headers)
        return Answer(200, body, headers)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        upstream = cast(Any, self.server).upstream
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        seen = Seen(self.command, parts.path, query, self.headers)
        upstream.seen.append(seen)
        answer = upstream.answer(seen)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body[: answer.cut]
        ranged = answer.headers.get("Content-Range", "") if answer.status == 206 else ""
        start = int(ranged.removeprefix("bytes ").partition("-")[0] or 0)
        seen.sent = range(start, start + len(body))
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    state = Upstream()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.upstream = state  # type: ignore[attr-defined]
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def waits() -> list[float]:
    """The waits that were asked for, in place of waiting."""
    return []


@pytest.fixture
def retry(waits: list[float]) -> RetryPolicy:
    return RetryPolicy(attempts=4, first_wait=1.0, longest_wait=60.0, sleep=waits.append)


@pytest.fixture(scope="session")
def table(shared: Path) -> dict[str, Vulnerability]:
    """The real table of records by id, read once."""
    return {record.cve_id: record for record in record_table.read(shared / "cve.parquet")}
