"""Kill each stage at random moments until the same command has ended, and compare what is left.

Children are forked from this process, which has imported what they need, so that a kill falls into
the work and not into the imports.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import mutations

from cybersecqwen.cli import main as command_line
from cybersecqwen.reports.markdown import table
from cybersecqwen.sample import BENCHMARK, FEED

_DELAY = 0.01  # seconds that the server takes for an answer, so that kills fall between answers
_PAGE = 40  # records
_TINY = (
    "corpus.max_examples=48",
    "synthesis.pairs=48",
    "training.epochs=2",
    "training.log_steps=1",
    "training.checkpoint_steps=2",
    "training.max_length=2048",
    "model.random.hidden_size=32",
    "model.random.layers=1",
    "model.random.vocab_size=600",
)


@dataclass(frozen=True)
class Stage:
    """A command that fills a folder; `ready` puts into it what has to lie there before."""

    command: tuple[str, ...]
    ready: Callable[[Path], object] = lambda folder: None


@dataclass
class Kills:
    """What the kills of a stage have done."""

    kills: int = 0
    rounds: int = 0  # how often the stage was begun anew, and ended
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # of one run without a kill
    varying: list[str] = field(default_factory=list)  # files that differ without a kill

    def fault(self, kind: str, what: str) -> None:
        self.faults[kind] += 1
        self.first.setdefault(kind, what)


FAILED, LOST, TWICE, OTHER, LEFT = "refused", "lost", "asked twice", "other bytes", "left behind"


def stages(work: Path, server: str) -> dict[str, Stage]:
    """Return every stage; what they read is written to `work`, and they write to `work`/out."""
    out, inputs = str(work / "out"), work / "inputs"
    inputs.mkdir()
    for name, data in {
        "attack.json": mutations.attack("enterprise"),
        "capec.json": mutations.capec(),
        "cwe.xml": mutations.CWE,
        "train.jsonl": mutations.training()["train.jsonl"] * 50,
    }.items():
        (inputs / name).write_bytes(data)
    recipe = ("smoke", "--out", out, *(f"--set={setting}" for setting in _TINY))
    benchmark = ("--benchmark", str(BENCHMARK))
    knowledge = ("--attack", str(inputs / "attack.json"), "--capec", str(inputs / "capec.json"))
    knowledge += ("--cwe", str(inputs / "cwe.xml"))

    def after(*commands: str) -> Callable[[Path], None]:
        """Have these commands run before, once."""
        kept = work / "-".join(commands)

        def ready(folder: Path) -> None:
            for command in () if kept.is_dir() else commands:
                if _end_of(_forked((command, *recipe), work / "log")):
                    raise SystemExit((work / "log").read_text())
            if kept.is_dir():
                shutil.copytree(kept, folder)
            else:
                shutil.copytree(folder, kept)

        return ready

    return {
        "corpus": Stage(("corpus", *recipe)),
        "synthesis": Stage(("synthesis", *recipe), after("corpus")),
        "train": Stage(("train", *recipe), after("corpus", "synthesis")),
        "evaluate": Stage(
            (
                *("evaluate", "--model", f"model@{server}/v1", "--task", "cti-rcm", "--no-probe"),
                *("--protocol", "smoke", *benchmark, "--out", out),
            )
        ),
        "audit": Stage(
            ("audit", str(inputs / "train.jsonl"), *benchmark, "--allow-missing", "--out", out)
        ),
        "records import": Stage(("records", "import", str(FEED), "--store", f"{out}/r.sqlite")),
        "records update": Stage(
            ("fetch", "records", "--only", "nvd", "--url", server, "--cache", out)
        ),
        "knowledge install": Stage(("knowledge", "install", *knowledge, "--folder", out)),
        "embedded build": Stage(
            (
                *("embedded", "build", "--part", "facts", "--part", "knowledge", *knowledge),
                *(*benchmark, "--out", out),
            )
        ),
    }


class _Upstream(BaseHTTPRequestHandler):
    """A model that gives every prompt its own answer, and the NVD API over the sample feed."""

    protocol_version = "HTTP/1.1"
    log: Path
    records: list[Any]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        code = hashlib.sha256(prompt.encode()).hexdigest()
        text = f"This is {code}.\n\nCWE-{int(code, 16) % 900}"
        with self.log.open("a") as file:
            file.write(json.dumps(text) + "\n")
        time.sleep(_DELAY)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._send({"id": "x", "model": "model", "created": 0, "choices": [choice]})

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        start, size = (int(asked.get(n, ["0"])[0]) for n in ("startIndex", "resultsPerPage"))
        since, until = (asked.get(f"lastMod{end}Date", [""])[0] for end in ("Start", "End"))
        modified = [r for r in self.records if since <= r["cve"]["lastModified"] <= (until or "9")]
        page = modified[start : start + min(size, _PAGE)]
        self._send(
            {
                "startIndex": start,
                "resultsPerPage": len(page),
                "totalResults": len(modified),
                "format": "NVD_CVE",
                "version": "2.0",
                "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
                "vulnerabilities": page,
            }
        )

    def _send(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that were killed."""


