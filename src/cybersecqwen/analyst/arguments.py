"""Read what an analyst gives on the command line: texts, CVE ids, files and a pipe.

    for given in read_arguments(["SQL injection in login.php.", "feed.json.gz"], report=print):
        print(given.id, given.text)

What is wrong with one record goes to `report`, and the others are read all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cybersecqwen.analyst.classification import Given
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.rows import Report, reported

_FILES = (
    *(".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".sqlite"),
    *(".gz", ".zip", ".tar", ".tgz"),
)


def read_arguments(
    arguments: Sequence[str], *, records: Sequence[Path] = (), report: Report
) -> Iterator[Given]:
    """Yield what the arguments give, in their order; "-" is standard input.

    An argument that names an existing file or folder is that file; one of the form
    CVE-YEAR-NUMBER is looked up in `records`; any other one is a text. Raises InputError, at
    once, for what can be none of these, such as the name of a file that does not exist.
    """
    parsed = [_parse(argument) for argument in arguments]
    words = [value for kind, value in parsed if kind == "text" and len(value.split()) == 1]
    if len(parsed) > 1 and words:
        raise InputError(
            f"{words[0]!r} is one word, neither a file nor a CVE id",
            tip='put a text into quotation marks: cybersecqwen classify "SQL injection in Foo"',
        )
    return _read(parsed, records, report)


def _parse(argument: str) -> tuple[str, str]:
    """Tell what an argument is: an input, a cve or a text; and return it."""
    if argument == "-" or names_file(argument):
        return "input", argument
    word = argument.strip() if len(argument.split(None, 1)) == 1 else ""
    if word.lower().endswith(_FILES) or word.startswith(("/", "./", "../", "~")):
        raise InputError("no such file", where=word, tip="check the path")
    if (word[:3].upper() == "CVE" and not word[3:4].isalpha()) or normalise_cve(argument):
        from cybersecqwen.analyst.local_records import parse_cve_id

        return "cve", parse_cve_id(argument.strip())
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise InputError("is not valid UTF-8", where="the text", tip="convert it") from error
    return "text", argument


def names_file(argument: str) -> bool:
    """Tell whether an argument names a file or folder that exists."""
    try:
        return len(argument) < 1024 and Path(argument).exists() and bool(argument)
    except (OSError, ValueError):  # too long for a name, or a zero character in it
        return False


def _read(
    arguments: Sequence[tuple[str, str]], records: Sequence[Path], report: Report
) -> Iterator[Given]:
    cve_ids = [value for kind, value in arguments if kind == "cve"]
    texts_of: dict[int | str, Given] = {}
    if cve_ids:
        from cybersecqwen.analyst.local_records import look_up_texts

        with reported(report):
            texts_of = {given.id: given for given in look_up_texts(cve_ids, records, report)}
    for position, (kind, value) in enumerate(arguments, start=1):
        if kind == "text":
            yield Given(f"argument:{position}" if len(arguments) > 1 else "argument", value)
        elif kind == "cve":
            if value in texts_of:
                yield texts_of[value]
        else:
            with reported(report):  # the inputs after it are read all the same
                yield from _read_input(value, records, report)


def _read_input(value: str, records: Sequence[Path], report: Report) -> Iterator[Given]:
    from cybersecqwen.analyst.texts import read_file, read_stream

    if value == "-":
        yield from read_stream(sys.stdin.buffer, "stdin", records=records, report=report)
    else:
        yield from read_file(Path(value), records=records, report=report)
