"""Read the texts of a file or a pipe, one at a time, whatever format they come in.

    for given in read_file(Path("feed.json.gz"), report=print):
        print(given.id, given.text)

The format is recognised by the content:

    {"text": "…", "id": "…"}           JSONL: `text` or `description`, `id` or `cve_id`; or a
                                       table of records
    id,text                            CSV: the same names in its header; also ; and tab
    NVD JSON 2.0, CVE JSON 5, parquet  as `sources` recognises and reads them; archives and
                                       folders too, and the record store
    CVE ids alone, one a line          looked up
    anything else                      one text

A row that is wrong goes to `report`, and the others are read all the same.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.local_records import given_of, look_up_texts, parse_cve_id
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, spreadsheet_text
from cybersecqwen.formats.archives import (
    HEAD,
    Head,
    is_archive,
    marked_encoding,
    readable,
    refuse_pointer,
    unpacked,
    utf8,
)
from cybersecqwen.formats.rows import (
    Report,
    check_utf8,
    csv_rows,
    is_jsonl,
    jsonl_rows,
    reported,
)

FINDING = frozenset(("title", "severity", "description"))  # columns of DefectDojo's tables
EXPORT = frozenset(("text", "events", "audit_head"))  # of a table that the workplace exported
TEXT = ("text", "description")  # the first of these that a row has
ID = ("id", "cve_id", "cve")

_TEXT_BYTES = 1 << 22  # of a plain text that are read at all
_BOM = b"\xef\xbb\xbf"
_CONVERTED = 1 << 28  # bytes that are converted to UTF-8
_START = 64  # bytes by which plain text is told from JSON, XML and binary formats
_FEED_START = re.compile(rb"\A[{<\[#]|[\x00-\x08\x0e-\x1f]")
_FEED_ENDINGS = (".json", ".json.gz", ".xml", ".xml.gz", ".parquet")
# A first line of names and nothing else can only be a header.
_HEADER = re.compile(r'"?[A-Za-z_][\w.-]*"?([,;\t]"?[A-Za-z_][\w.-]*"?)+')


def read_file(path: Path, *, records: Sequence[Path] = (), report: Report) -> Iterator[Given]:
    """Yield the texts of a file or folder; `records` is where CVE ids are looked up."""
    if path.is_dir():
        from cybersecqwen.sources import read_vulnerabilities

        yield from map(given_of, read_vulnerabilities(path, report))
        return
    with readable(path), path.open("rb") as stream:
        yield from read_stream(stream, path, records=records, report=report)


def read_stream(
    packed: IO[bytes], where: Path | str, *, records: Sequence[Path] = (), report: Report
) -> Iterator[Given]:
    """Yield the texts of an open file or pipe; `where` is what errors and ids call it."""
    name = str(where)
    with readable(name):
        stream = _in_utf8(unpacked(packed), name)
        head = Head(name, _read_head(stream))
        first = next(filter(None, map(bytes.strip, head.data.split(b"\n"))), b"")
        if not first:
            raise InputError("is empty", where=name, tip="give a text, JSONL, CSV or a feed")
        refuse_pointer(first, name)
        if is_archive(head.data) or _is_feed(head):
            from cybersecqwen.sources import open_stream, open_vulnerabilities

            # Read where it lies, if it can be sought in.
            seekable = isinstance(where, Path) and where.is_file()
            opened = open_vulnerabilities(Path(where), report) if seekable else None
            _, vulnerabilities = opened or open_stream(stream, name, report, head=head.data)
            yield from map(given_of, vulnerabilities)
        elif b"\0" in head.data:
            raise InputError("is binary, not text", where=name, tip="give UTF-8 text or a feed")
        else:
            yield from _read_lines(stream, head, first, records, report)


def _in_utf8(stream: io.BufferedReader, name: str) -> IO[bytes]:
    """Convert a stream whose byte order mark says that it is in another encoding."""
    if marked_encoding(stream.peek(4)) in ("", "utf-8-sig"):
        return stream
    data = stream.read(_CONVERTED + 1)
    if len(data) > _CONVERTED:
        raise InputError("is too long to be converted", where=name, tip="convert it to UTF-8")
    return io.BytesIO(utf8(data))


def _read_head(stream: IO[bytes]) -> bytes:
    """Read up to the first line that is not blank, and on into JSON or XML of several lines."""
    data = b""
    while line := stream.readline(HEAD):
        data = (data + line).removeprefix(_BOM)
        first = data.strip()
        one_object = first.endswith(b"}") and b"\n" not in first
        spread = first.startswith((b"{", b"[", b"<?xml")) and not one_object
        if first and (not spread or len(data) >= HEAD):
            break
    return data


def _is_feed(head: Head) -> bool:
    """Tell a feed from rows, which are read line by line; a table of records in JSONL is too."""
    if _is_plain(head) or (is_jsonl(head) and set(TEXT) & head.keys()):
        return False
    from cybersecqwen.sources import FEEDS, recognise_head

    feed = recognise_head(head)
    return feed is not None and not (feed is FEEDS["table"] and is_jsonl(head))


def _is_plain(head: Head) -> bool:
    """Tell text that begins as no feed does, so that no reader of feeds needs to be loaded."""
    if head.name.endswith(_FEED_ENDINGS):
        return False
    return not _FEED_START.search(head.data.lstrip()[:_START])


def _read_lines(
    stream: IO[bytes], head: Head, first: bytes, records: Sequence[Path], report: Report
) -> Iterator[Given]:
    """Yield the texts of JSONL or CSV, or the whole as one."""
    name, ending = head.name, Path(head.name.removesuffix(".gz")).suffix.lower()
    of_lines = ending in (".jsonl", ".ndjson")
    spread = first.startswith(b"{") and first.endswith((b"{", b"[", b","))
    other = ending == ".json" and not first.startswith((b"{", b"["))
    if (spread and not of_lines) or other or first.startswith(b"<?xml"):
        from cybersecqwen.sources import ACCEPTED

        what = (
            "is no JSON object"
            if other
            else f"is {'JSON' if spread else 'XML'} of no feed that is known"
        )
        raise InputError(what, where=name, tip=ACCEPTED)
    if of_lines or first.startswith(b"{"):
        yield from _read_rows(_lines(head.data, stream), head, report)
    elif first.startswith(b"[") and (ending == ".json" or first[1:].lstrip()[:1] in (b"{", b"")):
        raise InputError(
            "is a JSON array, not one object a line", where=name, tip="jq -c '.[]' converts it"
        )
    elif delimiter := csv_dialect(first, forced=ending in (".csv", ".tsv"), where=name):
        yield from read_csv(_lines(head.data, stream), name, delimiter, report)
    else:
        yield from _plain(head.data + stream.read(_TEXT_BYTES), name, records, report)


def _lines(data: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream whose beginning was read already."""
    whole, _, open_end = data.rpartition(b"\n")
    yield from ((line + b"\n") for line in whole.split(b"\n") if whole)
    if open_end:
        yield open_end + stream.readline()
    yield from stream


