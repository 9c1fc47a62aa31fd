"""Read what an analyst gives: a text, a CVE id, a file, a pipe; one line of it at a time.

    for given in read_arguments(["SQL injection in login.php.", "feed.json.gz"], report=print):
        print(given.id, given.text)

The format of a file or pipe is recognised by its content:

    {"text": "…", "id": "…"}           JSONL: `text` or `description`, `id` or `cve_id`
    id,text                            CSV: the same names in its header; also ; and tab
    NVD JSON 2.0, CVE JSON 5, parquet  as `sources` reads them; archives and folders too,
                                       and the record store
    CVE ids alone, one a line          looked up
    anything else                      one text

What is wrong with one record goes to `report`, and the others are read all the same.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.tables import csv_dialect, read_csv, read_jsonl
from cybersecqwen.errors import InputError

Report = Callable[[InputError], None]

_HEAD = 1 << 16  # bytes looked at to recognise a format
_TEXT = 1 << 22  # bytes of a plain text that are read at all
_GZIP, _ZIP, _PARQUET, _SQLITE = b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"SQLite format 3\0"
_ARCHIVES = (".zip", ".tar", ".tgz", ".parquet", ".sqlite")
_FILES = (*_ARCHIVES, ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".gz", ".txt")
_BOM = b"\xef\xbb\xbf"


def read_arguments(
    arguments: Sequence[str], *, records: Sequence[Path] = (), report: Report
) -> Iterator[Given]:
    """Yield what the arguments give, in their order; "-" is standard input.

    An argument that names an existing file or folder is that file; one of the form
    CVE-YEAR-NUMBER is looked up in `records`; any other one is a text. Raises InputError, at
    once, for what can be none of these, such as the name of a file that does not exist.
    """
    named = [_named(argument) for argument in arguments]
    loose = [n.value for n in named if n.kind == "text" and len(n.value.split()) == 1]
    if len(named) > 1 and loose:
        raise InputError(
            f"{loose[0]!r} is one word, neither a file nor a CVE id",
            tip='put a text into quotation marks: cybersecqwen classify "SQL injection in Foo"',
        )
    return _read_named(named, records, report)


class _Named(NamedTuple):
    kind: str  # file, pipe, cve, text
    value: str


def _named(argument: str) -> _Named:
    if argument == "-":
        return _Named("pipe", argument)
    if names_file(argument):
        return _Named("file", argument)
    word = argument.strip() if len(argument.split(None, 1)) == 1 else ""
    if word.lower().endswith(_FILES) or word.startswith(("/", "./", "../", "~")):
        raise InputError("no such file", where=word, tip="check the path")
    if word.upper().startswith("CVE-"):
        return _Named("cve", _cve_id(word))
    return _Named("text", _valid(argument, "the text"))


def names_file(argument: str) -> bool:
    """Tell whether an argument names a file or folder that exists."""
    try:
        return len(argument) < 1024 and Path(argument).exists() and bool(argument)
    except (OSError, ValueError):  # too long for a name, or a zero character in it
        return False


def _cve_id(word: str) -> str:
    from cybersecqwen.analyst.lookup import CVE_ID

    if not CVE_ID.fullmatch(word):
        raise InputError(f"{word!r} is no CVE id", tip="the form is CVE-2021-44228")
    return word.upper()


def _valid(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("is not valid UTF-8", where=where, tip="convert it") from error
    return text


def _read_named(
    named: Sequence[_Named], records: Sequence[Path], report: Report
) -> Iterator[Given]:
    known = _looked_up([n.value for n in named if n.kind == "cve"], records, report)
    for position, (kind, value) in enumerate(named, start=1):
        if kind == "text":
            yield Given(f"argument:{position}" if len(named) > 1 else "argument", value)
        elif kind == "cve":
            if value in known:
                yield known[value]
        else:
            try:
                yield from _read_input(value, records, report)
            except InputError as error:  # the inputs after it are read all the same
                report(error)


def _read_input(value: str, records: Sequence[Path], report: Report) -> Iterator[Given]:
    if value == "-":
        yield from read_stream(sys.stdin.buffer, "stdin", records=records, report=report)
    else:
        yield from read_file(Path(value), records=records, report=report)


def _looked_up(cve_ids: Sequence[str], records: Sequence[Path], report: Report) -> dict[str, Given]:
    """Find the texts of CVE ids; one that is nowhere is reported with where it was looked for."""
    if not cve_ids:
        return {}
    from cybersecqwen.analyst.lookup import how_to_fetch, look_up, places

    found = look_up(cve_ids, records)
    for cve_id in dict.fromkeys(cve_ids):
        if cve_id not in found:
            tip = "give other --records" if records else how_to_fetch(cve_id)
            looked = ", ".join(map(str, places(cve_ids, records)))
            report(InputError(f"{cve_id} is not in it", where=looked, tip=tip))
    return {
        cve_id: Given(cve_id, v.description, "the CVE record is rejected" if v.rejected else "")
        for cve_id, v in found.items()
    }


def read_file(path: Path, *, records: Sequence[Path] = (), report: Report) -> Iterator[Given]:
    """Yield the texts of a file or folder of any of the formats above."""
    if path.is_dir() or path.suffix.lower() in _ARCHIVES or ".tar" in path.suffixes:
        yield from _feed(path)
        return
    try:
        with path.open("rb") as file:
            yield from read_stream(file, str(path), records=records, report=report)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error


def read_stream(
    stream: IO[bytes], name: str, *, records: Sequence[Path] = (), report: Report
) -> Iterator[Given]:
    """Yield the texts of an open file or pipe; `name` is what errors and ids call it."""
    buffered = stream if isinstance(stream, io.BufferedReader) else _buffered(stream)
    magic = buffered.peek(16)[:16]
    if magic.startswith(_GZIP):
        with _whole_gzip(name), gzip.GzipFile(fileobj=buffered) as unpacked:
            yield from read_stream(_buffered(unpacked), name, records=records, report=report)
        return
    for signature, ending in ((_ZIP, ".zip"), (_PARQUET, ".parquet"), (_SQLITE, ".sqlite")):
        if magic.startswith(signature):
            yield from _spooled(buffered, b"", name, ending)
            return
    head, first = _head(buffered)
    if not first:
        raise InputError("is empty", where=name, tip="give a text, JSONL, CSV or a feed")
    yield from _by_content(buffered, _Head(head, first, name), records, report)


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(stream, _HEAD)


class _Head(NamedTuple):
    """The beginning of a stream: all that was read of it, and its first line that says anything."""

    data: bytes
    first: bytes
    name: str


def _head(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """Read up to the first line that is not blank, and all of it if it is not too long."""
    data = stream.readline(_HEAD).removeprefix(_BOM)
    first = data
    while not first.strip() and (line := stream.readline(_HEAD)):
        data += line
        first = line
    return data, first.strip()


def _by_content(
    stream: IO[bytes], head: _Head, records: Sequence[Path], report: Report
) -> Iterator[Given]:
    name = head.name
    ending = Path(name.removesuffix(".gz")).suffix.lower()
    if b"\0" in head.data:
        raise InputError("is binary, not text", where=name, tip="give UTF-8 text or a feed")
    if head.first.startswith(b"{"):
        data, feed = _is_feed(stream, head)
        if feed:
            yield from _spooled(stream, data, name, ".json")
        else:
            yield from read_jsonl(_lines(data, stream), name, report)
    elif ending in (".jsonl", ".ndjson"):
        yield from read_jsonl(_lines(head.data, stream), name, report)
    elif head.first.startswith(b"[") and head.first[1:].lstrip()[:1] in (b"{", b""):
        raise InputError(
            "is a JSON array, not one object a line", where=name, tip="jq -c '.[]' turns it over"
        )
    elif dialect := csv_dialect(head.first, forced=ending in (".csv", ".tsv"), where=name):
        yield from read_csv(_lines(head.data, stream), name, dialect, report)
    else:
        yield from _plain(head.data + stream.read(_TEXT), name, records, report)


def _is_feed(stream: IO[bytes], head: _Head) -> tuple[bytes, bool]:
    """Tell a feed from JSONL by its first keys; gives what was read to see it, too."""
    data = head.data
    try:
        row = json.loads(head.first)
    except (ValueError, RecursionError):
        while len(data) < 4096 and (line := stream.readline(_HEAD)):
            data += line  # the document is spread over lines
        keys = (b'"resultsPerPage"', b'"CVE_RECORD"', b'"containers"')
        return data, any(key in data for key in keys)
    return data, "resultsPerPage" in row or row.get("dataType") == "CVE_RECORD"


def _lines(data: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream whose beginning was read already."""
    whole, _, open_end = data.rpartition(b"\n")
    yield from ((line + b"\n") for line in whole.split(b"\n") if whole)
    if open_end:
        yield open_end + stream.readline()
    yield from stream


