"""Give damaged files to every reader, and count what becomes of their rows.

Each reader is run in a child of this process, so that one that crashes or hangs costs one input.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pickle
import random
import re
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mutations
from click.testing import CliRunner, Result
from mutations import Seeds, mutate

from cybersecqwen.cli import main as command_line
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.reports.markdown import table
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources import FEEDS
from cybersecqwen.sources.feed import Feed

_PATIENCE = 60.0  # seconds for one input
_MEMORY = 8 << 30  # bytes of address space
_MORE = re.compile(r"and ([\d,]+) more")
_UNREAD = re.compile(r"nothing (up to|below|from)|was read|not read|left out")

READ, REFUSED, TRACEBACK, LOST = "read", "refused", "traceback", "silent loss"


class Outcome(NamedTuple):
    """What became of one input: its kind, and where it went wrong a line that says how."""

    kind: str
    said: str = ""


@dataclass(frozen=True)
class Reader:
    """One way into the program: its seeds, and what reads a file.

    `read` calls a function, which raises. `command` is one of the command line, which takes the
    file's path, or the file as standard input where it has no place for a path. `answered`
    counts the rows that a command has answered or named in its output.
    """

    seeds: Seeds
    read: Callable[[Path], object] | None = None
    command: tuple[str, ...] = ()
    answered: Callable[[Result], int] | None = None


_PATH = "FILE"


def readers(work: Path) -> dict[str, Reader]:
    """Return every reader by its name; `work` is a folder for what they write."""
    feeds = mutations.feeds()
    missing = [name for name, feed in FEEDS.items() if feed.read and name not in feeds]
    if missing:
        raise SystemExit(f"mutations.feeds has no file of {', '.join(missing)}")
    benchmark = ("--benchmark", str(BENCHMARK))
    known = {
        f"feed {name}": Reader(feeds[name], read=partial(_read_feed, feed))
        for name, feed in FEEDS.items()
        if feed.read
    }
    vulnerabilities = {
        file: data for name in ("nvd", "cvelist", "table") for file, data in feeds[name].items()
    }
    knowledge = ("knowledge", "install", "--folder", str(work / "index"))
    store = str(work / "into.sqlite")
    return known | {
        "recognised feed": Reader(
            {
                file: data
                for name, seeds in feeds.items()
                for file, data in seeds.items()
                if FEEDS[name].kind is Vulnerability
            },
            read=_records_of,
        ),
        "records import": Reader(
            vulnerabilities,
            command=("records", "import", _PATH, "--store", store, "--json"),
            answered=_imported,
        ),
        "record store": Reader(
            feeds["recordstore"],
            command=("records", "since", "2000-01-01", "--store", _PATH),
            answered=_lines,
        ),
        "record store, status": Reader(
            feeds["recordstore"], command=("records", "status", "--store", _PATH)
        ),
        "classify": Reader(
            mutations.texts(), command=("classify", "--json", _PATH), answered=_lines
        ),
        "classify, records": Reader(
            vulnerabilities | feeds["recordstore"],
            command=("classify", "--json", _PATH),
            answered=_lines,
        ),
        "classify, stdin": Reader(
            mutations.texts(), command=("classify", "--json"), answered=_lines
        ),
        "classify, CSV": Reader(mutations.texts(), command=("classify", "--csv", _PATH)),
        "ask": Reader(
            mutations.questions(), command=("ask", "--json", "--items", _PATH), answered=_lines
        ),
        "ask, stdin": Reader(
            {"items.jsonl": mutations.questions()["items.jsonl"]},
            command=("ask", "--json"),
            answered=_lines,
        ),
        "audit": Reader(
            mutations.training() | {"nvd.json": mutations.nvd()},
            command=(
                *("audit", _PATH, *benchmark, "--allow-missing", "--allow-unreadable", "--json"),
                *("--out", str(work / "audit")),
            ),
            answered=_audited,
        ),
        "audit, strict": Reader(
            mutations.training(), command=("audit", _PATH, *benchmark, "--allow-missing", "--json")
        ),
        "overlap": Reader(
            mutations.training(),
            command=("overlap", str(_evaluation(work)), "--corpus", _PATH, *benchmark, "--json"),
        ),
        "certificate verify, rows": Reader(
            mutations.training(),
            command=(
                "certificate",
                "verify",
                str(_certificate(work)),
                "--train",
                _PATH,
                *benchmark,
            ),
        ),
        "certificate": Reader(
            {"certificate.json": _certificate(work).read_bytes()},
            command=(
                *(
                    "certificate",
                    "verify",
                    _PATH,
                    "--train",
                    str(_certificate(work).parent / "t.jsonl"),
                ),
                *benchmark,
            ),
        ),
        "score": Reader(
            mutations.recordings(),
            command=(
                "score",
                _PATH,
                "--task",
                "cti-rcm",
                *benchmark,
                "--protocol",
                "smoke",
                "--json",
            ),
            answered=_scored,
        ),
        "sensitivity": Reader(
            mutations.recordings(),
            command=("sensitivity", _PATH, "--task", "cti-rcm", *benchmark, "--json"),
        ),
        "resume": Reader(_stored_answers(work), read=_resume),
        "score, run": Reader(
            {
                name: (_evaluation(work) / "evaluation/cti-rcm/smoke" / name).read_bytes()
                for name in ("manifest.json", "scores.json", "trial-0/responses.jsonl")
            },
            read=lambda path: _score_run(path, _evaluation(work)),
        ),
        "recipe": Reader(_toml("recipes/smoke.toml"), read=_recipe),
        "series": Reader(_toml("recipes/series/smoke.toml"), read=_series),
        "knowledge install, attack": Reader(
            feeds["attack-enterprise"], command=(*knowledge, "--attack", _PATH)
        ),
        "knowledge install, capec": Reader(feeds["capec"], command=(*knowledge, "--capec", _PATH)),
        "knowledge install, cwe": Reader(feeds["cwe"], command=(*knowledge, "--cwe", _PATH)),
        "embedded artifacts": Reader(_artifacts(), read=_load_artifact),
        "installed knowledge": Reader(_index(work), read=_load_artifact),
        "benchmark": Reader(mutations.task_files(), read=_read_benchmark),
        "classify --records": Reader(
            vulnerabilities,
            command=("classify", "--json", "CVE-2021-90000000", "--records", _PATH),
        ),
    }


def _read_feed(feed: Feed, path: Path) -> None:
    """Read a feed; raises LossError where records were neither read nor reported."""
    _account(path, lambda report: feed.read(path, report) if feed.read else ())


def _records_of(path: Path) -> None:
    from cybersecqwen.sources import read_vulnerabilities

    _account(path, lambda report: read_vulnerabilities(path, report))


def _account(path: Path, read: Callable[[Report], Iterable[Any]]) -> None:
    reported: list[CyberSecQwenError] = []
    count = sum(1 for one in read(reported.append) if isinstance(one, Vulnerability))
    expected = count_rows(path.name, path.read_bytes())
    if not count and reported:
        raise reported[0]
    if count and expected is not None and count + len(reported) < expected:
        raise LossError(f"{count} read and {len(reported)} reported of {expected} records")


def _lines(result: Result) -> int:
    return sum(1 for line in result.stdout.splitlines() if line.strip())


def _imported(result: Result) -> int:
    return sum(row["received"] for row in json.loads(result.stdout or "[]"))


def _audited(result: Result) -> int:
    summary = json.loads(result.stdout) if result.stdout.strip() else {}
    return sum(summary.get(name, 0) for name in ("train_rows", "unreadable_rows")) + len(
        summary.get("passed_over", ())
    )


def _scored(result: Result) -> int:
    row = json.loads(result.stdout) if result.stdout.strip() else {}
    return int(row.get("answered", row.get("items", 0)) or 0) if isinstance(row, dict) else 0


def _ready(*arguments: str) -> None:
    result = CliRunner().invoke(command_line, arguments)
    if result.exit_code not in (0, 3, 4):
        raise SystemExit(f"{' '.join(arguments)}:\n{result.output}\n{result.exception!r}")


def _evaluation(work: Path) -> Path:
    """Make a run folder with an evaluation, once."""
    run = work / "evaluation"
    if not run.is_dir():
        _ready(
            *("evaluate", "--model", "embedded", "--task", "cti-rcm", "--protocol", "smoke"),
            *("--benchmark", str(BENCHMARK), "--out", str(run)),
        )
    return run


def _certificate(work: Path) -> Path:
    """Audit a training file, once, and return its certificate."""
    folder = work / "certified"
    if not folder.is_dir():
        folder.mkdir()
        train = folder / "t.jsonl"
        train.write_bytes(mutations.training()["train.jsonl"])
        _ready(
            *("audit", str(train), "--benchmark", str(BENCHMARK), "--allow-missing"),
            *("--out", str(folder)),
        )
    return folder / "certificate.json"


def _stored_answers(work: Path) -> Seeds:
    path = _evaluation(work) / "evaluation/cti-rcm/smoke/trial-0/responses.jsonl"
    return {path.name: path.read_bytes()}


def _resume(path: Path) -> None:
    """Go on with a begun evaluation; every item has one answer at the end."""
    work = path.parent / "resumed"
    shutil.copytree(_RUN[0], work)
    folder = work / "evaluation/cti-rcm/smoke"
    made_from = json.loads((folder / "manifest.json").read_text())["made_from"]
    (folder / "manifest.json").unlink()
    (folder.parent / f".{folder.name}.begun.json").write_text(json.dumps({"made_from": made_from}))
    stored = folder / "trial-0" / "responses.jsonl"
    whole = stored.read_bytes()
    stored.write_bytes(path.read_bytes())
    _invoke_raising(
        *("evaluate", "--model", "embedded", "--task", "cti-rcm", "--protocol", "smoke"),
        *("--benchmark", str(BENCHMARK), "--out", str(work)),
    )
    if _parsed(stored.read_bytes()) != _parsed(whole):
        raise LossError("the answers at the end are others than those of a whole run")


def _parsed(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines() if line.strip()]


_RUN: list[Path] = []  # the run that is resumed


class LossError(Exception):
    """Something was lost without a word."""


def _invoke_raising(*arguments: str) -> str:
    """Run a command; raises what it raised, and CyberSecQwenError where it refuses."""
    result = _invoke(arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        raise CyberSecQwenError(result.stderr.strip().rpartition("\n")[2])
    return result.stdout


def _score_run(path: Path, run: Path) -> None:
    work = path.parent / "scored"
    shutil.copytree(run, work)
    folder = work / "evaluation/cti-rcm/smoke"
    shutil.copy(path, folder / ("trial-0" if "responses" in path.name else "") / path.name)
    _invoke_raising("score", str(work), "--benchmark", str(BENCHMARK), "--json")
    _invoke_raising(
        *("compare", str(work), str(run), "--benchmark", str(BENCHMARK)),
        *("--out", str(path.parent / "comparison")),
    )


def _toml(name: str) -> Seeds:
    path = Path(__file__).parents[1] / name
    return {path.name: path.read_bytes()}


def _recipe(path: Path) -> object:
    from cybersecqwen.config import load_recipe

    return load_recipe(path)


def _series(path: Path) -> object:
    return _invoke_raising("series", str(path), "--dry-run", "--out", str(path.parent / "series"))


def _artifacts() -> Seeds:
    from cybersecqwen.artifacts import FOLDER

    return {
        name: (FOLDER / name).read_bytes()
        for name in ("cwe-classifier.npz", "cwe.json", "knowledge.npz", "ranker.json")
    }


def _index(work: Path) -> Seeds:
    """Install an index of small feeds, whose file is not mostly compressed postings."""
    folder = work / "seed-index"
    if not folder.is_dir():
        (work / "a.json").write_bytes(mutations.attack("enterprise"))
        _ready("knowledge", "install", "--attack", str(work / "a.json"), "--folder", str(folder))
    return {"knowledge.npz": next(folder.glob("knowledge-*.npz")).read_bytes()}


def _load_artifact(path: Path) -> None:
    """Load an artifact whose certificate is right, so that its reader sees the damage."""
    from cybersecqwen.artifacts import save
    from cybersecqwen.cwe.catalogue import load_catalogue
    from cybersecqwen.embedded.classifier import CweClassifier
    from cybersecqwen.embedded.knowledge import KnowledgeIndex
    from cybersecqwen.embedded.option_ranker import load_ranker

    folder = path.parent / "data"
    save(folder, path.name, path.read_bytes(), {})
    if path.name == "cwe.json":
        load_catalogue(folder)
    elif path.name == "cwe-classifier.npz":
        CweClassifier.load(folder).predict([mutations.FLAWS[0][0]])
    elif path.name == "ranker.json":
        load_ranker(folder / path.name)
    elif path.name == "knowledge.npz":
        KnowledgeIndex.load(folder / path.name).search("commands of a shell")


def _read_benchmark(path: Path) -> None:
    from cybersecqwen.benchmark.tasks import open_task, read_benchmark

    folder = path.parent / "benchmark"
    folder.mkdir()
    for name, data in mutations.task_files().items():
        (folder / name).write_bytes(data)
    shutil.copy(path, folder / path.name)
    read_benchmark(folder)
    open_task("cti-taa", folder)


def _invoke(arguments: tuple[str, ...], stdin: bytes | None = None) -> Result:
    logging.getLogger().handlers.clear()  # one is bound to the output of the command before
    return CliRunner().invoke(command_line, arguments, input=stdin)


def run_one(reader: Reader, path: Path) -> Outcome:
    """Give one file to a reader."""
    data = path.read_bytes()
    try:
        if reader.read:
            reader.read(path)
            return Outcome(READ)
        on_stdin = _PATH not in reader.command
        given = tuple(str(path) if word == _PATH else word for word in reader.command)
        result = _invoke(given, data if on_stdin else None)
    except CyberSecQwenError as error:
        return Outcome(REFUSED, str(error))
    except LossError as error:
        return Outcome(LOST, str(error))
    except Exception as error:  # noqa: BLE001 # that is what is looked for
        return Outcome(TRACEBACK, _last_frames(error))
    return _judged(reader, result, path.name, data)


def _judged(reader: Reader, result: Result, name: str, data: bytes) -> Outcome:
    if result.exception and not isinstance(result.exception, SystemExit):
        return Outcome(TRACEBACK, _last_frames(result.exception))
    if "Traceback (most recent" in result.stderr:
        return Outcome(TRACEBACK, result.stderr[-300:])
    said = [line for line in result.stderr.splitlines() if line.strip()]
    answered = reader.answered(result) if reader.answered else 0
    if result.exit_code and not said and not result.stdout.strip():
        return Outcome(LOST, f"exit status {result.exit_code} without a word")
    refused = bool(result.exit_code) and not result.stdout.strip()
    expected = count_rows(name, data)
    if reader.answered and expected is not None and not refused:
        named = sum(line.startswith("cybersecqwen:") for line in said)
        named += sum(int(more.replace(",", "")) for more in _MORE.findall(result.stderr))
        whole = f"{name}: " in result.output  # an error of the file, and of no row in it
        if answered + named < expected and not whole and not _UNREAD.search(result.output):
            return Outcome(LOST, f"{answered} answered and {named} named of {expected} rows")
    return Outcome(REFUSED if refused else READ, said[-1] if said else "")


def _last_frames(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "cybersecqwen" in f.filename]
    place = (
        f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
    )
    return f"{type(error).__name__} in {place}: {' '.join(str(error).split())[:120]}"


def count_rows(name: str, data: bytes) -> int | None:
    """Count the rows of a file independently of the readers; None where that cannot be known."""
    ending = Path(name).suffix
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if ending in (".jsonl", ".ndjson") and not text.startswith(("{\n", "[")):  # JSON so named
        return sum(1 for line in text.split("\n") if line.strip())
    if ending == ".csv" and '"' not in text and "\r" not in text:
        with suppress(csv.Error):
            return max(0, sum(1 for row in csv.reader(io.StringIO(text)) if row) - 1)
    if ending == ".json":
        with suppress(ValueError, RecursionError):
            listed = json.loads(text)
            listed = listed.get("vulnerabilities") if isinstance(listed, dict) else None
            return len(listed) if isinstance(listed, list) else None
    return None


# Running them.


@dataclass
class Tally:
    """What became of the inputs of one reader."""

    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[int, str, str, list[str]]] = field(default_factory=list)


def fuzz(names: list[str], *, inputs: int, seed: int, keep: Path | None) -> dict[str, Tally]:
    """Give `inputs` damaged files to the readers in turn, and tally what became of them."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        work = Path(folder)
        os.environ["CYBERSECQWEN_CACHE"] = str(work / "cache")
        chosen = readers(work)
        chosen = {n: r for n, r in chosen.items() if not names or any(w in n for w in names)}
        _RUN[:] = [_evaluation(work)]
        _warm_up()
        share = -(-inputs // len(chosen))
        tallies = {}
        for name, reader in chosen.items():
            _check_seeds(name, reader, work)
            tallies[name] = tally = Tally()
            for number, outcome, ways in _outcomes(name, reader, range(share), seed, work):
                tally.kinds[outcome.kind] += 1
                if outcome.kind in (TRACEBACK, LOST):
                    tally.wrong.append((number, outcome.kind, outcome.said, ways))
                    if keep:
                        file, data, _ = _input(name, reader, number, seed)
                        keep.mkdir(parents=True, exist_ok=True)
                        kept = f"{re.sub('[^a-z]+', '-', name)}-{number}-{Path(file).name}"
                        (keep / kept).write_bytes(data)
            print(f"{name}: {dict(tally.kinds)}", file=sys.stderr, flush=True)
        return tallies


def _warm_up() -> None:
    """Load what every child would load."""
    for arguments in (("classify", "--json", mutations.FLAWS[0][0]), ("ask", "What is CWE-79?")):
        _ready(*arguments)


def _check_seeds(name: str, reader: Reader, work: Path) -> None:
    """Refuse to go on where a reader does not read its own seeds: it would test nothing."""
    for file, data in reader.seeds.items():
        outcome = run_one(reader, _laid_out(file, data, work))
        if outcome.kind != READ:
            raise SystemExit(
                f"{name} does not read its seed {file}: {outcome.kind}: {outcome.said}"
            )


def _laid_out(file: str, data: bytes, work: Path) -> Path:
    """Write an input to a folder of its own, and remove what the one before has left."""
    for left in ("audit", "into.sqlite", "index", "input"):
        shutil.rmtree(work / left, ignore_errors=True)
        (work / left).unlink(missing_ok=True)
    path = work / "input" / Path(file).name
    path.parent.mkdir()
    path.write_bytes(data)
    return path


def _input(name: str, reader: Reader, number: int, seed: int) -> tuple[str, bytes, list[str]]:
    rng = random.Random(f"{seed} {name} {number}")
    file = rng.choice(list(reader.seeds))
    return mutate(file, reader.seeds[file], rng)


def _outcomes(
    name: str, reader: Reader, numbers: range, seed: int, work: Path
) -> Iterator[tuple[int, Outcome, list[str]]]:
    """Yield the outcome of each input; a child that dies or hangs is replaced."""
    pending = list(numbers)
    while pending:
        ready, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(ready)
            _child(name, reader, pending, seed, work, writer)
        os.close(writer)
        with os.fdopen(ready, "rb") as results:
            while pending:
                if not select.select([results], [], [], _PATIENCE)[0]:
                    os.kill(child, signal.SIGKILL)
                    ending = f"no end after {_PATIENCE:.0f} s"
                    break
                size = results.read(4)
                if len(size) < 4:
                    ending = "the process died"
                    break
                outcome = pickle.loads(results.read(struct.unpack("<I", size)[0]))
                number = pending.pop(0)
                yield number, outcome, _input(name, reader, number, seed)[2]
        status = os.waitpid(child, 0)[1]
        if pending:
            number = pending.pop(0)
            said = f"{ending}, signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else ending
            yield number, Outcome(TRACEBACK, said), _input(name, reader, number, seed)[2]


def _child(
    name: str, reader: Reader, numbers: list[int], seed: int, work: Path, writer: int
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    for number in numbers:
        file, data, _ = _input(name, reader, number, seed)
        sent = pickle.dumps(run_one(reader, _laid_out(file, data, work)))
        os.write(writer, struct.pack("<I", len(sent)) + sent)
    os._exit(0)


def report(tallies: dict[str, Tally]) -> str:
    """Render the counts, and below them what went wrong."""
    kinds = (READ, REFUSED, TRACEBACK, LOST)
    rows = [
        (name, f"{t.kinds.total():,}", *(f"{t.kinds[kind]:,}" for kind in kinds))
        for name, t in tallies.items()
    ]
    totals = [sum(t.kinds[kind] for t in tallies.values()) for kind in kinds]
    rows.append(("all", f"{sum(totals):,}", *(f"{total:,}" for total in totals)))
    header = ("reader", "inputs", "read", "refused", "tracebacks", "silent losses")
    wrong = [
        f"{name} {number} ({'+'.join(ways)}): {kind}: {said}"
        for name, tally in tallies.items()
        for number, kind, said, ways in tally.wrong
    ]
    return "\n".join([table(header, rows, right=(1, 2, 3, 4, 5)), "", *wrong])


def main(given: Any) -> int:
    """Run the command; the exit status is 1 where anything went wrong."""
    tallies = fuzz(given.reader, inputs=given.inputs, seed=given.seed, keep=given.keep)
    print(report(tallies))
    return int(any(tally.wrong for tally in tallies.values()))
