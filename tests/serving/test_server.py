"""A server that runs, and the ways in which one does not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.serving.launch import Launch, ServeOptions, plan
from cybersecqwen.serving.model import find_model
from cybersecqwen.serving.server import cause, running

from .conftest import alive, free_port


def processes(folder: Path) -> list[int]:
    """Read the processes that a program started."""
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def run(launch: Launch, patience: float = 60) -> EngineError:
    """Run a server until it ends, and return the error."""
    with pytest.raises(EngineError) as error, running(launch, patience=patience) as server:
        server.wait()
    return error.value


def test_a_server_is_ready_inside_and_gone_after(
    launch: Callable[[str], Launch], tmp_path: Path
) -> None:
    with running(launch("serves")) as server:
        assert httpx2.get(f"{server.url}/models").json()["data"][0]["id"] == "tiny"
        assert server.model == f"tiny@{server.url}"
        pids = processes(tmp_path)
        assert [Path(f"/proc/{pid}").exists() for pid in pids] == [True, True]
    assert not any(map(alive, pids))  # the child of the child too
    assert not server.log.exists()


def test_one_that_dies_says_why_and_where_the_log_is(launch: Callable[[str], Launch]) -> None:
    error = run(launch("dies"))
    assert "(exit status 1): ValueError: no room for the cache" in str(error)
    assert "root cause" in Path(str(error.tip).rpartition(" ")[2]).read_text()
    assert "\n" not in str(error)


def test_one_that_dies_later_says_so(launch: Callable[[str], Launch]) -> None:
    assert "(exit status 7): torch.OutOfMemoryError: tried" in str(run(launch("dies later")))


def test_one_that_answers_as_another_model_is_an_error(
    launch: Callable[[str], Launch], tmp_path: Path
) -> None:
    assert "answers as another, not as tiny" in str(run(launch("another")))
    assert not any(map(alive, processes(tmp_path)))


def test_one_that_is_never_ready_is_given_up(
    launch: Callable[[str], Launch], tmp_path: Path
) -> None:
    error = run(launch("never"), patience=1)
    assert "not ready after 1 seconds; its last line: still loading" in str(error)
    assert not any(map(alive, processes(tmp_path)))


def test_a_port_in_use_is_refused_before_anything_is_loaded(
    launch: Callable[[str], Launch], tmp_path: Path
) -> None:
    planned = launch("serves")
    taken = socket.create_server(("127.0.0.1", planned.options.port))
    with taken, pytest.raises(InputError, match=r"in use.*another --port"), running(planned):
        pass
    assert not (tmp_path / "pids").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_server_and_leaves_nothing(
    gguf: Path, program: Callable[[str], Path], tmp_path: Path, number: int
) -> None:
    command = (sys.executable, "-m", "cybersecqwen.cli", "serve-model", str(gguf))
    options = ("--executable", str(program("serves")), "--port", str(free_port()))
    with subprocess.Popen(
        (*command, *options),
        stdout=subprocess.PIPE,
        text=True,
        # Under nohup the tests ignore a hang-up, and what they start would too.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509  # no threads
    ) as process:
        try:
            assert process.stdout is not None
            url, line = process.stdout.readline(), process.stdout.readline()
            assert line == f"cybersecqwen evaluate --model tiny-q8_0@{url}"
            pids = processes(tmp_path)
            os.kill(process.pid, number)
            assert process.wait(20) == 130
        finally:
            process.kill()
    assert not any(map(alive, pids))
    assert not list((tmp_path / "cache").rglob("*.log"))


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", "it printed nothing"),
        ("loading\nready\n", "ready"),
        ("E srv: error loading model: bad magic\nsrv: exiting due to model loading error", "bad"),
        (
            "x.ValidationError: 1 validation error for ModelConfig\n  Value error, too long\n"
            "    For further information visit",
            "1 validation error for ModelConfig: Value error, too long",
        ),
        (
            "(Worker pid=9) ERROR 11-26 20:45:02 [x.py:9] a.SafetensorError: incomplete metadata\n"
            "Exception: a worker failed. See stack trace for root cause.",
            "a.SafetensorError: incomplete metadata",
        ),
        ("ValueError: x\nWARNING can cause `OSError: too many files`", "ValueError: x"),
        ("a.b.OtherError: x\nTraceback (most recent call last):\nKeyError: 'y'", "KeyError: 'y'"),
    ],
)
def test_the_cause_is_a_line_of_the_log(log: str, expected: str) -> None:
    assert expected in cause(log)


@pytest.mark.long
def test_transformers_serves_a_model_under_its_path(model_folder: Path) -> None:
    options = ServeOptions(backend="transformers", port=free_port())
    with running(plan(find_model(str(model_folder)), options), patience=120) as server:
        body = {
            "model": server.launch.name,
            "messages": [{"role": "user", "content": "question 1"}],
            "max_tokens": 4,
            "temperature": 0,
        }
        answer = httpx2.post(f"{server.url}/chat/completions", json=body, timeout=60).json()
    assert answer["usage"]["completion_tokens"] == 4
