"""The formats of rows: JSONL, CSV, text, Parquet and Arrow, each row a dict and where it stands.

>>> list(jsonl_rows([b'{"text": "XSS in Foo."}'], "x.jsonl"))
[('x.jsonl:1', {'text': 'XSS in Foo.'})]
>>> list(csv_rows([b"id,text", b"a,XSS in Foo."], "x.csv"))
[('x.csv:2', {'id': 'a', 'text': 'XSS in Foo.'})]

A row that is wrong goes to `report`, which raises it unless told otherwise. Parquet and Arrow
need the extra "parquet". `json_stream` reads JSON that is no JSONL, and `encoding` decodes files.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, AnyStr, NoReturn

from cybersecqwen.errors import SHOWN, InputError, extra, kind_of
from cybersecqwen.files import Json, Pairs, parse_line
from cybersecqwen.formats.archives import Head, check_size, readable

Report = Callable[[InputError], None]
Rows = Iterator[tuple[str, Json]]
# Chooses the columns to read from a schema of Arrow's.
Columns = Callable[[Any], Sequence[str]]

_KINDS = 100  # of errors that are told apart
_BOM = b"\xef\xbb\xbf"
_BATCH = 256  # rows held as Python objects at once
_BLOCK, _OVERLAP = 1 << 18, 1 << 15  # characters of a text
_SAMPLE = 50  # records by which a delimiter is told
_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"
_FEATHER = b"ARROW1"
_NAME = 5  # words that the name of a column does not have
_CELL = 1 << 24  # characters; a quotation mark that is never closed swallows the rest of the file


def refuse(error: InputError) -> NoReturn:
    """Raise what is wrong with a row."""
    raise error


@contextmanager
def reported(report: Report) -> Iterator[None]:
    """Give an InputError to `report`, so that only this is lost and what comes after it is read."""
    try:
        yield
    except InputError as error:
        report(error)


@dataclass
class Problems:
    """What is wrong with rows and files: the first few of each kind, and how many there are."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, error: InputError) -> None:
        """Put down an error; it is of the kind of others that differ in numbers and names."""
        kind = kind_of(error.what.partition(":")[0])
        if kind not in self.counts and len(self.counts) >= _KINDS:
            kind = "of other kinds"
        self.counts[kind] += 1
        lines = self.first.setdefault(kind, [])
        if len(lines) < SHOWN:
            lines.append(str(error))

    def __len__(self) -> int:
        """Count all of them."""
        return self.counts.total()

    def lines(self) -> list[str]:
        """List the first of each kind, and below them how many more there are."""
        lines = []
        for kind, first in self.first.items():
            more = self.counts[kind] - len(first)
            lines += [*first, *([f"… and {more:,} more: {kind}"] if more else [])]
        return lines


def is_jsonl(head: Head) -> bool:
    """Tell a table in JSONL by its name or the columns of its first row, which is one line."""
    named = head.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    lines = head.data.strip().split(b"\n", 1)
    whole = len(lines) == 1 or lines[0].rstrip().endswith(b"}")
    return named or (whole and {"cve_id", "description"} <= head.keys())


def jsonl_rows(
    lines: Iterable[AnyStr],
    name: str,
    report: Report = refuse,
    *,
    pairs: Pairs | None = None,
) -> Rows:
    """Yield the object of each line that is not blank."""
    for where, line in numbered_lines(lines, name):
        try:
            row = parse_line(line, where=where, pairs=pairs)
        except InputError as error:
            report(error)
        else:
            yield where, row


