r"""Answers recorded by this project or by anyone else, row by row, as files hold them.

JSONL (or a JSON array) of objects with `text`, and `item` (0-based position in the task file)
or `url`; or CSV and TSV with the answers in a named column. A CSV may also be separated by
semicolons, tabs or bars, as spreadsheets write it. `trial` is 0 where it is absent. The logs of
lm-evaluation-harness and Inspect are read too.

    {"item": 0, "trial": 2, "text": "The flaw is an out-of-bounds write.\nCWE-787"}

    for row in read_response_file(Path("answers.jsonl")):
        print(row.where, row.item, row.text)

A row that is no answer is refused with file and line: one without text is a failed request,
and what failed was not answered.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from pathlib import Path

from cybersecqwen.engines.harness_logs import inspect_rows, is_lm_eval, lm_eval_rows
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line, read_packed, readable
from cybersecqwen.formats.archives import marked_encoding
from cybersecqwen.formats.tsv import table_rows
from cybersecqwen.records import Response

_COUNTS = ("prompt_tokens", "completion_tokens")
_INTEGERS = ("item", "trial", *_COUNTS)
_DIGITS = re.compile("[0-9]{1,18}")
_SEPARATOR = re.compile('"?sep=(.)"?\r?\n')  # the first line by which Excel is told
_QUOTED = re.compile('"[^"]*"')
# The columns that are read beside that of the answers.
_READ = {
    *(*_INTEGERS, "url", "task", "finish_reason", "error", "gt", "gold"),
    *("reasoning", "reasoning_content"),
}
# Columns of a task file or of a sheet of answers that hold none.
_NOT_ANSWERS = {
    *_READ,
    *("prompt", "description", "question", "option a", "option b", "option c", "option d"),
    *("platform", "protocol", "model", "seed", "tool_calls", "id", "index", ""),
}
_TIP = "fix the line, or ask for that answer again"

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".eval")  # of files that can hold responses
# What no folder of responses holds: the files of a model, an adapter, or a run with its model.
_MODEL_FILES = ("config.json", "adapter_config.json", "*.safetensors", "merged/config.json")


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """One recorded answer; `item` and `url` are None where the row does not say them.

    `position` counts the rows of a file from 0, and `gold` is what a sheet says beside it.
    """

    text: str
    where: str
    position: int
    item: int | None = None
    url: str | None = None
    trial: int = 0
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    task: str = ""
    gold: str | None = None
    reasoning: str = ""

    def to_item(self, item: int) -> Response:
        """Return it as the response to an item."""
        return Response(
            item,
            self.trial,
            self.text,
            self.finish_reason,
            self.prompt_tokens,
            self.completion_tokens,
            self.reasoning,
        )


class FailedRequestError(InputError):
    """A row that records a failed request, which is no answer."""


def read_response_file(
    path: Path, *, column: str | None = None, partial: bool = False
) -> Iterator[RecordedResponse]:
    """Yield the answers of one file in its order; `column` names that of a CSV or TSV.

    Raises InputError for a row that is no answer, and for a file without any. `partial` leaves
    out the rows of failed requests.
    """
    for position, (where, row, key) in enumerate(_rows(path, column)):
        try:
            yield _of_object(row, where, position, key)
        except FailedRequestError:
            if not partial:
                raise


def from_trial_0(rows: Sequence[RecordedResponse]) -> list[RecordedResponse]:
    """Count the trials of a recording from 0 where it counts them from 1."""
    from_one = all(row.trial for row in rows)
    return [replace(row, trial=row.trial - 1) if from_one else row for row in rows]


def _rows(path: Path, column: str | None) -> Iterator[tuple[str, Json, str]]:
    """Yield the place of each row, its fields, and the name of the one that holds the answer."""
    ending = file_ending(path)
    if ending not in ENDINGS:
        raise InputError(
            f"{path.name!r} is not a recording",
            where=path,
            tip="give .jsonl, .json, .csv, .tsv or .eval",
        )
    if ending == ".eval":
        yield from ((where, row, "text") for where, row in inspect_rows(path))
        return
    text = _text(path)
    if not text.strip():
        raise InputError("is empty", where=path, tip="check the path")
    if ending in (".csv", ".tsv"):
        yield from ((where, row, "text") for where, row in _read_table(text, path, column))
        return
    rows = _jsonl_rows(text, path) if ending == ".jsonl" else _json_rows(text, path)
    first = None  # of the filters by which the harness repeats a document
    for where, row in rows:
        if is_lm_eval(row):
            first = first or row.get("filter")
            if row.get("filter") == first:
                yield from ((where, one, "text") for one in lm_eval_rows(row, where))
        else:
            yield where, row, column or "text"


def holds_recordings(folder: Path) -> bool:
    """Tell whether JSONL lies in a folder, at any depth, and no model."""
    if any(file for name in _MODEL_FILES for file in folder.glob(name)):
        return False
    return next(folder.rglob("*.jsonl"), None) is not None


def file_ending(path: Path) -> str:
    """Return a file name's ending in lower case; of a packed file, the one before `.gz`."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() if last == ".gz" else last


