r"""Answers recorded earlier, by this project or by anyone else, as an engine.

A recording is a JSONL file, or a folder with such files in it at any depth, as
the trials of a run are. A line holds `item` (the 0-based position in the task
file), `text`, and `trial` where there was more than one:

    {"item": 0, "trial": 2, "text": "The flaw is an out-of-bounds write.\nCWE-787"}

    for response in ReplayEngine(Path("answers.jsonl")).generate(requests):
        ...

No answer is made up: a trial that was not recorded is an error, also where
another trial of the same item was. It is raised after the answers that were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import Json, parse_line, read_text, sha256_file
from cybersecqwen.records import Request, Response

_Key = tuple[int, int]  # item, trial


class ReplayEngine:
    """Yield the recorded answer to each request.

    Raises InputError with file and line on a row that is no answer, and where
    two rows give different texts for one item and trial.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = _recordings(path)
        self._answers = _read(self._files)

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield the recorded answers; then raises EngineError if one was not recorded."""
        keys = [(request.item, request.trial) for request in requests]
        yield from (self._answers[key] for key in keys if key in self._answers)
        for item, trial in keys:
            if (item, trial) not in self._answers:
                raise EngineError(
                    f"no answer to item {item}, trial {trial}",
                    where=self._path,
                    tip="record it, or ask for the trials that were recorded",
                )

    def describe(self) -> dict[str, Any]:
        """Name the recording and the sha256 of each of its files."""
        files = {
            file.relative_to(self._path).as_posix() if file != self._path else file.name: file
            for file in self._files
        }
        return {
            "engine": "replay",
            "recording": str(self._path),
            "files": {name: sha256_file(file) for name, file in files.items()},
        }


def _recordings(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.jsonl"))
    if not files:
        raise InputError("no .jsonl file in this folder", where=path, tip="check the path")
    return files


def _read(files: list[Path]) -> dict[_Key, Response]:
    answers: dict[_Key, Response] = {}
    origin: dict[_Key, str] = {}
    for file in files:
        # Not str.splitlines(): U+2028 and its like may stand unescaped inside a JSON string.
        for number, line in enumerate(read_text(file).split("\n"), start=1):
            if not line.strip():
                continue
            where = f"{file}:{number}"
            answer = _response(parse_line(line, where=where), where=where)
            key = (answer.item, answer.trial)
            if answers.setdefault(key, answer).text != answer.text:
                raise InputError(
                    f"item {key[0]}, trial {key[1]} has another text than in {origin[key]}",
                    where=where,
                    tip="keep one of the two; give each trial its number",
                )
            origin.setdefault(key, where)
    return answers


def _response(row: Json, *, where: str) -> Response:
    item, trial = (_field(row, name, int, where=where) for name in ("item", "trial"))
    return Response(
        item,
        trial,
        _field(row, "text", str, where=where, name=f"item {item}, trial {trial}: text"),
        finish_reason=_field(row, "finish_reason", str, where=where),
        prompt_tokens=_field(row, "prompt_tokens", int, where=where),
        completion_tokens=_field(row, "completion_tokens", int, where=where),
    )


def _field(row: Json, key: str, kind: type, *, where: str, name: str = "") -> Any:
    """Read a value of exactly that type; only `item` and `text` have no default."""
    value = row.get(key) if key in ("item", "text") else row.get(key, kind())
    if type(value) is not kind:  # isinstance would take true for the number 1
        expected = {int: "a whole number", str: "a string"}[kind]
        found = repr(value) if key in row else "missing"
        raise InputError(
            f"{name or key} is {found[:80]}, not {expected}", where=where, tip="fix the line"
        )
    return value
