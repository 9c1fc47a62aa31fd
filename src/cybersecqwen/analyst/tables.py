"""JSONL and CSV of texts, row by row; a row that is wrong is reported and passed over.

>>> rows = read_jsonl([b'{"id": "a", "text": "XSS in Foo."}', b'{"id": "b"}'], "x.jsonl", print)
>>> [given.id for given in rows]
x.jsonl:2: no text (a row has a text or description)
['a']
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from cybersecqwen.analyst.classification import Given
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, parse_line

Report = Callable[[InputError], None]

TEXT = ("text", "description")  # the first of these that a row has
ID = ("id", "cve_id")

_CELL = 1 << 24  # characters; a quotation mark that is never closed swallows the rest of the file
_BOM = b"\xef\xbb\xbf"
# A first line of names and nothing else can only be a header.
_HEADER = re.compile(r'"?[A-Za-z_][\w.-]*"?([,;\t]"?[A-Za-z_][\w.-]*"?)+')


def read_jsonl(lines: Iterable[bytes], name: str, report: Report) -> Iterator[Given]:
    """Yield the text of each line; without an id of its own it gets `name`:line."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            yield _given(parse_row(line.removeprefix(_BOM) if number == 1 else line, where), where)
        except InputError as error:
            report(error)


def parse_row(line: bytes, where: str) -> Json:
    """Parse a line of JSONL into an object; raises InputError at `where`, whatever it holds."""
    try:
        return parse_line(line.decode(), where=where)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: {error.reason}", where=where) from error
    except (RecursionError, ValueError) as error:  # endless brackets, endless digits
        raise InputError(f"no usable JSON: {error}", where=where) from error


def _given(row: Json, where: str) -> Given:
    text = _first(row, TEXT)
    if text is None:
        raise InputError("no text", where=where, tip="a row has a text or description")
    if not isinstance(text, str):
        raise InputError(f"the text is {type(text).__name__}, not a string", where=where)
    identity = _first(row, ID)
    if identity is not None and (
        isinstance(identity, bool) or not isinstance(identity, (str, int))
    ):
        raise InputError(f"the id is {type(identity).__name__}, not a string", where=where)
    refused = "the CVE record is rejected" if row.get("rejected") is True else ""
    return Given(where if identity in (None, "") else identity, text, refused)


def _first(row: Json, names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def csv_dialect(line: bytes, *, forced: bool, where: str) -> str:
    """Give the delimiter of a table whose header this is; "" where it is no header.

    `forced` says that it has to be one. Raises InputError for a header without a text.
    """
    header = line.decode(errors="replace").strip()
    for delimiter in (",", ";", "\t"):
        if _column(_names(header, delimiter), TEXT) is not None and (
            delimiter in header or forced or header.lower().strip('"') in TEXT
        ):
            return delimiter
    if forced or _HEADER.fullmatch(header):
        raise InputError(
            f"the header is {header[:200]}",
            where=where,
            tip="expected is a column text or description, and optionally id or cve_id",
        )
    return ""


def read_csv(lines: Iterable[bytes], name: str, delimiter: str, report: Report) -> Iterator[Given]:
    """Yield the text of each row below the header; without an id it gets `name`:line."""
    csv.field_size_limit(_CELL)
    # What is no UTF-8 becomes half a surrogate, which the row's own check finds.
    decoded = (line.decode("utf-8", "surrogateescape") for line in lines)
    # Strict, for an odd quotation mark would otherwise join records without a word.
    reader = csv.reader(decoded, delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        first = reader.line_num + 1
        where = f"{name}:{first}"
        try:
            row = next(reader, None)
            if row is None:
                return
            if not row:
                continue
            if not header:
                header = [_name(cell) for cell in row]
                columns = _column(header, TEXT), _column(header, ID)
            else:
                yield _given_row(row, header, columns, where)
        except csv.Error as error:
            last = reader.line_num
            tip = "fix the line" if last <= first else f"nothing up to line {last} was read"
            report(InputError(f"no valid CSV: {error}", where=where, tip=tip))
        except InputError as error:
            report(error)


def _given_row(
    row: list[str], header: list[str], columns: tuple[int | None, int | None], where: str
) -> Given:
    text_at, id_at = columns
    if len(row) > len(header):
        raise InputError(
            f"{len(row)} cells below a header of {len(header)}",
            where=where,
            tip="put a text with commas into quotation marks",
        )
    if text_at is None or text_at >= len(row):
        raise InputError("no text", where=where, tip="the row ends before its text")
    identity = row[id_at] if id_at is not None and id_at < len(row) else ""
    try:
        f"{row[text_at]}{identity}".encode()
    except UnicodeEncodeError as error:
        raise InputError("is not UTF-8", where=where, tip="convert the file") from error
    return Given(identity or where, row[text_at])


def _names(header: str, delimiter: str) -> list[str]:
    return [_name(cell) for cell in next(csv.reader([header], delimiter=delimiter), [])]


def _name(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_").removeprefix("\ufeff")


def _column(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