def _text(path: Path) -> str:
    data = read_packed(path)
    with readable(path):
        return data.decode(marked_encoding(data) or "utf-8")


def _jsonl_rows(text: str, path: Path) -> Iterator[tuple[str, Json]]:
    # Not str.splitlines(): U+2028 and its like may stand unescaped inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield where, parse_line(line.removeprefix("\ufeff"), where=where)


def _json_rows(text: str, path: Path) -> Iterator[tuple[str, Json]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=path) from error
    if isinstance(rows, dict) and isinstance(rows.get("samples"), list):
        yield from inspect_rows(path)
        return
    if not isinstance(rows, list):
        raise InputError("not a JSON array of answers", where=path, tip="or give JSONL")
    for position, entry in enumerate(rows):
        where = f"{path}, entry {position}"
        if not isinstance(entry, dict):
            raise InputError("not a JSON object", where=where, tip=_TIP)
        # As a line of its own, so that half of a surrogate pair is refused here too.
        yield where, parse_line(json.dumps(entry), where=where)


def _of_object(row: Json, where: str, position: int, key: str) -> RecordedResponse:
    row = {name.lower(): value for name, value in row.items()} | row
    item, trial = _whole(row, "item", where), _whole(row, "trial", where)
    url = (_string(row, "url", where) or "").strip() or None
    who = url or "the row" if item is None else f"item {item}"
    name = f"{who}, trial {trial or 0}: {key}"
    _refuse_failure(row, key, where, name)
    text = "" if row[key] is None else row[key]
    if not isinstance(text, str):
        raise InputError(f"{name} is {str(row[key])[:80]!r}, not a string", where=where, tip=_TIP)
    return RecordedResponse(
        text=text,
        where=where,
        position=position,
        item=item,
        url=url,
        trial=trial or 0,
        finish_reason=_string(row, "finish_reason", where) or "",
        prompt_tokens=_whole(row, "prompt_tokens", where) or 0,
        completion_tokens=_whole(row, "completion_tokens", where) or 0,
        task=_string(row, "task", where) or "",
        gold=_string(row, "gt", where) or _string(row, "gold", where),
        reasoning=_string(row, "reasoning", where)
        or _string(row, "reasoning_content", where)
        or "",
    )


def _refuse_failure(row: Json, key: str, where: str, name: str) -> None:
    """Refuse a row without a text, and say what stands there in its place.

    An empty text is an answer, unless the row says that the request failed; none is one where the
    row says why the answer ended.
    """
    text, failed = row.get(key), row.get("tool_calls") or row.get("error")
    if text is not None and (text != "" or not failed):
        return
    if not text and key in row and row.get("finish_reason") and not row.get("error"):
        return
    if row.get("tool_calls"):
        what = f"{name}: a tool was called in place of an answer"
    elif row.get("error"):
        what = f"{name}: the request failed: {str(row['error'])[:80]}"
    elif key in row:
        what = f"{name} is null: a failed request is no answer"
    else:
        what = f"{name} is missing"
    raise FailedRequestError(what, where=where, tip="ask it again, or leave it out by --partial")