def numbered_lines(lines: Iterable[AnyStr], name: str) -> Iterator[tuple[str, AnyStr]]:
    """Yield each line that is not blank, without a byte order mark, and where it stands."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # A mark may also stand within, where files were joined.
        bare = line.removeprefix(_BOM) if isinstance(line, bytes) else line.removeprefix("\ufeff")
        yield f"{name}:{number}", bare


def distinct(pairs: list[tuple[str, Any]]) -> Json:
    """Name values; of two that have one name, the second is called `name (2)`.

    >>> distinct([("text", "a"), ("text", "b")])
    {'text': 'a', 'text (2)': 'b'}
    """
    named = dict(pairs)
    if len(named) == len(pairs):
        return named
    named, counts = {}, Counter[str]()
    for name, value in pairs:
        counts[name] += 1
        named[f"{name} ({counts[name]})" if counts[name] > 1 else name] = value
    return named


def text_rows(lines: Iterable[str], name: str) -> Rows:
    """Yield plain text in blocks, each with the end of the one before it."""
    block, start = "", 1
    fresh = False  # whether the block holds more than was yielded
    for number, line in enumerate(lines, start=1):
        block, fresh = block + line, True
        if len(block) >= _BLOCK:
            yield f"{name}:{start}", {"text": block}
            block, start, fresh = block[-_OVERLAP:], number, False
    if fresh:
        yield f"{name}:{start}", {"text": block}


def csv_rows(
    lines: Iterable[bytes | str],
    name: str,
    delimiter: str = ",",
    report: Report = refuse,
    *,
    header: Sequence[str] = (),
    literal: bool = False,
) -> Rows:
    """Yield each row below the header, by the names in it; one may lack cells at its end.

    A `header` that is given stands in for the first line. With `literal`, a quotation mark that
    would make a line invalid is a character like the rest, where the line then has as many cells
    as the header. What is no UTF-8 comes as halves of surrogate pairs, which `check_utf8` refuses.
    """
    csv.field_size_limit(_CELL)
    held: list[str] = []  # the lines of a record, for `literal`
    decoded = (
        line if isinstance(line, str) else line.decode("utf-8", "surrogateescape") for line in lines
    )
    noted = _noted(decoded, held) if literal else decoded
    # Strict, for an odd quotation mark would otherwise join records without a word.
    reader = csv.reader(noted, delimiter=delimiter, strict=True)
    while True:
        first = reader.line_num + 1
        where = f"{name}:{first}"
        held.clear()
        try:
            row = next(reader, None)
        except csv.Error as error:
            last = reader.line_num
            cells = [line.rstrip("\r\n").split(delimiter) for line in held]
            if cells and all(len(own) == len(header) for own in cells):
                for number, own in enumerate(cells, start=first):
                    yield f"{name}:{number}", dict(zip(header, own, strict=True))
                continue
            tip = "fix the line" if last <= first else f"nothing up to line {last} was read"
            report(InputError(f"not valid CSV: {error}", where=where, tip=tip))
            continue
        if row is None:
            return
        if not header:
            header = list(distinct([(cell.removeprefix("\ufeff"), None) for cell in row]))
        elif len(row) > len(header):
            tip = "put a text with commas into quotation marks"
            what = f"{len(row)} cells below a header of {len(header)}"
            report(InputError(what, where=where, tip=tip))
        elif row:
            yield where, dict(zip(header, row, strict=False))


def _noted(lines: Iterable[str], held: list[str]) -> Iterator[str]:
    for line in lines:
        held.append(line)
        yield line


def check_utf8(where: str, *cells: str) -> None:
    """Raise InputError where a cell of `csv_rows` was no UTF-8."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        raise InputError("is not UTF-8", where=where, tip="convert the file") from error


def dialect(head: str) -> tuple[str, list[str]]:
    r"""Tell what stands between the cells of a table by its beginning, and name its columns.

    The delimiter is the one by which most records have as many cells as the first. A first line
    with a sentence in it is no header; where it is one, no names are returned.

    >>> dialect("prompt;completion\nA, b and c;CWE-79\n")
    (';', [])
    >>> dialect("A flaw lets anyone read files|CWE-22\n")
    ('|', ['column 1', 'column 2'])
    """
    lines = head.splitlines(keepends=True)
    lines = lines[:-1] or lines  # the last one may be cut
    csv.field_size_limit(_CELL)
    samples = {
        delimiter: records
        for delimiter in _DELIMITERS
        if (records := list(filter(None, islice(csv.reader(lines, delimiter=delimiter), _SAMPLE))))
        and len(records[0]) > 1
    }
    delimiter = max(samples, key=lambda d: _regularity(samples[d]), default=_NO_DELIMITER)
    first = samples[delimiter][0] if samples else lines[:1]
    named = not any(len(cell.split(maxsplit=_NAME)) >= _NAME for cell in first)
    return delimiter, [] if named else [f"column {n}" for n in range(1, len(first) + 1)]


