"""The formats of rows: JSONL, JSON, CSV, Parquet and Arrow, each row a dict and where it stands.

>>> list(jsonl_rows([b'{"text": "XSS in Foo."}'], "x.jsonl"))
[('x.jsonl:1', {'text': 'XSS in Foo.'})]
>>> list(csv_rows([b"id,text", b"a,XSS in Foo."], "x.csv"))
[('x.csv:2', {'id': 'a', 'text': 'XSS in Foo.'})]

A row that is wrong goes to `report`, which raises it unless told otherwise. Parquet and Arrow
need the extra "parquet".
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, parse_line, read_json
from cybersecqwen.formats.archives import Head, readable

Report = Callable[[InputError], None]
Rows = Iterator[tuple[str, Json]]
# Chooses the columns to read from a schema of Arrow's.
Columns = Callable[[Any], Sequence[str]]

_BOM = b"\xef\xbb\xbf"
_BATCH = 8192  # rows held as Python objects at once
_CELL = 1 << 24  # characters; a quotation mark that is never closed swallows the rest of the file


def refuse(error: InputError) -> NoReturn:
    """Raise what is wrong with a row."""
    raise error


def is_jsonl(head: Head) -> bool:
    """Tell a table in JSONL by its name or the columns of its first row."""
    named = head.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    return named or {"cve_id", "description"} <= head.keys()


def jsonl_rows(lines: Iterable[bytes], name: str, report: Report = refuse) -> Rows:
    """Yield the object of each line that is not blank."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = parse_line(line.removeprefix(_BOM) if number == 1 else line, where=where)
        except InputError as error:
            report(error)
        else:
            yield where, row


def json_rows(path: Path) -> Rows:
    """Yield the objects of a JSON array, or of the first one under a key of an object."""
    content = read_json(path)
    if isinstance(content, dict):
        content = next((value for value in content.values() if _is_rows(value)), content)
    if not _is_rows(content):
        raise InputError("not a list of rows", where=path, tip="expected: [{…}, {…}]")
    for number, row in enumerate(content, start=1):
        yield f"{path}:{number}", row


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def csv_rows(
    lines: Iterable[bytes], name: str, delimiter: str = ",", report: Report = refuse
) -> Rows:
    """Yield each row below the header, by the names in it; one may lack cells at its end.

    What is no UTF-8 comes as halves of surrogate pairs, which `check_utf8` refuses.
    """
    csv.field_size_limit(_CELL)
    decoded = (line.decode("utf-8", "surrogateescape") for line in lines)
    # Strict, for an odd quotation mark would otherwise join records without a word.
    reader = csv.reader(decoded, delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        first = reader.line_num + 1
        where = f"{name}:{first}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            last = reader.line_num
            tip = "fix the line" if last <= first else f"nothing up to line {last} was read"
            report(InputError(f"not valid CSV: {error}", where=where, tip=tip))
            continue
        if row is None:
            return
        if not header:
            header = [cell.removeprefix("\ufeff") for cell in row]
        elif len(row) > len(header):
            tip = "put a text with commas into quotation marks"
            what = f"{len(row)} cells below a header of {len(header)}"
            report(InputError(what, where=where, tip=tip))
        elif row:
            yield where, dict(zip(header, row, strict=False))


def check_utf8(where: str, *cells: str) -> None:
    """Raise InputError where a cell of `csv_rows` was no UTF-8."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        raise InputError("is not UTF-8", where=where, tip="convert the file") from error


def parquet_rows(path: Path, columns: Columns) -> Rows:
    """Yield the rows of a Parquet file, with the columns that are chosen from its schema."""
    with extra("parquet", where=path):
        from pyarrow import parquet

    with _arrow_errors(path, "Parquet"), readable(path), parquet.ParquetFile(path) as file:
        names = columns(file.schema_arrow)
        yield from _rows(file.iter_batches(batch_size=_BATCH, columns=names), names, path)


def arrow_rows(path: Path, columns: Columns) -> Rows:
    """Yield the rows of a file in Arrow's stream format, as `datasets` saves them."""
    with extra("parquet", where=path):
        from pyarrow import OSFile, ipc

    with (
        _arrow_errors(path, "Arrow file"),
        readable(path),
        OSFile(str(path)) as source,
        ipc.open_stream(source) as reader,
    ):
        yield from _rows(reader, columns(reader.schema), path)


def _rows(batches: Iterable[Any], names: Sequence[str], path: Path) -> Rows:
    number = 0
    for batch in batches:
        values = [batch.column(name).to_pylist() for name in names]
        for row in zip(*values, strict=True):
            number += 1
            yield f"{path}:{number}", dict(zip(names, row, strict=True))


@contextmanager
def _arrow_errors(path: Path, kind: str) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except ArrowException as error:
        raise InputError(
            f"not valid {kind}: {error}", where=path, tip="the file may be truncated"
        ) from error
