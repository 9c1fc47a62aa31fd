"""A tiny real model, and programs that stand in for a backend where one has to fail."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.serving.launch import Launch, ServeOptions, plan
from cybersecqwen.serving.model import find_model
from engines.conftest import model_folder, server

__all__ = ["model_folder", "server"]

# A server that is called as llama.cpp's is. BEHAVIOUR says what it does.
PROGRAM = """\
#!{python}
import http.server, json, os, subprocess, sys, time
BEHAVIOUR = {behaviour!r}
options = dict(zip(sys.argv, sys.argv[1:]))
if BEHAVIOUR == "dies":
    print("(EngineCore pid=12) ERROR 11-26 19:00:00 [core.py:7] ValueError: no room for the cache")
    sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
name = "another" if BEHAVIOUR == "another" else options["--alias"]
child = subprocess.Popen(["sleep", "60"])
open({pids!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
if BEHAVIOUR == "never":
    print("still loading", flush=True)
    time.sleep(60)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"" if self.path == "/health" else json.dumps({{"data": [{{"id": name}}]}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((options["--host"], int(options["--port"])), Handler)
if BEHAVIOUR == "dies later":
    server.handle_request(), server.handle_request()
    print("torch.OutOfMemoryError: tried to allocate 20 MiB", flush=True)
    os._exit(7)
server.serve_forever()
"""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def alive(pid: int) -> bool:
    """Tell whether a process still runs after a moment; one that is not waited for does not."""
    for _ in range(40):
        with suppress(OSError):
            if ") Z" not in Path(f"/proc/{pid}/stat").read_text():
                time.sleep(0.05)
                continue
        return False
    return True


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep logs and templates in a cache of the test's own."""
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Write a program that behaves in some way; the processes it starts are in `pids`."""

    def write(behaviour: str) -> Path:
        path, pids = tmp_path / "llama-server", str(tmp_path / "pids")
        path.write_text(PROGRAM.format(python=sys.executable, behaviour=behaviour, pids=pids))
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """Name a GGUF file with the template of its run beside it."""
    file = tmp_path / "exported" / "tiny-q8_0.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    (file.parent / "chat_template.jinja").write_text(CHAT_TEMPLATES["chatml"])
    return file


@pytest.fixture
def launch(gguf: Path, program: Callable[[str], Path]) -> Callable[[str], Launch]:
    """Plan to serve a file by a program that behaves in some way."""

    def make(behaviour: str) -> Launch:
        options = ServeOptions(executable=str(program(behaviour)), port=free_port(), name="tiny")
        return plan(find_model(str(gguf)), options)

    return make
