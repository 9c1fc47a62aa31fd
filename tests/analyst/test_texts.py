"""One wrong row is named with file and line, and costs no other row."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cybersecqwen.analyst.texts import csv_dialect, read_csv, read_file, read_jsonl
from cybersecqwen.errors import InputError


def jsonl(*lines: bytes) -> tuple[list[str], list[str]]:
    bad: list[InputError] = []
    texts = [given.text for given in read_jsonl(lines, "x.jsonl", bad.append)]
    return texts, [str(error) for error in bad]


def table(data: bytes) -> tuple[list[tuple[str | int, str]], list[str]]:
    bad: list[InputError] = []
    lines = data.splitlines(keepends=True)
    rows = [(given.id, given.text) for given in read_csv(lines, "x.csv", ",", bad.append)]
    return rows, [str(error) for error in bad]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "XSS', "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no text"),
        (b'{"text": null}', "no text"),
        (b'{"text": 7}', "the text is int, not a string"),
        (b'{"text": ["XSS"]}', "the text is list, not a string"),
        (b'{"text": "XSS", "id": [1]}', "the id is list, not a string"),
        (b'{"text": "XSS", "id": true}', "the id is bool, not a string"),
        (b'{"text": "caf\xe9"}', "is not UTF-8"),
        (b'{"text": "\\ud800"}', "not valid Unicode"),
        (b"[" * 100_000, "no usable JSON"),
        (b'{"text": "XSS", "id": ' + b"9" * 5000 + b"}", "no usable JSON"),
    ],
)
def test_line_7_of_many_is_named_and_the_others_are_read(line: bytes, message: str) -> None:
    lines = [json.dumps({"text": f"text {i}"}).encode() + b"\n" for i in range(100)]
    lines[6] = line + b"\n"
    texts, bad = jsonl(*lines)
    assert texts == [f"text {i}" for i in range(100) if i != 6]
    assert len(bad) == 1
    assert bad[0].startswith(f"x.jsonl:7: {message}")


def test_an_id_is_kept_as_it_is_and_made_from_the_line_where_there_is_none() -> None:
    rows = [b'{"text": "a", "id": 0}', b"", b'{"text": "b"}', b'{"text": "c", "cve_id": "CVE-1"}']
    given = read_jsonl(rows, "x.jsonl", pytest.fail)
    assert [g.id for g in given] == [0, "x.jsonl:3", "CVE-1"]


def test_a_text_may_span_lines_and_hold_the_delimiter() -> None:
    rows, bad = table(b'id,text\na,"XSS, ""stored""\nin Foo"\nb,SQL\n\n')
    assert (rows, bad) == ([("a", 'XSS, "stored"\nin Foo'), ("b", "SQL")], [])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"b,XSS, in Foo", "x.csv:3: 3 cells below a header of 2 (put a text with commas"),
        (b"b", "x.csv:3: no text (the row ends before its text)"),
        (b"b,caf\xe9", "x.csv:3: is not UTF-8"),
        (b'b,"XSS" in Foo', "x.csv:3: not valid CSV: ',' expected after '\"' (fix the line)"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_are_read(row: bytes, message: str) -> None:
    rows, bad = table(b"id,text\na,XSS\n" + row + b"\nc,SQL\n")
    assert [identity for identity, _ in rows] == ["a", "c"]
    assert len(bad) == 1
    assert bad[0].startswith(message)


def test_a_quotation_mark_left_open_does_not_join_records_in_silence() -> None:
    rows, bad = table(b'id,text\na,XSS\nb,"open\nc,SQL\nd,CSRF\n')
    assert rows == [("a", "XSS")]
    assert bad == ["x.csv:3: not valid CSV: unexpected end of data (nothing up to line 5 was read)"]


def test_a_cell_of_megabytes_is_read() -> None:
    rows, bad = table(b"id,text\na," + b"XSS " * 500_000 + b"\n")
    assert (len(rows[0][1]), bad) == (2_000_000, [])


@pytest.mark.parametrize(
    ("header", "forced", "delimiter"),
    [
        (b"id,text", False, ","),
        (b'"CVE ID";"Description"', False, ";"),
        (b"cve_id\tdescription\tcvss", False, "\t"),
        (b"text", False, ","),
        (b"A text, in which things are described", False, ""),
        (b"Description of the problem", False, ""),
        (b"SQL injection in Foo", False, ""),
        (b"id,text\ra,XSS in Foo.\r", False, ","),  # lines as an old Mac ends them
    ],
)
def test_a_header_is_told_from_prose(header: bytes, forced: bool, delimiter: str) -> None:
    assert csv_dialect(header, forced=forced, where="x") == delimiter


@pytest.mark.parametrize(("header", "forced"), [(b"id,summary", False), (b"Some summary", True)])
def test_a_header_without_a_text_names_what_was_found(header: bytes, forced: bool) -> None:
    with pytest.raises(InputError, match=f"x.csv: the header is {header.decode()} .expected is a"):
        csv_dialect(header, forced=forced, where="x.csv")


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "id,text\na,XSS\n"), ("a.jsonl", '{"text": "XSS"}\n')]
)
def test_reading_plain_rows_loads_no_reader_of_a_feed(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    code = (
        "import sys; from pathlib import Path; from cybersecqwen.analyst.texts import read_file; "
        f"print([g.text for g in read_file(Path({str(path)!r}), report=print)], "
        "'pydantic' in sys.modules, 'cybersecqwen.sources' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['XSS'] False False"


@pytest.mark.parametrize("content", ["<!DOCTYPE html><html>Log in</html>", "null", "5", "Log in"])
def test_what_is_called_json_and_is_none_is_no_text(content: str, tmp_path: Path) -> None:
    path = tmp_path / "feed.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"feed\.json: is no JSON object"):
        list(read_file(path, report=pytest.fail))
