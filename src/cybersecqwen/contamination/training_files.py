"""Open the files that a training set consists of, whatever they are packed in.

    reading = Reading()
    for where, row in file_rows(Path("dataset"), reading):
        ...             # of JSONL, lines as they stand there: whoever wants the rows parses them

A path is a file, a folder of a Hugging Face dataset, an archive, or vulnerability records of any
feed. A file is read by its content where its name does not tell.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from cybersecqwen.contamination.reading import Reading
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.archives import (
    HEAD,
    Head,
    Member,
    bare_name,
    folder_files,
    is_archive,
    is_special,
    members,
    readable,
    refuse_pointer,
    special,
    unpacked,
)
from cybersecqwen.formats.encoding import Text
from cybersecqwen.formats.json_stream import json_rows
from cybersecqwen.formats.rows import (
    arrow_rows,
    csv_rows,
    dialect,
    numbered_lines,
    parquet_rows,
    text_rows,
)
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import FEEDS, open_stream, read_vulnerabilities, recognise, recognise_head
from cybersecqwen.sources.feed import Feed

_ABOUT = {"dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json"}
_ABOUT |= {"delta.json", "deltaLog.json", "recent_activities.json"}  # of the CVE list
_STEMS = {"readme", "license", "licence", "citation", "dataset_card"}
_PROSE = ("", ".md", ".txt", ".rst", ".cff", ".bib")
_LEDGER, _CERTIFICATE = "dropped.jsonl", "certificate.json"
_JSONL = (".jsonl", ".ndjson", ".jsonlines")
_TABLES = (".csv", ".tsv", ".tab", ".psv")
_ARROW = (".arrow", ".feather")
_RECORDS = (".json", ".xml")
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1a]")


def training_files(path: Path, reading: Reading | None = None) -> list[Path]:
    """List the files at a path, without hidden ones and those about a dataset."""
    reading = reading or Reading()
    if not path.exists():
        raise InputError("no such file or folder", where=path, tip="check the path")
    if not path.is_dir():
        return [path]
    files = []
    with readable(path):
        for file, _ in folder_files(path, skipped=reading.pass_over):
            if is_special(file):
                reading.skip(special(file))
            elif _is_about(file) or _is_ledger(file):
                reading.pass_over(str(file), "is about the dataset")
            else:
                files.append(file)
    if not files:
        raise InputError("no file of rows is in the folder", where=path, tip="check the path")
    return files


def _is_about(file: PurePath) -> bool:
    is_prose = file.stem.lower() in _STEMS and file.suffix.lower() in _PROSE
    return file.name in _ABOUT or is_prose


def _is_ledger(file: Path) -> bool:
    return file.name == _LEDGER and file.with_name(_CERTIFICATE).is_file()


def _members(file: Path, reading: Reading) -> Iterator[Member]:
    """Yield a file, or what is in it, without hidden files and those about a dataset."""
    for member in members(file, skipped=reading.pass_over):
        if member.where != str(file) and _is_about(PurePosixPath(member.name)):
            reading.pass_over(member.where, "is about the dataset")
        else:
            yield member


FileRow = tuple[str, Json | Vulnerability | str]  # where it stands; text is a line of JSONL


def file_rows(path: Path, reading: Reading, *, whole: Container[str] = ()) -> Iterator[FileRow]:
    """Yield the rows, lines of JSONL and records of a file, folder or archive.

    Lists under the keys `whole` belong to a row of JSON.
    """
    files = training_files(path, reading)
    holds_records = is_records(path, files)
    for file in [path] if holds_records else files:
        try:
            if holds_records:
                yield from _records(read_vulnerabilities(file, reading.report))
                continue
            for member in _members(file, reading):
                try:
                    yield from _member_rows(member, reading, whole)
                except CyberSecQwenError as error:  # what comes after it is read
                    reading.report(error)
        except CyberSecQwenError as error:  # a missing package is none of the input
            reading.report(error)


def is_records(path: Path, files: list[Path]) -> bool:
    """Tell a feed of vulnerability records; nothing else may lie in its folder or archive."""
    if not (path.is_file() or path.is_dir()):
        return True  # a pipe
    if path.is_dir() and not all(bare_name(file.name).endswith(_RECORDS) for file in files):
        return False
    try:
        return _holds_records(recognise(path)) and all(
            _holds_records(recognise_head(Head(member.name, member.head())))
            for file in files
            for member in _members(file, Reading())
        )
    except CyberSecQwenError:  # said when its rows are read
        return False


def _holds_records(feed: Feed | None) -> bool:
    rows = (FEEDS["table"], FEEDS["list"])  # of which every column is read
    return feed not in (None, *rows) and bool(feed.read) and feed.kind is Vulnerability


def _records(records: Iterator[Vulnerability]) -> Iterator[tuple[str, Vulnerability]]:
    return ((record.where, record) for record in records)


def _member_rows(member: Member, reading: Reading, whole: Container[str]) -> Iterator[FileRow]:
    name, where = PurePosixPath(bare_name(member.name)), member.where
    with readable(where):
        stream = unpacked(member.file, where)
        head = stream.peek(HEAD)
        refuse_pointer(head, where)
        if not head:
            reading.pass_over(where, "is empty")
        elif _holds_records(recognise_head(Head(str(name), head))):
            yield from _records(open_stream(stream, where, reading.report)[1])
        elif head.startswith(b"PAR1"):
            with _seekable(member, stream) as source:
                yield from parquet_rows(source, None, where, reading.report)
        elif name.suffix in _ARROW or head.startswith(b"ARROW1"):
            with _seekable(member, stream) as source:
                yield from arrow_rows(source, where, reading.report)
        else:
            yield from _text_rows(Text(stream, where), name.suffix, reading, whole)


@contextmanager
def _seekable(member: Member, stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Return what a reader can seek in: the file itself, or a copy of what was packed."""
    if stream is member.file:
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy


def _text_rows(
    text: Text, ending: str, reading: Reading, whole: Container[str]
) -> Iterator[FileRow]:
    if _is_binary(text.head) or is_archive(text.head.encode(errors="replace")):
        reading.skip(InputError("is no text that can be read", where=text.name))
        return
    first = text.head.lstrip().partition("\n")[0].strip()
    spread = first == "{" or first.startswith("[")
    if ending in _TABLES:
        delimiter, header = dialect(text.head)
        lines = text.lines(reading.report)
        yield from csv_rows(
            lines, text.name, delimiter, reading.report, header=header, literal=True
        )
    elif ending == ".json" or (ending in _JSONL and spread) or first.startswith("[{"):
        yield from json_rows(text, whole=whole, report=reading.report)
    elif ending in _JSONL or first.startswith('{"'):
        yield from numbered_lines(text.lines(reading.report), text.name)
    else:
        yield from text_rows(text.lines(reading.report), text.name)
    if text.is_guessed:
        reading.note(text.name, "is not UTF-8, and was read as Windows-1252")


def _is_binary(head: str) -> bool:
    """Tell what is no text: a PDF, and what has control characters and is not UTF-8 besides."""
    is_text = "\ufffd" not in head or not _CONTROL.search(head)
    return "\0" in head or head.startswith("%PDF-") or not is_text
