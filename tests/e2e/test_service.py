"""A service that is really started answers as docs/service.md says, and ends in good order."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text("utf-8")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")  # of artifacts, which are made anew now and then


@contextmanager
def service(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a service on a free port, with folders of its own, and yield it with its address."""
    variables = {f"XDG_{name}_HOME": str(folder / name) for name in ("DATA", "CACHE")}
    command = [sys.executable, "-m", "cybersecqwen.cli", "serve", "--port", "0", "--no-browser"]
    server = subprocess.Popen(
        [*command, *options],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        address = server.stdout.readline().strip()
        until = time.monotonic() + 60
        while time.monotonic() < until:  # it listens at once, and answers once it is loaded
            with contextlib.suppress(httpx2.HTTPError):
                if httpx2.get(f"{address}/ready", timeout=60).status_code == 200:
                    break
        yield server, address
    finally:
        server.kill()
        server.communicate()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_page_says_what_the_service_answers_until_it_is_told_to_end(tmp_path: Path) -> None:
    with service(tmp_path) as (server, address):
        compared = 0
        for block in re.findall(r"^```shell-session\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, told = part.partition("\n")
                local = command.replace("http://127.0.0.1:8080", address)
                answer = subprocess.run(
                    ["bash", "-c", local], capture_output=True, text=True, check=True
                ).stdout
                assert _HASH.sub("…", answer).rstrip() == _HASH.sub("…", told).rstrip(), command
                compared += 1
        assert compared >= 6
        [(code, told)] = re.findall(
            r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code.replace("http://127.0.0.1:8080", address), {})
        assert printed.getvalue().rstrip() == told.rstrip()
        assert end_while_it_answers(server, address) == 1000


def end_while_it_answers(server: subprocess.Popen[str], address: str) -> int:
    """Send half a feed, tell the service to end, send the rest; count the answers."""
    told, answers = threading.Event(), list[str]()
    lines = [b'{"text": "SQL injection in page %d."}\n' % i for i in range(1000)]

    def feed() -> Iterator[bytes]:
        yield b"".join(lines[:500])
        told.wait()
        yield b"".join(lines[500:])

    def post() -> None:
        kind = {"content-type": "application/x-ndjson"}
        answer = httpx2.post(f"{address}/v1/classify", content=feed(), headers=kind, timeout=60)
        answers.append(answer.text)

    client = threading.Thread(target=post)
    client.start()
    while "requests_in_progress 2.0" not in httpx2.get(f"{address}/metrics", timeout=60).text:
        assert client.is_alive()
        time.sleep(0.05)
    server.send_signal(signal.SIGTERM)
    told.set()
    client.join()
    server.wait(timeout=60)
    with socket.socket() as gone:
        host, _, port = address.removeprefix("http://").partition(":")
        assert gone.connect_ex((host, int(port))) != 0
    return answers[0].count("\n")


def test_several_workers_share_one_address_and_their_metrics(tmp_path: Path) -> None:
    with service(tmp_path, "--workers", "2") as (server, address):
        for _ in range(20):
            assert httpx2.post(f"{address}/v1/classify", json={"text": "XSS."}).status_code == 200
        text = httpx2.get(f"{address}/metrics").text
        counted = re.findall(r'requests_total\{.*route="/v1/classify".*\} (\d+)', text)
        assert sum(map(int, counted)) == 20
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
