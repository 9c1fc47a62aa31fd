"""A real local model server: the merged model behind HTTP answers as it does in process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMANDS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served") / "run"
    tiny = [
        "--set=corpus.max_examples=24",
        "--set=training.epochs=1",
        "--set=model.random.hidden_size=32",
        "--set=model.random.layers=1",
        "--set=model.random.vocab_size=600",
    ]
    for stage in ("corpus", "train", "merge"):
        subprocess.run(
            [COMMANDS / "cybersecqwen", stage, "smoke", "--out", out, *tiny],
            check=True,
            capture_output=True,
        )
    return out / "merged"


@pytest.fixture(scope="module")
def url(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the model with `transformers serve` until the tests are over."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [COMMANDS / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port)],
            stdout=file,
            stderr=file,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server did not come up: {log.read_text()[-2000:]}")


def test_a_served_model_gives_the_answers_of_the_folder(
    merged: Path, url: str, tmp_path: Path
) -> None:
    from cybersecqwen.sample import BENCHMARK

    common = ["--benchmark", BENCHMARK, "--protocol", "smoke", "--task", "cti-rcm", "--json"]
    answers = {}
    for name, subject in {"folder": [], "server": ["--url", url]}.items():
        out = tmp_path / name
        done = subprocess.run(
            [
                *(COMMANDS / "cybersecqwen", "evaluate", "--model", merged, *subject),
                *(*common, "--out", out),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        path = out / "evaluation" / "cti-rcm" / "smoke" / "trial-0" / "responses.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        answers[name] = [(row["item"], row["text"].strip()) for row in rows]
    assert len(answers["folder"]) == 60
    assert answers["server"] == answers["folder"]