def _plain(data: bytes, name: str, records: Sequence[Path], report: Report) -> Iterator[Given]:
    """Take the whole as one text, or as CVE ids where it holds nothing else."""
    import codecs

    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < _TEXT)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: {error.reason}", where=name, tip="convert it") from error
    if "\0" in text:
        raise InputError("is binary, not text", where=name, tip="give UTF-8 text or a feed")
    words = text.split()
    if words and all(word.upper().startswith("CVE-") for word in words):
        ids = [_Named("cve", _cve_id(word)) for word in words]
        yield from _read_named(ids, records, report)
    else:
        yield Given(name, text)


def _spooled(stream: IO[bytes], head: bytes, name: str, ending: str) -> Iterator[Given]:
    """Put a feed that came through a pipe where its reader finds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"feed{ending}"
        with path.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(stream, file)
        try:
            yield from _feed(path)
        except InputError as error:
            where = str(error.where).replace(str(path), name)
            raise InputError(error.what, where=where, tip=error.tip) from error


def _feed(path: Path) -> Iterator[Given]:
    from cybersecqwen.sources import read_vulnerabilities

    for v in read_vulnerabilities(path):
        yield Given(v.cve_id, v.description, "the CVE record is rejected" if v.rejected else "")


@contextmanager
def _whole_gzip(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"is truncated or damaged: {error}", where=name) from error
