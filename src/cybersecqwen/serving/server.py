"""A server of this machine: started, waited for, checked by its name, and stopped.

    with running(launch) as server:
        print(server.url)
        server.wait()

It runs in a process group of its own, which is ended whole: vLLM has processes under its own. What
it prints goes to a log in the cache, and is deleted again unless it ends in an error.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.serving.launch import Launch
from cybersecqwen.sources.fetch import default_cache

_log = logging.getLogger(__name__)

START = 900.0  # seconds for a server to be ready: large weights from a slow disk, compiled
_PAUSE = 0.2  # seconds between two looks at it
_STOP = 10.0  # seconds to end by itself

_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): .*")
_HEADING = re.compile(r"(validation errors? for \w+)\n\s*")  # pydantic's; what is wrong comes next
_LONGEST = 300  # characters of a cause; some list all that would have been right
_COMPLAINT = re.compile(r".*\b(?:error|fail(?:ed|ure)?|cannot|couldn't|unable)\b.*", re.IGNORECASE)
# What a program says of itself when another part of it has told the cause.
_CONSEQUENCE = re.compile(r"root cause|exiting due to|cleaning up before exit|Traceback")
# vLLM's processes put their name, the level, the time and the place before each line.
_PREFIX = re.compile(r"^(?:\(\w+ pid=\d+\)\s*)?(?:[A-Z]+ \d\d-\d\d [\d:]+ \[[^\]]*\]\s*)?")


@dataclass(frozen=True)
class Server:
    """A server that is ready: where it listens, the model's name there, and its log."""

    launch: Launch
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """The base URL to send requests to."""
        return self.launch.url

    @property
    def model(self) -> str:
        """The MODEL of `evaluate` and `probe`: NAME@URL."""
        return f"{self.launch.name}@{self.url}"

    def wait(self) -> None:
        """Wait until it ends, and raise EngineError with the cause; ctrl-C ends the wait."""
        self.process.wait()
        raise _death(self)


@contextmanager
def running(launch: Launch, *, patience: float = START) -> Iterator[Server]:
    """Run a server, which is ready inside of the block and gone after it.

    Ctrl-C and SIGTERM end it too. Raises InputError for a port in use, and EngineError when the
    server dies, is not ready within `patience` seconds, or answers as another model.
    """
    _check_port(launch)
    log = default_cache() / "serving" / f"{launch.backend.name}-{launch.options.port}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with _terminable(), log.open("wb") as output:
        server = Server(launch, _start(launch, output), log)
        try:
            _wait_until_ready(server, patience)
            _check_name(server)
            yield server
        except EngineError:
            raise
        except BaseException:
            log.unlink(missing_ok=True)
            raise
        else:
            log.unlink(missing_ok=True)
        finally:
            _stop(server.process)


def _start(launch: Launch, output: Any) -> subprocess.Popen[bytes]:
    command = (launch.executable, *launch.arguments)
    _log.debug("%s", launch.shell())
    try:
        return subprocess.Popen(
            command,
            env=os.environ | launch.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise InputError(f"cannot be run: {error.strerror}", where=launch.executable) from error


def _check_port(launch: Launch) -> None:
    """Refuse a port that is in use, before a model is loaded."""
    host, port = launch.options.host, launch.options.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((host, port))
        except OSError as error:
            served = " or ".join(_served(launch) or ())
            by = f", by a server of {served}" if served else ""
            raise InputError(
                f"cannot listen there: {error.strerror}{by}",
                where=f"{host}:{port}",
                tip="choose another --port, or end what listens there",
            ) from error


def _wait_until_ready(server: Server, patience: float) -> None:
    import httpx2

    health = f"{server.url.removesuffix('/v1')}/health"
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise _death(server)
        with suppress(httpx2.HTTPError):
            if httpx2.get(health, timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(_PAUSE)
    raise EngineError(
        f"the server is not ready after {patience:g} seconds; its last line: {_last(server.log)}",
        where=server.log,
        tip="give it longer: --start-timeout",
    )


def _check_name(server: Server) -> None:
    """Refuse a server that answers as another model, such as one that was faster to the port."""
    served = _served(server.launch)
    if served is None:
        _log.warning("%s: does not list its models, so its name is not checked", server.url)
    elif server.launch.name not in served:
        raise EngineError(
            f"the server answers as {' or '.join(served) or 'no model'}, not as "
            f"{server.launch.name}",
            where=server.url,
            tip=f"is another server at this port? the log is {server.log}",
        )


def _served(launch: Launch) -> list[str] | None:
    """Return the names that a server lists; None where it lists nothing."""
    import httpx2

    try:
        answer = httpx2.get(f"{launch.url}/models", timeout=2, trust_env=False).json()
        return [str(entry["id"]) for entry in answer["data"]]
    except (httpx2.HTTPError, ValueError, LookupError, TypeError):
        return None


def _death(server: Server) -> EngineError:
    status = server.process.wait()
    how = f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
    why = cause(server.log.read_text(encoding="utf-8", errors="replace"))
    tip = f"the log is {server.log}"
    return EngineError(f"the server died ({how}): {why}", where=server.launch.backend.name, tip=tip)


def cause(log: str) -> str:
    r"""Return the line of a log that says why a server died.

    >>> cause("INFO ok\nValueError: no such file\nRuntimeError: failed, see root cause above")
    'ValueError: no such file'
    """
    lines = [_PREFIX.sub("", line).strip() for line in _HEADING.sub(r"\1: ", log).splitlines()]
    telling = [line for line in lines if line and not _CONSEQUENCE.search(line)]
    for pattern in (_EXCEPTION, _COMPLAINT):
        if found := [match[0] for line in telling if (match := pattern.search(line))]:
            return found[-1][:_LONGEST]
    return telling[-1] if telling else "it printed nothing"


def _last(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "none")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; by force where that takes too long."""
    try:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP)
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextmanager
def _terminable() -> Iterator[None]:
    """Take SIGTERM and the end of a terminal as ctrl-C, which unwinds.

    Only the main thread is told of signals, and what is ignored stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
