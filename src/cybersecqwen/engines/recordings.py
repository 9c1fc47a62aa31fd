r"""Answers recorded by this project or by anyone else, row by row, as files hold them.

JSONL (or a JSON array) of objects with `text`, and `item` (0-based position in the task file)
or `url`; or CSV and TSV with the answers in a named column. `trial` is 0 where it is absent.

    {"item": 0, "trial": 2, "text": "The flaw is an out-of-bounds write.\nCWE-787"}

    for row in read_rows(Path("answers.jsonl")):
        print(row.where, row.item, row.text)

A row that is no answer is refused with file and line: one without text is a failed request,
and what failed was not answered.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line
from cybersecqwen.sources.ctibench import table_rows

_INTEGERS = ("item", "trial", "prompt_tokens", "completion_tokens")
# Columns of a task file or of a sheet of answers that hold none.
_NOT_ANSWERS = {
    *("item", "url", "trial", "gt", "gold", "prompt", "description", "question"),
    *("option a", "option b", "option c", "option d", "platform", "finish_reason"),
    *("prompt_tokens", "completion_tokens", "id", "index", ""),
}
_TIP = "fix the line, or ask for that answer again"


@dataclass(frozen=True, slots=True)
class Row:
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


def read_rows(path: Path, *, column: str | None = None) -> Iterator[Row]:
    """Yield the answers of one file in its order; `column` names that of a CSV or TSV.

    Raises InputError for a row that is no answer, and for a file without any.
    """
    readers: dict[str, Callable[[str, Path, str | None], Iterator[Row]]] = {
        ".jsonl": _read_jsonl,
        ".json": _read_json,
        ".csv": _read_table,
        ".tsv": _read_table,
    }
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending.lower() not in readers:
        raise InputError(
            f"{path.name!r} is no recording", where=path, tip="give .jsonl, .json, .csv or .tsv"
        )
    text = _text(path)
    if not text.strip():
        raise InputError("is empty", where=path, tip="check the path")
    yield from readers[ending.lower()](text, path, column)


def _text(path: Path) -> str:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            return bytes(file.read()).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("no such file", where=path, tip="check the path") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip file is damaged: {error}", where=path) from error
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"cannot be read as UTF-8 text: {error}", where=path) from error


def _read_jsonl(text: str, path: Path, column: str | None) -> Iterator[Row]:
    # Not str.splitlines(): U+2028 and its like may stand unescaped inside a JSON string.
    lines = ((n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())
    for position, (number, line) in enumerate(lines):
        where = f"{path}:{number}"
        yield _of_object(parse_line(line, where=where), where, position, column)


def _read_json(text: str, path: Path, column: str | None) -> Iterator[Row]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"no valid JSON: {error}", where=path) from error
    if not isinstance(rows, list):
        raise InputError("not a JSON array of answers", where=path, tip="or give JSONL")
    for position, row in enumerate(rows):
        where = f"{path}, entry {position}"
        if not isinstance(row, dict):
            raise InputError("not a JSON object", where=where, tip=_TIP)
        yield _of_object(row, where, position, column)


def _of_object(row: Json, where: str, position: int, column: str | None) -> Row:
    key = column or "text"
    item, trial = _whole(row, "item", where), _whole(row, "trial", where)
    name = f"item {item}, trial {trial or 0}: {key}"
    _refuse_failure(row, key, where, name)
    if not isinstance(row[key], str):
        raise InputError(f"{name} is {str(row[key])[:80]!r}, not a string", where=where, tip=_TIP)
    return Row(
        text=row[key],
        where=where,
        position=position,
        item=item,
        url=_string(row, "url", where),
        trial=trial or 0,
        finish_reason=_string(row, "finish_reason", where) or "",
        prompt_tokens=_whole(row, "prompt_tokens", where) or 0,
        completion_tokens=_whole(row, "completion_tokens", where) or 0,
        task=_string(row, "task", where) or "",
    )


def _refuse_failure(row: Json, key: str, where: str, name: str) -> None:
    """Refuse a row without a text, and say what stands there in its place."""
    if row.get(key) is not None:
        return
    if row.get("tool_calls"):
        what = f"{name}: a tool was called in place of an answer"
    elif row.get("error"):
        what = f"{name}: the request failed: {str(row['error'])[:80]}"
    elif key in row:
        what = f"{name} is null: a failed request is no answer"
    else:
        what = f"{name} is missing"
    raise InputError(what, where=where, tip="ask for that answer again")


def _whole(row: Json, key: str, where: str) -> int | None:
    """Read a whole number; None where it is absent."""
    if key not in row:
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


def _read_table(text: str, path: Path, column: str | None) -> Iterator[Row]:
    lines = table_rows(text) if ".tsv" in path.suffixes else _csv_rows(text, path)
    number, header = next(lines)
    names = {name.strip().lower(): i for i, name in enumerate(header)}
    answers = _column(header, column, path)
    for position, (number, cells) in enumerate(lines):
        where = f"{path}:{number}"
        if len(cells) != len(header):
            raise InputError(
                f"{len(cells)} cells where the header has {len(header)}", where=where, tip=_TIP
            )
        yield _of_cells(cells, names, answers, where, position)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        yield from ((lines.line_num, cells) for cells in lines)
    except csv.Error as error:
        raise InputError(f"no valid CSV: {error}", where=f"{path}:{lines.line_num}") from error


def _column(header: Sequence[str], wanted: str | None, path: Path) -> int:
    """Find the column of the answers: the one that is named, `text`, or the only one left."""
    shown = ", ".join(header)
    if wanted is not None:
        if wanted not in header:
            raise InputError(
                f"the column {wanted!r} is missing", where=f"{path}:1", tip=f"there are {shown}"
            )
        return header.index(wanted)
    lower = [name.strip().lower() for name in header]
    left = [i for i, name in enumerate(lower) if name not in _NOT_ANSWERS]
    if "text" in lower and lower.count("text") == 1:
        return lower.index("text")
    if len(left) != 1:
        raise InputError(
            "which column holds the answers?", where=f"{path}:1", tip=f"--column one of {shown}"
        )
    return left[0]


def _of_cells(
    cells: Sequence[str], names: dict[str, int], answers: int, where: str, position: int
) -> Row:
    def cell(name: str) -> str | None:
        return cells[names[name]] if name in names and names[name] != answers else None

    numbers: dict[str, Any] = {}
    for name in _INTEGERS:
        value = cell(name)
        if value is not None and not (value.isascii() and value.isdecimal()):
            raise InputError(f"{name} is {value[:80]!r}, no whole number", where=where, tip=_TIP)
        if value is not None:
            numbers[name] = int(value)
    gold = cell("gt")
    return Row(
        text=cells[answers],
        where=where,
        position=position,
        url=cell("url"),
        finish_reason=cell("finish_reason") or "",
        gold=cell("gold") if gold is None else gold,
        **numbers,
    )
