r"""Answers recorded earlier, by this project or by anyone else, as an engine.

A recording is a JSONL file, or a folder with such files at any depth, as a run has one for
each trial. A line holds `item` (the 0-based position in the task file), `text`, and `trial`
(from 0 or from 1) where there was more than one:

    {"item": 0, "trial": 2, "text": "The flaw is an out-of-bounds write.\nCWE-787"}

    for response in ReplayEngine(Path("answers.jsonl")).generate(requests):
        ...

No answer is made up: a trial that was not recorded is an error, even where another trial of
the same item was. The recorded answers are yielded first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from cybersecqwen.engines.connection import is_address
from cybersecqwen.engines.interface import EngineOptions, Model
from cybersecqwen.engines.response_files import (
    ENDINGS,
    RecordedResponse,
    file_ending,
    from_trial_0,
    holds_recordings,
    read_response_file,
)
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import Json, sha256_file, sha256_tree
from cybersecqwen.records import Request, Response

_Key = tuple[int, int]  # item, trial


class ReplayEngine:
    """Answers each request from a recording.

    Raises InputError with file and line on a row that is no answer, and where
    two rows give different texts for one item and trial.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise InputError("no such file or folder", where=path, tip="check the path")
        self._path = path
        self._files = _recordings(path)
        self._answers = _read(self._files)

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is the path of a file, or of a folder that recordings lie in."""
        if not model:
            return False  # as a path it would be the current folder
        path = Path(model)
        if path.is_dir():
            return holds_recordings(path)
        if path.suffix.lower() == ".gguf":
            return False
        return path.is_file() or (file_ending(path) in ENDINGS and not is_address(model))

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Read the recordings at a path."""
        path = Path(model)
        return Model(path.stem, cls(path), options.kind)

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

    def identity(self) -> Json:
        """Return the checksum of each file."""
        return {"responses": sha256_tree(self._path)}


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
    for row in from_trial_0(list(chain.from_iterable(map(read_response_file, files)))):
        answer = _response(row)
        key = (answer.item, answer.trial)
        if answers.setdefault(key, answer).text != answer.text:
            raise InputError(
                f"item {key[0]}, trial {key[1]} has another text than in {origin[key]}",
                where=row.where,
                tip="keep one of the two; give each trial its number",
            )
        origin.setdefault(key, row.where)
    return answers


def _response(row: RecordedResponse) -> Response:
    if row.item is None:
        raise InputError(
            "item is missing", where=row.where, tip="`score` reads recordings by url, and tables"
        )
    return row.to_item(row.item)