def _whole(row: Json, key: str, where: str) -> int | None:
    """Read a whole number; None where it is absent, or a count that is null."""
    if key not in row or (row[key] is None and key in _COUNTS):
        return None
    value = row[key]
    if type(value) is not int or value < 0:  # isinstance would take true for the number 1
        raise InputError(f"{key} is {value!r:.80}, no whole number", where=where, tip=_TIP)
    return value


def _string(row: Json, key: str, where: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key} is {value!r:.80}, not a string", where=where, tip=_TIP)
    return value


def _read_table(text: str, path: Path, column: str | None) -> Iterator[tuple[str, Json]]:
    rows = _cells(text.rstrip("\r\n"), path)
    number, header = next(rows)
    where = f"{path}:{number}"
    names = [name.strip().lower() for name in header]
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled:
        raise InputError(f"two columns are named {doubled!r}", where=where, tip="rename one")
    answers = _column(header, names, column, where)
    known = {name: i for i, name in enumerate(names) if name in _READ and i != answers}
    for number, cells in rows:
        where = f"{path}:{number}"
        if not cells and len(header) > 1:
            continue  # a blank line; in a sheet of one column it would be an empty answer
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} cells where the header has {len(header)}", where=where, tip=_TIP
            )
        row = {name: cells[i] for name, i in known.items()}
        yield where, _of_cells(row, cells[answers], where)


def _cells(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row, and the line on which it begins."""
    # The limit is 128 kB a cell unless told; an answer with its reasoning can be longer.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    end = 0
    try:
        for number, cells in table_rows(text) if file_ending(path) == ".tsv" else _csv_rows(text):
            yield end + 1, cells
            end = number
    except csv.Error as error:
        what = f"not valid {file_ending(path)[1:].upper()}: {error}"
        raise InputError(what, where=f"{path}:{end + 1}") from error


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    stated = _SEPARATOR.match(text)
    delimiter = stated[1] if stated else _delimiter(text)
    lines = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = ((lines.line_num, cells) for cells in lines)
    yield from islice(rows, 1 if stated else 0, None)


def _delimiter(text: str) -> str:
    """Return the delimiter of the header: the comma, unless there are more of another."""
    header = _QUOTED.sub("", text.partition("\n")[0])
    return max(",;\t|", key=header.count)


def _column(header: Sequence[str], names: Sequence[str], wanted: str | None, where: str) -> int:
    """Find the column of the answers: the one that is named, `text`, or the only one left."""
    shown = ", ".join(header)
    if wanted is not None:
        if wanted not in header:
            raise InputError(
                f"the column {wanted!r} is missing", where=where, tip=f"there are {shown}"
            )
        return header.index(wanted)
    if "text" in header:
        return header.index("text")
    # Beside a prompt, `Text` is the report that cti-taa asks about.
    asked = {*_NOT_ANSWERS, "text"} if "prompt" in names else _NOT_ANSWERS
    left = [i for i, name in enumerate(names) if name not in asked]
    if len(left) != 1:
        raise InputError(
            "which column holds the answers?", where=where, tip=f"--column one of {shown}"
        )
    return left[0]


def _of_cells(cells: dict[str, str], text: str, where: str) -> Json:
    row: Json = {"text": text}
    for name, cell in cells.items():
        if name not in _INTEGERS:
            row[name] = cell
        elif _DIGITS.fullmatch(cell):
            row[name] = int(cell)
        elif cell or name not in _COUNTS:
            raise InputError(f"{name} is {cell[:80]!r}, no whole number", where=where, tip=_TIP)
    return row
