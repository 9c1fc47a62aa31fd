"""Put the items of a task to an engine, trial by trial, and keep every answer.

Answers are appended as they come, so a killed evaluation goes on where it stopped; an
engine's failure ends it without a score, never as wrong answers.

    evaluation/cti-rcm/model-card/trial-0/responses.jsonl   one answer a line
    evaluation/cti-rcm/model-card/trial-0/scores.json
    evaluation/cti-rcm/model-card/scores.json               the trials together
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from cybersecqwen.benchmark.details import details
from cybersecqwen.benchmark.progress import Running
from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.benchmark.requests import asked, requests
from cybersecqwen.benchmark.score import extractor, is_correct, refuse_goldless, score
from cybersecqwen.benchmark.subject import Subject
from cybersecqwen.benchmark.summary import summarise
from cybersecqwen.benchmark.tasks import Task, find_task, open_task
from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.files import Json, read_jsonl, sha256_file, write_json, write_jsonl
from cybersecqwen.manifest import make_stage
from cybersecqwen.records import Item, Request, Response
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources.ctibench import read_items, tasks_in

_log = logging.getLogger(__name__)

_PROBED = 3  # items whose prompts a server is tried with
_RESPONSE = TypeAdapter(Response)
_FIELDS = tuple(field.name for field in fields(Response))

# Of the published benchmark: a hash over links, prompts and golds, which re-quoting a TSV or
# another white space does not change.
_PUBLISHED = {
    "cti-mcq": "a6b51d23debc8a111660a217e70f3b8c433cc31de55dc4aac710cba6615af960",
    "cti-rcm": "3d693a7a1a77351d864ecbd68ec06dd66d08a3455003b0b5bf123e2b6623d896",
}


def evaluate(
    subject: Subject, task: str, protocol: Protocol, *, benchmark: Path, out: Path
) -> None:
    """Answer and score every trial of a task into `out`/evaluation/<task>/<protocol>.

    Raises EngineError when the model fails, with every answer so far kept: the same call
    goes on from there.
    """
    extractor(find_task(task), protocol)
    facts = benchmark_facts(benchmark)
    made_from = {
        "config": {"protocol": protocol.settings(), "kind": subject.kind},
        "inputs": {"model": subject.identity, "benchmark": facts["sha256"].get(f"{task}.tsv")},
    }

    def make(folder: Path) -> None:
        opened, items = open_task(task, benchmark), read_items(benchmark, task)
        refuse_goldless(items)  # now, not after every item was asked
        _probe(subject, protocol, items, folder / "probe.json")
        responses = _answered(subject, opened, items, protocol, folder)
        scored = score(opened, protocol, items, responses, kind=subject.kind)
        summary = summarise(scored)
        for row in summary["trials"]:
            write_json(folder / f"trial-{row['trial']}" / "scores.json", row)
        facts_of_run = {
            "model": subject.name,
            "kind": subject.kind,
            "engine": subject.engine.describe(),
            "benchmark": facts,
        }
        write_json(folder / "scores.json", summary | {"details": details(scored)} | facts_of_run)

    make_stage(out / "evaluation" / task / protocol.name, made_from, make)


def _probe(subject: Subject, protocol: Protocol, items: Sequence[Item], path: Path) -> None:
    """Find out what a server honours before it is asked, by the first items' own prompts."""
    if subject.probe is None or path.exists():
        return
    wanted = requests(protocol, items, kind=subject.kind, trial=0)[:_PROBED]
    texts = [r.prompt if isinstance(r.prompt, str) else r.prompt[-1][1] for r in wanted]
    found = subject.probe(texts)
    write_json(path, found)
    for check in found["checks"]:
        if check["status"] == "failed":
            said = (subject.name, check["name"], check["evidence"])
            _log.warning("%s: the server fails the check of %s: %s", *said)


def benchmark_facts(folder: Path) -> Json:
    """Name a benchmark folder and the checksums of its task files.

    It is "cti-bench" when it holds the published items of cti-mcq or cti-rcm and no other
    ones; scores on anything else do not compare with published ones.
    """
    present = tasks_in(folder)
    known = [
        _fingerprint(read_items(folder, task)) == sha256
        for task, sha256 in _PUBLISHED.items()
        if task in present
    ]
    published = bool(known) and all(known)
    name = "cti-bench" if published else "sample" if folder.resolve() == BENCHMARK else "custom"
    return {"name": name, "sha256": {f"{t}.tsv": sha256_file(folder / f"{t}.tsv") for t in present}}


