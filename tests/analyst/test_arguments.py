"""Whatever an analyst gives is recognised by its content, and a mistake is named."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from cybersecqwen.analyst.arguments import read_arguments
from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.texts import read_stream
from cybersecqwen.errors import InputError
from cybersecqwen.sample import FEED

JSONL = b'{"id": "a", "text": "XSS in Foo."}\n{"id": 7, "text": "SQL injection."}\n'
CSV = b"id,text\na,XSS in Foo.\n7,SQL injection.\n"
TEXT = "XSS in Foo.\nIt has two lines."
CVE5 = {
    "dataType": "CVE_RECORD",
    "dataVersion": "5.1",
    "cveMetadata": {"cveId": "CVE-2021-0001", "state": "PUBLISHED"},
    "containers": {
        "cna": {
            "providerMetadata": {"orgId": "x"},
            "descriptions": [{"lang": "en", "value": "XSS in Foo."}],
        }
    },
}
UNKNOWN = {"catalog": "other", "entries": [{"name": "a"}]}


def piped(data: bytes) -> tuple[list[Given], list[str]]:
    bad: list[InputError] = []
    given = list(read_stream(io.BytesIO(data), "stdin", report=bad.append))
    return given, [str(error) for error in bad]


def zipped(data: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def pretty(record: object) -> bytes:
    return json.dumps(record, indent=2).encode()


PAIR = [("a", "XSS in Foo."), (7, "SQL injection.")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (JSONL, PAIR),
        (b"\xef\xbb\xbf\n\n" + JSONL, PAIR),
        (gzip.compress(JSONL, mtime=0), PAIR),
        (JSONL.strip(), PAIR),
        (JSONL.decode().encode("utf-16"), PAIR),
        (
            gzip.compress(CSV.decode().encode("utf-32"), mtime=0),
            [("a", PAIR[0][1]), ("7", PAIR[1][1])],
        ),
        (pretty(CVE5).decode().encode("utf-16"), [("CVE-2021-0001", "XSS in Foo.")]),
        (CSV, [("a", "XSS in Foo."), ("7", "SQL injection.")]),
        (b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), [("a", PAIR[0][1]), ("7", PAIR[1][1])]),
        (b"Description;CVE ID\nXSS;CVE-2021-0001\n", [("CVE-2021-0001", "XSS")]),
        (b'text\n"XSS, in Foo"\n', [("stdin:2", "XSS, in Foo")]),
        (b'{"description": "XSS"}\n', [("stdin:1", "XSS")]),
        (TEXT.encode(), [("stdin", TEXT)]),
        (b"[Foo plugin] XSS", [("stdin", "[Foo plugin] XSS")]),
        (b"SQL injection, XSS, and more", [("stdin", "SQL injection, XSS, and more")]),
        (pretty(CVE5), [("CVE-2021-0001", "XSS in Foo.")]),
        (json.dumps(CVE5).encode(), [("CVE-2021-0001", "XSS in Foo.")]),
        (zipped(pretty(CVE5), "CVE-2021-0001.json"), [("CVE-2021-0001", "XSS in Foo.")]),
    ],
)
def test_a_pipe_is_recognised_by_its_content(data: bytes, expected: list[tuple[str, str]]) -> None:
    given, _ = piped(data)
    assert [(g.id, g.text) for g in given] == expected


def test_the_sample_feed_reads_the_same_as_file_pipe_and_gzip(tmp_path: Path) -> None:
    data = FEED.read_bytes()
    packed = tmp_path / "feed.json.gz"
    packed.write_bytes(gzip.compress(data))
    minified = json.dumps(json.loads(data), separators=(",", ":")).encode()
    from_file = list(read_arguments([str(packed)], report=pytest.fail))
    assert len(from_file) > 100
    assert from_file == piped(data)[0] == piped(gzip.compress(data))[0] == piped(minified)[0]


def test_a_parquet_table_and_a_folder_of_records_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "cves"
    folder.mkdir()
    (folder / "CVE-2021-0001.json").write_bytes(pretty(CVE5))
    [given] = read_arguments([str(folder)], report=pytest.fail)
    assert given[:3] == Given("CVE-2021-0001", "XSS in Foo.")[:3]
    assert given.record
    assert given.record.cve_id == given.id


def test_a_rejected_record_is_refused() -> None:
    record = json.loads(pretty(CVE5))
    record["cveMetadata"]["state"] = "REJECTED"
    assert piped(pretty(record))[0][0].refused == "the CVE record is rejected"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "stdin: is empty"),
        (b"\xef\xbb\xbf \n\n", "stdin: is empty"),
        (b"\x7fELF\x00\x01", "stdin: is binary"),
        (b"some text " * 10_000 + b"\0", "stdin: is binary"),
        (b"caf\xe9 has an XSS", "stdin: is not UTF-8"),
        (gzip.compress(JSONL, mtime=0)[:-12], "stdin: is truncated or damaged"),
        (b'[{"text": "x"}]', "stdin: is a JSON array"),
        (b'<?xml version="1.0"?><bom/>', "stdin: is XML of no feed that is known"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 7\n", "stdin: is a Git LFS pointer"),
        (b"cve,summary\nCVE-2021-1,XSS\n", "stdin: the header is cve,summary"),
        (pretty(CVE5)[:-20], "stdin: not valid JSON"),
        (pretty({"dataType": "CVE_RECORD", **UNKNOWN}), "stdin: is JSON of no feed that is known"),
        (pretty({"a": [{"description": "x"}] * 9000}), "stdin: is JSON of no feed that is known"),
        (pretty({"version": "2.1.0", "runs": []}), "stdin: runs: List should have at least 1 item"),
        (pretty([UNKNOWN]), "stdin: is a JSON array"),
        (b"CVE-2021-0001\nCVE-20\n", "'CVE-20' is not a CVE id"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_place(data: bytes, message: str) -> None:
    try:
        given, errors = piped(data)
    except InputError as error:
        given, errors = [], [str(error)]
    assert (given, len(errors)) == ([], 1)
    assert errors[0].startswith(message)


def test_a_folder_is_read_but_for_its_bad_record(tmp_path: Path) -> None:
    for number in range(4):
        record = json.loads(pretty(CVE5))
        record["cveMetadata"]["cveId"] = f"CVE-2021-000{number}"
        (tmp_path / f"CVE-2021-000{number}.json").write_bytes(pretty(record))
    (tmp_path / "CVE-2021-0001.json").write_text('{"dataType": "CVE_RECORD"}')
    (tmp_path / "CVE-2021-0002.json").write_bytes(b"\0")
    bad: list[InputError] = []
    given = list(read_arguments([str(tmp_path)], report=bad.append))
    assert [g.id for g in given] == ["CVE-2021-0000", "CVE-2021-0003"]
    assert [Path(str(error.where)).stem[-4:] for error in bad] == ["0001", "0002"]


def test_a_cut_gzip_still_gives_the_lines_before_the_cut() -> None:
    lines = b"".join(json.dumps({"text": f"XSS number {i}"}).encode() + b"\n" for i in range(9000))
    stream = read_stream(io.BytesIO(gzip.compress(lines)[:-200]), "stdin", report=pytest.fail)
    read = []
    with pytest.raises(InputError, match="truncated"):
        for given in stream:
            read.append(given.text)
    assert read[0] == "XSS number 0"
    assert 0 < len(read) < 9000


def test_a_text_of_megabytes_in_a_line_is_one_record() -> None:
    row = json.dumps({"id": "big", "text": "XSS " * 500_000}).encode() + b"\n"
    given, bad = piped(row + JSONL)
    assert ([g.id for g in given], bad) == (["big", "a", 7], [])
    assert len(given[0].text) == 2_000_000


def arguments(*values: str) -> list[Given]:
    return list(read_arguments(values, report=pytest.fail))


def test_an_argument_is_a_file_where_one_of_that_name_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sql injection").write_bytes(JSONL)
    Path("note.txt").write_text(TEXT)
    assert len(arguments("sql injection")) == 2
    assert arguments("sql injections") == [Given("argument", "sql injections")]
    assert arguments("note.txt") == [Given("note.txt", TEXT)]


def test_several_arguments_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(JSONL)
    ids = [given.id for given in arguments("XSS here", str(path), "XSS there")]
    assert ids == ["argument:1", "a", 7, "argument:3"]


@pytest.mark.parametrize("text", ["", " ", "a\0b", "x" * 5000, "XSS\x1b[31m\u200b here"])
def test_any_text_is_taken_as_it_is(text: str) -> None:
    assert [given.text for given in arguments(text)] == [text]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["feed.jsonl"], "feed.jsonl: no such file"),
        (["./feed"], "./feed: no such file"),
        (["CVE-2021-12"], "'CVE-2021-12' is not a CVE id"),
        (["cve\u20132021\u201312"], "'cve\u20132021\u201312' is not a CVE id"),
        (["CVE-2021-44228v2"], "'CVE-2021-44228v2' is not a CVE id"),
        (["SQL", "injection"], "'SQL' is one word"),
        (["XSS in caf\udce9"], "the text: is not valid UTF-8"),
    ],
)
def test_an_argument_that_can_be_nothing_is_refused_at_once(
    values: list[str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_arguments(values, report=pytest.fail)
    assert str(caught.value).startswith(message)


def test_a_damaged_file_does_not_keep_the_next_from_being_read(tmp_path: Path) -> None:
    damaged, whole = tmp_path / "damaged.json.gz", tmp_path / "whole.jsonl"
    damaged.write_bytes(gzip.compress(FEED.read_bytes())[:-100])
    whole.write_bytes(JSONL)
    bad: list[InputError] = []
    given = list(read_arguments([str(damaged), str(whole)], report=bad.append))
    assert [g.id for g in given] == ["a", 7]
    assert "damaged.json.gz" in str(bad[0])


def test_cve_ids_are_looked_up_from_an_argument_and_from_a_pipe(tmp_path: Path) -> None:
    feed = shutil.copy(FEED, tmp_path / "feed.json")
    known = [v["cve"]["id"] for v in json.loads(FEED.read_bytes())["vulnerabilities"][:2]]
    spelled = [
        known[1].lower(),
        known[1].replace("-", "\u2011"),
        f"https://nvd.nist.gov/vuln/detail/{known[1]}",
    ]
    given = list(read_arguments(spelled, records=[feed], report=pytest.fail))
    assert [g.id for g in given] == [known[1]] * 3
    pipe = io.BytesIO("\n".join(known).encode())
    assert [g.id for g in read_stream(pipe, "stdin", records=[feed], report=pytest.fail)] == known


def test_where_nothing_can_be_looked_up_the_texts_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    bad: list[InputError] = []
    given = list(read_arguments([TEXT, "CVE-2021-44228"], report=bad.append))
    assert [g.text for g in given] == [TEXT]
    assert "no records in which to look up CVE-2021-44228" in str(bad[0])


def test_an_id_that_is_nowhere_is_reported_and_the_others_are_answered() -> None:
    known = json.loads(FEED.read_bytes())["vulnerabilities"][0]["cve"]["id"]
    bad: list[InputError] = []
    values = ["CVE-1999-0001", known]
    given = list(read_arguments(values, records=[FEED], report=bad.append))
    assert [g.id for g in given] == [known]
    assert str(bad[0]) == f"{FEED}: CVE-1999-0001 is not in it (give other --records)"