def _read_rows(lines: Iterable[bytes], head: Head, report: Report) -> Iterator[Given]:
    """Yield the rows of JSONL: records where the first one has their columns, otherwise texts."""
    if "cwe_nvd" in (keys := head.keys()):
        from cybersecqwen.sources.record_table import COLUMNS, read_lines

        if keys.issuperset(COLUMNS):
            yield from map(given_of, read_lines(lines, head.name, report))
            return
    yield from read_jsonl(lines, head.name, report)


def read_jsonl(lines: Iterable[bytes], name: str, report: Report) -> Iterator[Given]:
    """Yield the text of each line; without an id of its own it gets `name`:line."""
    for where, row in jsonl_rows(lines, name, report):
        yield from _of_row(row, where, report, tip="a row has a text or description")


def read_csv(lines: Iterable[bytes], name: str, delimiter: str, report: Report) -> Iterator[Given]:
    """Yield the text of each row below the header; without an id it gets `name`:line."""
    for where, row in csv_rows(lines, name, delimiter, report):
        cells = {_name(column): cell for column, cell in row.items()}
        if FINDING.issubset(cells):
            yield from _finding(cells, where, report)
            continue
        if EXPORT.issubset(cells):
            cells = {column: spreadsheet_text(cell) for column, cell in cells.items()}
        yield from _of_row(cells, where, report, tip="the row ends before its text")


def _finding(cells: dict[str, str], where: str, report: Report) -> Iterator[Given]:
    """Yield the text of a finding in a table of DefectDojo, with the record that it is."""
    from cybersecqwen.sources.defectdojo import from_cells

    with reported(report):
        check_utf8(where, *cells.values())
        yield given_of(from_cells(cells, where))


def _of_row(row: Json, where: str, report: Report, *, tip: str) -> Iterator[Given]:
    try:
        text, identity = _first(row, TEXT), _first(row, ID)
        if text is None:
            raise InputError("no text", where=where, tip=tip)
        if not isinstance(text, str):
            raise InputError(f"the text is {type(text).__name__}, not a string", where=where)
        if isinstance(identity, bool) or not isinstance(identity, (str, int, type(None))):
            raise InputError(f"the id is {type(identity).__name__}, not a string", where=where)
        check_utf8(where, text, str(identity))
    except InputError as error:
        report(error)
        return
    refused = "the CVE record is rejected" if row.get("rejected") is True else ""
    yield Given(where if identity in (None, "") else identity, text, refused)


def _first(row: Json, names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def csv_dialect(line: bytes, *, forced: bool, where: str) -> str:
    """Return the delimiter of a table whose header this is; "" where it is no header.

    `forced` says that it has to be one. Raises InputError for a header without a text.
    """
    header = line.decode(errors="replace").strip()
    for delimiter in (",", ";", "\t"):
        if set(TEXT) & set(_names(header, delimiter)) and (
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


def _names(header: str, delimiter: str) -> list[str]:
    return [
        _name(cell) for cell in next(csv.reader(header.splitlines()[:1], delimiter=delimiter), [])
    ]


def _name(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_").removeprefix("\ufeff")


def _plain(data: bytes, name: str, records: Sequence[Path], report: Report) -> Iterator[Given]:
    """Take the whole as one text, or as CVE ids where it holds nothing else."""
    import codecs

    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        text = decoder.decode(data, final=len(data) < _TEXT_BYTES)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: {error.reason}", where=name, tip="convert it") from error
    if "\0" in text:
        raise InputError("is binary, not text", where=name, tip="give UTF-8 text or a feed")
    words = text.split()
    if words and all(word.upper().startswith("CVE-") or normalise_cve(word) for word in words):
        yield from look_up_texts([parse_cve_id(word) for word in words], records, report)
    else:
        yield Given(name, text)