def _regularity(records: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return the share of records that are as long as the first one, and its length."""
    width = len(records[0])
    return sum(len(record) == width for record in records) / len(records), width


def parquet_rows(
    source: Path | IO[bytes],
    columns: Columns | None = None,
    name: str = "",
    report: Report = refuse,
) -> Rows:
    """Yield the rows of a Parquet file, with all columns or those chosen from its schema."""
    name = name or str(source)
    with extra("parquet", where=name):
        from pyarrow import parquet

    with _arrow_errors(name, "Parquet"), readable(name), parquet.ParquetFile(source) as file:
        names = columns(file.schema_arrow) if columns else None
        batches = file.iter_batches(batch_size=_BATCH, columns=names)
        yield from _rows(batches, name, report, size=_size_of(source))


def parquet_table(source: Path, columns: Columns) -> Any:
    """Return the columns of a Parquet file that are chosen from its schema, as a table."""
    with extra("parquet", where=source):
        from pyarrow import parquet

    with _arrow_errors(str(source), "Parquet"), readable(source):
        with parquet.ParquetFile(source) as file:
            table = file.read(columns=columns(file.schema_arrow))
        check_size(table.nbytes, _size_of(source), str(source))
        table.validate(full=True)  # reading a damaged one would end the process
        return table


def arrow_rows(source: IO[bytes], name: str, report: Report = refuse) -> Rows:
    """Yield the rows of an Arrow file: a stream, as `datasets` saves them, or of Feather's kind."""
    with extra("parquet", where=name):
        from pyarrow import ipc

    with _arrow_errors(name, "Arrow file"), readable(name):
        is_feather = source.read(len(_FEATHER)) == _FEATHER
        source.seek(0)
        with (ipc.open_file if is_feather else ipc.open_stream)(source) as reader:
            numbers = range(reader.num_record_batches) if is_feather else ()
            batches = map(reader.get_batch, numbers) if is_feather else reader
            yield from _rows(batches, name, report, size=_size_of(source))


def _size_of(source: Path | IO[bytes]) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    place = source.tell()
    size = source.seek(0, io.SEEK_END)
    source.seek(place)
    return size


def _rows(batches: Iterable[Any], label: str, report: Report, *, size: int) -> Rows:
    """Yield the rows of batches; a text that stands in many rows may be stored once in `size`."""
    number = unpacked = 0
    for encoded in batches:
        batch = _decoded(encoded)
        unpacked += batch.nbytes
        check_size(unpacked, size, label)
        names = list(distinct([(name, None) for name in batch.schema.names]))
        for row in _checked(batch):
            number += 1
            where = f"{label}:{number}"
            if isinstance(row, UnicodeDecodeError):
                report(InputError("is not UTF-8", where=where, tip="convert the file"))
            else:
                yield where, dict(zip(names, row, strict=True))


def _decoded(batch: Any) -> Any:
    """Put the texts of dictionaries in the place of their numbers, after a check of these."""
    from pyarrow import RecordBatch, types

    columns = batch.columns
    if not any(types.is_dictionary(column.type) for column in columns):
        return batch
    for place, column in enumerate(columns):
        if types.is_dictionary(column.type):
            column.validate(full=True)
            columns[place] = column.dictionary_decode()
    return RecordBatch.from_arrays(columns, names=batch.schema.names)


def _checked(batch: Any) -> Iterable[Any]:
    """Return the rows of a batch, after a check: reading a damaged one would end the process.

    A row with text that is not UTF-8 is an error in its place.
    """
    from pyarrow import ArrowInvalid

    columns = batch.columns
    try:
        batch.validate(full=True)
    except ArrowInvalid:
        for column in columns:  # of bytes it says nothing about UTF-8
            column.view(_as_bytes(column.type)).validate(full=True)
        return [_single_row(columns, number) for number in range(batch.num_rows)]
    return zip(*(column.to_pylist() for column in columns), strict=True) if columns else ()


def _single_row(columns: Sequence[Any], number: int) -> Any:
    try:
        return [column[number].as_py() for column in columns]
    except UnicodeDecodeError as error:
        return error


def _as_bytes(kind: Any) -> Any:
    """Return a type of Arrow's with bytes where it has text."""
    import pyarrow
    from pyarrow import types

    if types.is_string(kind) or types.is_large_string(kind):
        return pyarrow.binary() if types.is_string(kind) else pyarrow.large_binary()
    if types.is_list(kind) or types.is_large_list(kind):
        listed = pyarrow.list_ if types.is_list(kind) else pyarrow.large_list
        return listed(_as_bytes(kind.value_type))
    if types.is_struct(kind):
        return pyarrow.struct([(field.name, _as_bytes(field.type)) for field in kind])
    return kind


@contextmanager
def _arrow_errors(where: str, kind: str) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except ArrowException as error:
        raise InputError(
            f"not valid {kind}: {error}", where=where, tip="the file may be truncated"
        ) from error
