"""Logs of a model's responses: generate what they do not hold yet, and keep each as it comes.

    responses = generate_missing(model, {path: requests}, progress=progress)[path]

A file is JSONL, one response a line with the key of its request and a checksum of the line. A
killed or failed run leaves what was answered, and the same call goes on with the rest: what is
damaged is asked for again, and a file of answers to other requests is refused. Lines of version 0.1
have no checksum.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from time import monotonic
from typing import IO

from pydantic import TypeAdapter, ValidationError

from cybersecqwen.engines.interface import Model, failure_reason
from cybersecqwen.engines.openai_api import tokens
from cybersecqwen.engines.progress_bar import ProgressBar
from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.files import Json, parse_line, read_jsonl, readable, write_text
from cybersecqwen.records import Request, Response

_log = logging.getLogger(__name__)

_RESPONSE = TypeAdapter(Response)
_COLUMNS = {field.name for field in fields(Response)} | {"key", "checksum"}
_SYNC = 1.0  # seconds of answers that a power failure may cost

_Place = tuple[int, int]  # item and trial


def generate_missing(
    model: Model, logs: Mapping[Path, Sequence[Request]], *, progress: ProgressBar
) -> dict[Path, list[Response]]:
    """Generate the responses that files lack, and return all of each by item and trial.

    The requests of all files are one call of the engine, item by item; no two of them have the
    same item and trial. Raises EngineError when the model fails, with every response so far kept;
    StageError when a file answers other requests or another model's.
    """
    places = {(r.item, r.trial): path for path, requests in logs.items() for r in requests}
    requested = sorted((r for rows in logs.values() for r in rows), key=lambda r: r.item)
    keys = {(r.item, r.trial): request_key(model.identity, r) for r in requested}
    answered: dict[_Place, Response] = {}
    for path in logs:
        if path.exists():
            answered |= _stored(path, {p: key for p, key in keys.items() if places[p] == path})
    pending = [r for r in requested if (r.item, r.trial) not in answered]
    if pending:
        with progress, ExitStack() as files:
            append = {path: files.enter_context(_appending(path)) for path in logs}
            for response in answered.values():
                progress.count(response)
            for response in model.engine.generate(pending):
                place = response.item, response.trial
                append[places[place]](_row(response, keys[place]))
                answered[place] = response
                progress.tell(response)
    ordered: dict[Path, list[Response]] = {path: [] for path in logs}
    for place in sorted(answered):
        ordered[places[place]].append(answered[place])
    for path, responses in ordered.items():
        _put_in_order(path, [_row(r, keys[r.item, r.trial]) for r in responses])
    return ordered


def _put_in_order(path: Path, rows: list[Json]) -> None:
    """Write a whole file by item: engines answer in the order of their convenience.

    A run that was killed right before this finds nothing pending, and does it.
    """
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if lines and path.read_bytes() != lines.encode():
        write_text(path, lines)


def request_key(identity: Json, request: Request) -> str:
    """Name a request by everything that an answer to it depends on, as 16 hex digits.

    That is the model, the prompt, the item, the trial and every field of the sampling.
    """
    facts = json.dumps([identity, asdict(request)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def read_responses(path: Path) -> list[Response]:
    """Read stored answers; raises InputError with file and line where a row is none."""
    rows = enumerate(read_jsonl(path), start=1)
    return [_validated(row, where=f"{path}:{number}") for number, row in rows]


def _row(response: Response, key: str) -> Json:
    """Return a response as it is stored, with the key of its request and a checksum."""
    apart = {name for name in ("reasoning", "refusal") if not getattr(response, name)}
    row = {name: value for name, value in asdict(response).items() if name not in apart}
    row["key"] = key
    return row | {"checksum": _checksum(row)}


def _checksum(row: Json) -> str:
    summed = json.dumps({k: v for k, v in row.items() if k != "checksum"}, sort_keys=True)
    return hashlib.sha256(summed.encode()).hexdigest()[:16]


def _stored(path: Path, keys: dict[_Place, str]) -> dict[_Place, Response]:
    """Read the answers of a begun file; raises StageError for one to another request."""
    _cut_torn_line(path)
    answers, damaged = {}, []
    for where, line in _lines(path):
        try:
            row = parse_line(line, where=where)
            response = _validated(row, where=where)
        except InputError as error:
            damaged.append(error)
            continue
        place = response.item, response.trial
        if row.get("key") != keys.get(place):
            raise StageError(
                f"item {response.item} was answered to another request: the model, the prompt "
                "or the sampling differ",
                where=where,
                tip="choose another --out, or delete the folder to ask again",
            )
        answers[place] = response
    if damaged:
        _log.warning("%s; asked again, with %d more such lines", damaged[0], len(damaged) - 1)
    # What was given up is tried again: the reason may be gone.
    return {place: response for place, response in answers.items() if not failure_reason(response)}


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    with readable(path), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", line


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[Json], None]]:
    """Append rows to a file, each whole before the next; no file without a row."""
    with ExitStack() as opened:
        files: list[IO[str]] = []
        synced = monotonic()

        def append(row: Json) -> None:
            nonlocal synced
            with _writing(path):
                if not files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files.append(path.open("a", encoding="utf-8"))
                    opened.callback(_close, files[0], path)
                files[0].write(json.dumps(row, ensure_ascii=False) + "\n")
                files[0].flush()  # a killed process loses nothing
                if monotonic() - synced > _SYNC:
                    os.fsync(files[0].fileno())
                    synced = monotonic()

        yield append


def _close(file: IO[str], path: Path) -> None:
    with _writing(path):  # what a full disk refused is tried again
        file.close()


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


def _validated(row: Json, *, where: str) -> Response:
    """Make a response of a stored row; raises InputError for one that is none, or was changed."""
    if not row.keys() <= _COLUMNS or row.get("checksum", _checksum(row)) != _checksum(row):
        raise InputError("this stored answer is damaged: its checksum differs", where=where)
    try:
        response = _RESPONSE.validate_python(row)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"no response: {'.'.join(map(str, first['loc']))} {first['msg']}"
        raise InputError(what, where=where) from error
    counts = tokens(response.prompt_tokens), tokens(response.completion_tokens)
    return replace(response, prompt_tokens=counts[0], completion_tokens=counts[1])


def _cut_torn_line(path: Path) -> None:
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
