"""What is stored whole is never asked for twice; what is damaged is never scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.engines import Model
from cybersecqwen.engines.progress_bar import ProgressBar
from cybersecqwen.engines.response_log import generate_missing, read_responses
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.records import Request, Response
from training.conftest import full_disk

Ask = Callable[..., Request]


class Echo:
    """Answers with the number of the item, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        for request in requests:
            self.asked.append(request.item)
            yield Response(request.item, request.trial, f"CWE-{request.item}", "stop", 3, 4)

    def describe(self) -> dict[str, Any]:
        return {}

    def identity(self) -> dict[str, Any]:
        return {"id": "echo"}


class Silent(ProgressBar):
    def note(self, response: Response) -> None:
        pass

    def shown(self, speed: float) -> str:
        return ""


@pytest.fixture
def answer(ask: Ask, tmp_path: Path) -> Callable[[], tuple[list[int], list[Response]]]:
    """Answer four requests into a file; returns which were asked, and all responses."""

    def run() -> tuple[list[int], list[Response]]:
        engine, requests = Echo(), [ask(item) for item in range(4)]
        bar = Silent("echo", 4, unit="item")
        path = tmp_path / "responses.jsonl"
        logs = {path: requests}
        return engine.asked, generate_missing(Model("echo", engine), logs, progress=bar)[path]

    return run


def nested(_: bytes) -> bytes:
    return b'{"item": 1, "trial": 0, "text": ' + b"[" * 100_000


def older(line: bytes, **changes: Any) -> bytes:
    """Return a line as version 0.1 wrote it."""
    row = json.loads(line) | changes
    del row["checksum"]
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"CWE-1", b"CWE-3"),
        lambda line: line.replace(b'"stop"', b'"stoq"'),
        lambda line: line.replace(b'"item": 1', b'"item": 3'),
        lambda line: line.replace(b'"key": "', b'"key": "0'),
        lambda line: line.replace(b'"checksum"', b'"checksun"'),
        lambda line: line.replace(b"CWE-1", b"CWE-\xff"),
        lambda line: line[:-9],
        lambda line: older(line).replace(b'_tokens": 3', b'_tokens": ' + b"9" * 5000),
        nested,
        lambda _: b"[]",
    ],
)
def test_a_damaged_answer_is_asked_for_again_and_named(
    answer: Any, tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "responses.jsonl"
    assert answer()[0] == [0, 1, 2, 3]
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    lines[1] = damage(lines[1])
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match=r"responses\.jsonl"):
        read_responses(path)
    asked, responses = answer()
    assert (asked, [r.text for r in responses]) == ([1], ["CWE-0", "CWE-1", "CWE-2", "CWE-3"])
    assert "responses.jsonl:2: " in caplog.text
    assert "asked again" in caplog.text
    assert path.read_bytes() == whole


@pytest.mark.parametrize("order", [(3, 1, 0, 2), (0, 1, 1, 2, 3)])
def test_one_that_was_killed_before_it_was_put_in_order_is_put_in_order(
    answer: Any, tmp_path: Path, order: tuple[int, ...]
) -> None:
    path = tmp_path / "responses.jsonl"
    answer()
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[place] for place in order) + b"{damaged\n")
    assert answer()[0] == []
    assert path.read_bytes() == whole


def test_a_file_without_checksums_goes_on(answer: Any, tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    answer()
    first, second, *_ = path.read_bytes().split(b"\n")
    # A count that a server made up, and an earlier version stored.
    rows = [older(first), older(second, completion_tokens=10**400)]
    path.write_bytes(b"\n".join(rows) + b"\n")
    asked, responses = answer()
    assert (asked, [r.completion_tokens for r in responses]) == ([2, 3], [4, 0, 4, 4])
    assert [r.completion_tokens for r in read_responses(path)] == [4, 0, 4, 4]


def test_a_full_disk_is_one_line_and_what_was_stored_goes_on(answer: Any, tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    answer()
    whole = path.read_bytes()
    path.unlink()
    with (
        full_disk(300),
        pytest.raises(CyberSecQwenError, match="goes on from here"),
    ):
        answer()
    assert len(path.read_bytes()) <= 300
    asked, _ = answer()
    assert 0 < len(asked) < 4
    assert path.read_bytes() == whole