def _fingerprint(items: Sequence[Item]) -> str:
    lines = "".join(f"{item.url}\t{' '.join(item.prompt.split())}\t{item.gold}\n" for item in items)
    return hashlib.sha256(lines.encode()).hexdigest()


def _answered(
    subject: Subject, task: Task, items: Sequence[Item], protocol: Protocol, folder: Path
) -> dict[int, list[Response]]:
    """Ask every trial for what it does not hold yet, and give all its responses by trial."""
    return {
        trial: _trial(subject, task, items, protocol, trial=trial, folder=folder)
        for trial in range(len(protocol.seeds))
    }


def _trial(
    subject: Subject,
    task: Task,
    items: Sequence[Item],
    protocol: Protocol,
    *,
    trial: int,
    folder: Path,
) -> list[Response]:
    path = folder / f"trial-{trial}" / "responses.jsonl"
    wanted = requests(protocol, items, kind=subject.kind, trial=trial)
    keys = {request.item: key_of(subject.identity, request) for request in wanted}
    answered = _stored(path, keys) if path.exists() else {}
    pending = [request for request in wanted if request.item not in answered]
    if not pending:
        return sorted(answered.values(), key=lambda response: response.item)
    shown = {i.index: i for i in asked(protocol, items, kind=subject.kind, trial=trial)}
    running = Running(
        f"{task.name} trial {trial + 1}/{len(protocol.seeds)}",
        len(wanted),
        lambda response: is_correct(task, protocol, shown[response.item], response.text),
    )
    with running, _appending(path) as append:
        for response in answered.values():
            running.count(response)
        for response in subject.engine.generate(pending):
            append(_row(response, keys[response.item]))
            answered[response.item] = response
            running.tell(response)
    # Engines answer in the order of their convenience; a whole trial is kept in that of the items.
    ordered = sorted(answered.values(), key=lambda response: response.item)
    write_jsonl(path, (_row(response, keys[response.item]) for response in ordered))
    return ordered


def key_of(model: Json, request: Request) -> str:
    """Name a request by everything that an answer to it depends on, as 16 hex digits.

    That is the model, the prompt, the item, the trial and every field of the sampling.
    """
    asked_for = json.dumps([model, asdict(request)], sort_keys=True)
    return hashlib.sha256(asked_for.encode()).hexdigest()[:16]


def _row(response: Response, key: str) -> Json:
    """Give a response as it is stored, with the key of its request."""
    return {name: getattr(response, name) for name in _FIELDS} | {"key": key}


def _stored(path: Path, keys: dict[int, str]) -> dict[int, Response]:
    """Read the answers of a begun trial; raises StageError for one to another request."""
    _cut_torn_line(path)
    answers = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        response = _validated(row, where=f"{path}:{number}")
        if row.get("key") != keys.get(response.item):
            raise StageError(
                f"item {response.item} was answered to another request: the model, the prompt "
                "or the sampling differ",
                where=f"{path}:{number}",
                tip="choose another --out, or delete the folder to ask again",
            )
        answers[response.item] = response
    return answers


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[Json], None]]:
    """Append rows to a file, each whole on disk before the next; no file without a row."""
    with ExitStack() as opened:
        files: list[IO[str]] = []

        def append(row: Json) -> None:
            with _writing(path):
                if not files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files.append(opened.enter_context(path.open("a", encoding="utf-8")))
                files[0].write(json.dumps(row, ensure_ascii=False) + "\n")
                files[0].flush()

        yield append


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CyberSecQwenError(
            f"cannot write: {error.strerror}",
            where=path,
            tip="free some space and run the same command again, it goes on from here",
        ) from error


def read_responses(path: Path) -> list[Response]:
    """Read stored answers; raises InputError with file and line where a row is none."""
    rows = enumerate(read_jsonl(path), start=1)
    return [_validated(row, where=f"{path}:{number}") for number, row in rows]


def _validated(row: Json, *, where: str) -> Response:
    try:
        return _RESPONSE.validate_python(row)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"no response: {'.'.join(map(str, first['loc']))} {first['msg']}"
        raise InputError(what, where=where) from error


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole > 0:
            file.seek(whole - 1)
            if file.read(1) == b"\n":
                break
            whole -= 1
        if whole < end:
            file.truncate(whole)