def _serve(work: Path) -> tuple[int, str]:
    """Start the server in a process of its own; return its id and address."""
    _Upstream.log = work / "requests.jsonl"
    _Upstream.records = json.loads(FEED.read_text(encoding="utf-8"))["vulnerabilities"]
    server = _Server(("127.0.0.1", 0), _Upstream)
    server.daemon_threads = True
    child = os.fork()
    if not child:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        server.serve_forever()
    server.server_close()
    return child, f"http://127.0.0.1:{server.server_port}"


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _forked(command: tuple[str, ...], log: Path, modules: Path | None = None) -> int:
    """Run a command in a child; `modules` is a file for the names of what it has imported."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        command_line(list(command))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 # it is printed, and the child ends
        import traceback

        traceback.print_exc()
    finally:
        if modules:
            modules.write_text("\n".join(sys.modules))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_of(child: int) -> int:
    """Wait for a child's end and return its exit status, negative after a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _snapshot(folder: Path) -> dict[str, str]:
    """Hash every file, hidden ones too, but for locks, which stay; a store by its rows."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            content = _rows(path) if path.suffix == ".sqlite" else path.read_bytes()
            hashes[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return hashes


def _rows(store: Path) -> bytes:
    """Return what a store holds, without the times at which it was put there."""
    with sqlite3.connect(store) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        lines = []
        for (name,) in tables.fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            kept = [c for c in columns if c not in ("seen", "checked", "cursor", "fetched")]
            chosen = connection.execute(f"SELECT {', '.join(kept)} FROM {name}")
            lines += sorted(f"{name} {row}" for row in chosen)
    return "\n".join(lines).encode()


def _answers(folder: Path) -> dict[str, str]:
    """Return the whole lines of answers that are stored, by item and trial."""
    stored = {}
    for path in folder.glob("evaluation/*/*/trial-*/responses.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            row = json.loads(line)
            stored[f"{path.parent.name} {row['item']}"] = row["text"]
    return stored


def kill_stage(name: str, stage: Stage, work: Path, *, kills: int, rng: random.Random) -> Kills:
    """Kill a stage so many times, in rounds from its beginning to its end."""
    out, log, result = work / "out", work / "log", Kills()
    reference = _reference(stage, work, result)
    while result.kills < kills:
        _begin(stage, out)
        result.rounds += 1
        answered: dict[str, str] = {}
        while True:
            child = _forked(stage.command, log)
            moment = rng.uniform(0, result.seconds * 1.1) if result.kills < kills else None
            if not _killed(child, moment):
                break
            result.kills += 1
            _check_answers(work, answered, result)
        _check_answers(work, answered, result)
        if _STATUS[child] not in _ENDED:
            result.fault(FAILED, _last_line(log))
            continue
        _compare(reference, out, result)
    return result


_STATUS: dict[int, int] = {}  # exit status by child
_ENDED = {0, 3, 4}  # of a stage, and of an audit that found something


def _reference(stage: Stage, work: Path, result: Kills) -> dict[str, str]:
    """Run the stage twice without a kill, and return what it leaves both times."""
    out, log, modules = work / "out", work / "log", work / "modules"
    snapshots = []
    for _ in range(3):  # the first one finds out what is to be imported
        _begin(stage, out)
        started = time.monotonic()
        status = _end_of(_forked(stage.command, log, modules))
        result.seconds = time.monotonic() - started
        if status not in _ENDED:
            raise SystemExit(f"{' '.join(stage.command)}: {status}\n{log.read_text()[-2000:]}")
        snapshots.append(_snapshot(out))
        _import(modules.read_text().split("\n"))
    first, second = snapshots[1:]
    result.varying = sorted(n for n in first.keys() | second if first.get(n) != second.get(n))
    return second


def _import(names: list[str]) -> None:
    for name in names:
        if name not in sys.modules and not name.startswith("__"):
            with suppress(Exception):
                importlib.import_module(name)


def _begin(stage: Stage, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    for left in out.parent.glob(f".{out.name}*"):
        left.unlink()
    (out.parent / "requests.jsonl").unlink(missing_ok=True)
    stage.ready(out)


def _killed(child: int, moment: float | None) -> bool:
    """Kill a child at a moment unless it has ended before."""
    deadline = time.monotonic() + moment if moment is not None else float("inf")
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _STATUS[child] = os.waitstatus_to_exitcode(status)
            return False
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            return True
        time.sleep(0.0005)


def _check_answers(work: Path, answered: dict[str, str], result: Kills) -> None:
    """Note the answers that are stored; those that were may not be gone, nor asked for again."""
    stored, log = _answers(work / "out"), work / "requests.jsonl"
    for key, text in answered.items():
        if stored.get(key) != text:
            result.fault(LOST, key)
    asked = log.read_text().splitlines() if log.is_file() else []
    for line in asked:
        if json.loads(line) in answered.values():
            result.fault(TWICE, line[:80])
    log.unlink(missing_ok=True)
    answered.update(stored)


def _compare(reference: dict[str, str], out: Path, result: Kills) -> None:
    found = _snapshot(out)
    for name in sorted(found.keys() | reference):
        if name in result.varying:
            continue
        if name not in reference:
            result.fault(LEFT, name)
        elif found.get(name) != reference[name]:
            result.fault(OTHER, name)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def report(results: dict[str, Kills]) -> str:
    """Render what was counted, and below it the first fault of each kind."""
    kinds = (FAILED, LOST, TWICE, OTHER, LEFT)
    rows = [
        (
            name,
            f"{r.kills:,}",
            f"{r.rounds:,}",
            f"{r.seconds:.1f}",
            *(f"{r.faults[kind]:,}" for kind in kinds),
        )
        for name, r in results.items()
    ]
    header = ("stage", "kills", "rounds", "seconds of one run", *kinds)
    notes = [
        f"{name}: {kind}: {what}" for name, r in results.items() for kind, what in r.first.items()
    ]
    notes += [
        f"{name}: differ also without a kill: {', '.join(r.varying)}"
        for name, r in results.items()
        if r.varying
    ]
    return "\n".join([table(header, rows, right=tuple(range(1, 9))), "", *notes])


def main(given: Any) -> int:
    """Run the command; the exit status is 1 where anything went wrong."""
    os.environ["NVD_API_KEY"] = "a-key"  # the rate limit is upstream's
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        work = Path(folder)
        os.environ["CYBERSECQWEN_CACHE"] = str(work / "cache")
        server, address = _serve(work)
        try:
            results = {}
            known = stages(work, address)
            if unknown := sorted(set(given.stage) - set(known)):
                raise SystemExit(f"no stage {unknown[0]!r}; there are {', '.join(known)}")
            for name, stage in known.items():
                if not given.stage or name in given.stage:
                    rng = random.Random(f"{given.seed} {name}")
                    results[name] = kill_stage(name, stage, work, kills=given.kills, rng=rng)
                    print(f"{name}: {results[name]}", file=sys.stderr, flush=True)
        finally:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
    print(report(results))
    return int(any(result.faults for result in results.values()))
