"""Whatever a text stands in, it is compared: any column, file, format, separator and encoding."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.audit import Audit, run_audit
from cybersecqwen.contamination.certificate import certify
from cybersecqwen.contamination.training_rows import read_rows
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import write_jsonl
from cybersecqwen.formats import archives, encoding, json_stream
from cybersecqwen.sample import BENCHMARK, FEED

ITEMS = read_benchmark(BENCHMARK)
ITEM = ITEMS["cti-rcm"][3]
COPY = ITEM.text
HARMLESS = "Rain fell all day over the hills."


def audited(path: Path) -> Audit:
    return run_audit(path, ITEMS, Contamination(), allow_unreadable=True)


def hit(audit: Audit) -> bool:
    return ("cti-rcm", 3) in {(o.hit.task, o.hit.item) for o in audit.overlaps}


def rules(audit: Audit) -> set[str]:
    return {rule for o in audit.overlaps if o.hit.item == 3 for rule, _ in o.hit.rules}


def test_the_copy_is_what_a_clean_row_lacks(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t.jsonl", [{"text": HARMLESS}])
    assert audited(tmp_path / "t.jsonl").verdict == "clean"


COLUMNS: dict[str, tuple[dict[str, Any], str]] = {
    "context beside an instruction": (
        {"instruction": "Map it.", "context": COPY, "response": ITEM.gold},
        "context",
    ),
    "context of a question": ({"context": COPY, "question": "Which?", "answer": "C"}, "context"),
    "passage of an unknown form": ({"passage": COPY, "target": ITEM.gold}, "passage"),
    "system": ({"instruction": "Map it.", "output": ITEM.gold, "system": COPY}, "system"),
    "history": (
        {"instruction": "And?", "output": "No.", "history": [[COPY, ITEM.gold]]},
        "history[][]",
    ),
    "documents": (
        {"prompt": "Read.", "completion": "Done.", "documents": [{"title": "A", "body": COPY}]},
        "documents[].body",
    ),
    "rejected": ({"prompt": "Say.", "chosen": "No.", "rejected": COPY}, "rejected"),
    "tool call": (
        {
            "messages": [
                {"role": "user", "content": "Look it up."},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"function": {"name": "f", "arguments": json.dumps({"q": COPY})}}
                    ],
                },
            ]
        },
        "messages[].tool_calls[].function.arguments{}.q",
    ),
    "reasoning": (
        {"messages": [{"role": "assistant", "content": "Yes.", "reasoning_content": COPY}]},
        "messages[].reasoning_content",
    ),
    "tokens": ({"tokens": COPY.split(), "id": "7"}, "tokens[]"),
    "list of texts": ({"prompt": "Say.", "completion": ["No.", COPY]}, "completion[]"),
    "a key": ({"labels": {COPY: ITEM.gold}}, "labels.*"),
    "row in a text": ({"json": json.dumps({"instruction": "Map.", "input": COPY})}, "json{}.input"),
    "JSON twice": ({"row": json.dumps({"inner": json.dumps([COPY])})}, "row{}.inner{}[]"),
    "JSON in prose": (
        {"text": f"So: <call>{json.dumps({'q': COPY.replace(' ', chr(10))})}</call> it is."},
        "text{}.q",
    ),
    "JSON behind what looks like it": (
        {"text": "{{ " * 500 + f"<call>{json.dumps({'q': COPY.replace(' ', chr(10))})}</call>"},
        "text{}.q",
    ),
    "soft hyphens": ({"text": COPY.replace("e", "e\u00ad")}, "text"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_text_is_compared_in_any_column(kind: str, tmp_path: Path) -> None:
    row, column = COLUMNS[kind]
    write_jsonl(tmp_path / "t.jsonl", [{"text": HARMLESS}, row])
    audit = audited(tmp_path / "t.jsonl")
    assert hit(audit) and audit.verdict == "contaminated"
    assert audit.train_rows == 2
    assert column in audit.reading.columns
    assert {o.row.number for o in audit.overlaps} == {1}


def test_messages_in_a_text_are_judged_as_messages_are(tmp_path: Path) -> None:
    content = f'Map it:\n\n{COPY.replace(" ", chr(10), 3)} "Übel"'
    chat = [{"role": "user", "content": content}, {"role": "assistant", "content": ITEM.gold}]
    write_jsonl(tmp_path / "flat.jsonl", [{"messages": chat}])
    write_jsonl(tmp_path / "text.jsonl", [{"messages": json.dumps(chat)}])
    flat, text = audited(tmp_path / "flat.jsonl"), audited(tmp_path / "text.jsonl")
    assert rules(flat) == rules(text) >= {"normalised", "answer-aware"}
    assert flat.reading.columns == text.reading.columns


def test_a_row_counts_once_whatever_the_number_of_its_texts(tmp_path: Path) -> None:
    row = {"prompt": COPY, "chosen": ITEM.gold, "rejected": COPY, "context": COPY}
    write_jsonl(tmp_path / "t.jsonl", [row])
    audit = audited(tmp_path / "t.jsonl")
    assert (audit.train_rows, dict(audit.forms)) == (1, {"prompt/chosen": 1})
    assert len([o for o in audit.overlaps if o.hit.item == 3 and o.hit.task == "cti-rcm"]) == 1
    assert "answer-aware" in rules(audit)


METADATA = {
    "cve": "CVE-2020-7700001",
    "source": "https://example.org/a-flaw-in-the-import-dialog/of-a-tool/lets-a-user",
    "references": [f"https://example.org/advisories/{n}" for n in range(9)],
    "published": "2020-01-02T03:04:05",
    "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "tags": ["CWE-79", "CWE-89", "CWE-22", "CWE-20", "CWE-787", "CWE-125"],
}


def test_metadata_beside_a_text_is_read_and_changes_nothing(tmp_path: Path) -> None:
    plain = [{"prompt": HARMLESS, "completion": "CWE-1"}, {"prompt": COPY, "completion": "CWE-1"}]
    write_jsonl(tmp_path / "plain.jsonl", plain)
    write_jsonl(tmp_path / "rich.jsonl", [METADATA | row for row in plain])
    poor, rich = audited(tmp_path / "plain.jsonl"), audited(tmp_path / "rich.jsonl")
    assert [(o.row.number, o.hit) for o in poor.overlaps] == [
        (o.row.number, o.hit) for o in rich.overlaps
    ]
    assert {"cve", "references[]", "tags[]"} <= set(rich.reading.columns)


def test_a_phrase_in_a_small_column_is_no_share_of_the_row(tmp_path: Path) -> None:
    phrase = " ".join(COPY.split()[:15])
    row = {"prompt": f"{HARMLESS} " * 9, "completion": "No."}
    write_jsonl(tmp_path / "quoted.jsonl", [row | {"support": [phrase, "another phrase"]}])
    write_jsonl(tmp_path / "copied.jsonl", [row | {"support": [COPY]}])
    write_jsonl(tmp_path / "alone.jsonl", [{"support": phrase}])
    assert audited(tmp_path / "quoted.jsonl").verdict == "clean"
    assert {"exact", "ngram"} <= rules(audited(tmp_path / "copied.jsonl"))
    assert "ngram" in rules(audited(tmp_path / "alone.jsonl"))


ROWS = [{"prompt": HARMLESS, "completion": "No."}, {"prompt": COPY, "completion": ITEM.gold}]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CELLS = [[row["prompt"], row["completion"]] for row in ROWS]


def table(separator: str, *, quoted: bool = True, header: bool = True) -> bytes:
    lines = [["prompt", "completion"], *CELLS] if header else CELLS
    quote = '"' if quoted else ""
    return "".join(
        separator.join(f"{quote}{cell}{quote}" for cell in line) + "\n" for line in lines
    ).encode()


def zipped(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._train.jsonl", b"\0\5\x16\7junk")
        archive.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


PRETTY = json.dumps(ROWS, indent=2).encode()
FILES: dict[str, bytes] = {
    "t.jsonl": JSONL,
    "t.JSONL": JSONL,
    "t.ndjson": JSONL,
    "t.json": JSONL,
    "lines.txt": JSONL,
    "noending": JSONL,
    "array.jsonl": PRETTY,
    "pretty.json": PRETTY,
    "splits.json": json.dumps({"train": ROWS[:1], "test": ROWS[1:]}).encode(),
    "nested.json": json.dumps({"v": "1", "data": {"a": {"rows": ROWS}}}).encode(),
    "columns.json": json.dumps({"q": [HARMLESS, COPY], "a": ["No.", ITEM.gold]}).encode(),
    "texts.json": json.dumps([HARMLESS, COPY]).encode(),
    "one.json": json.dumps({"messages": [{"role": "user", "content": COPY}], "id": 1}).encode(),
    "twice.jsonl": f'{{"text": {json.dumps(COPY)}, "text": "{HARMLESS}"}}\n'.encode(),
    "twice.json": f'[{{"text": {json.dumps(COPY)}, "text": "{HARMLESS}"}}]'.encode(),
    "twice.csv": f'text,text,\n"{COPY}","{HARMLESS}",\n'.encode(),
    "readme.jsonl": JSONL,
    "half.json": json.dumps([{"text": f"{COPY} \ud83d"}]).encode(),
    "t.csv": table(","),
    "semicolon.csv": table(";"),
    "bare.csv": table(";", quoted=False),
    "pipe.csv": table("|", quoted=False),
    "tab.csv": table("\t", quoted=False),
    "headless.csv": table(";", header=False),
    "quote.tsv": f'a\tb\n"{HARMLESS}" she said\tx\n{COPY}\t1\n"{HARMLESS}\tz\n'.encode(),
    "open.csv": f'a;b\n"{HARMLESS};x\n{COPY};1\n'.encode(),
    "t.tsv": table("\t", quoted=False),
    "T.TSV": table("\t"),
    "t.txt": f"{HARMLESS}\n{COPY}\n".encode(),
    "t.md": f"# Notes\n\n> {COPY}\n".encode(),
    "t.jsonl.gz": gzip.compress(JSONL),
    "t.JSONL.GZ": gzip.compress(JSONL),
    "t.json.bz2": bz2.compress(PRETTY),
    "t.csv.xz": lzma.compress(table(";")),
    "t.zip": zipped("data/train.jsonl", JSONL),
    "T.ZIP": zipped("data/B.CSV", table(",")),
    "mark.jsonl": b"\xef\xbb\xbf" + JSONL,
    "mark.json": b"\xef\xbb\xbf" + PRETTY,
    "utf16.jsonl": JSONL.decode().encode("utf-16"),
    "utf16.csv": table(";").decode().encode("utf-16"),
    "utf32.txt": COPY.encode("utf-32"),
    "joined.jsonl": b"\xef\xbb\xbf".join((b"", JSONL[: JSONL.index(b"\n") + 1], JSONL)),
    **{
        f"{name}.csv": table(";").decode().encode(name)
        for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    },
    "t.tbz2": bz2.compress(tarred("data/t.jsonl", JSONL)),
    "t.txz": lzma.compress(tarred("data/t.jsonl", JSONL)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_text_is_compared_in_any_file(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / name, tmp_path / "set" / "data" / name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    write_jsonl(tmp_path / "set" / "data" / "a.jsonl", [{"text": HARMLESS}])
    for path in (tmp_path / name, tmp_path / "set"):
        audit = audited(path)
        assert hit(audit), path
        assert audit.reading.unreadable.lines() == []


@pytest.mark.parametrize(
    "name", ["t.parquet", "t.parquet.gz", "t.arrow", "t.feather", "t.jsonl.zst"]
)
def test_a_text_is_compared_in_files_of_arrows_library(name: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    path, rows = tmp_path / name, [{"doc": {"body": [{"t": row["prompt"]}]}} for row in ROWS]
    rows_table = pyarrow.Table.from_pylist(rows)
    if name.endswith("zst"):
        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(JSONL)
    elif name.endswith("arrow"):
        with pyarrow.ipc.new_stream(str(path), rows_table.schema) as writer:
            writer.write_table(rows_table)
    elif name.endswith("feather"):
        feather.write_feather(rows_table, str(path))
    else:
        buffer = io.BytesIO()
        parquet.write_table(rows_table, buffer)
        data = buffer.getvalue()
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    audit = audited(path)
    assert hit(audit) and not audit.reading.unreadable
    assert set(audit.reading.columns) <= {"doc.body[].t", "prompt", "completion"}


def test_text_of_another_encoding_is_read_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"id;body\n1;na\xefve caf\xe9\n2;" + COPY.encode() + b"\n")
    audit = audited(tmp_path / "t.csv")
    assert hit(audit)
    assert audit.reading.notes.lines() == ["t.csv: is not UTF-8, and was read as Windows-1252"]


def binary(folder: Path) -> Path:
    (folder / "model.bin").write_bytes(b"\0\1\2" * 99)
    return folder


def pdf(folder: Path) -> Path:
    (folder / "b.pdf").write_bytes(b"%PDF-1.4\n1 0 obj <</Filter /FlateDecode>> stream\nx\x9c\xed")
    return folder


def pickled(folder: Path) -> Path:
    (folder / "b.pkl").write_bytes(pickle.dumps({"text": COPY}, 4).replace(b"\0", b"\1"))
    return folder


def token_ids(folder: Path) -> Path:
    write_jsonl(folder / "b.jsonl", [{"text": HARMLESS, "input_ids": [1, 2, 3]}])
    return folder


def lfs_pointer(folder: Path) -> Path:
    (folder / "b.parquet").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n"
    )
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "b.jsonl")
    return folder


def device(folder: Path) -> Path:
    (folder / "b.jsonl").symlink_to("/dev/zero")
    return folder


def endless_looks(folder: Path) -> Path:
    write_jsonl(folder / "b.jsonl", [{"text": "\\" + "[" * 20_000}])
    return folder


def too_deep(folder: Path) -> Path:
    (folder / "b.jsonl").write_text('{"a": ' + "[" * 300 + '"x"' + "]" * 300 + ', "text": "b"}\n')
    return folder


def endless_brackets(folder: Path) -> Path:
    (folder / "b.json").write_text("[" * 100_000)
    return folder


def endless_digits(folder: Path) -> Path:
    (folder / "b.json").write_text('{"text": "a b c", "n": ' + "7" * 5_000 + "}")
    return folder


def ragged(folder: Path) -> Path:
    (folder / "b.csv").write_text(f"text,label\na,b\n{HARMLESS},2,3,4\n")
    return folder


def broken_link(folder: Path) -> Path:
    (folder / "b.jsonl").symlink_to("nowhere.jsonl")
    return folder


def truncated(folder: Path) -> Path:
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(JSONL)[:-9])
    return folder


def encrypted(folder: Path) -> Path:
    data = bytearray(zipped("t.jsonl", JSONL))
    for place in (data.find(b"PK\3\4", 40) + 6, data.rfind(b"PK\1\2") + 8):
        data[place] |= 1
    (folder / "b.zip").write_bytes(data)
    return folder


def bomb(folder: Path) -> Path:
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b" " * (4 << 20)))
    return folder


def repeated(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 500), [HARMLESS * 1_000])
    parquet.write_table(pyarrow.table({"text": texts}), folder / "b.parquet")
    return folder


def nothing(folder: Path) -> Path:
    (folder / "a.jsonl").write_text("")
    return folder


WRONG = (
    endless_brackets,
    endless_digits,
    ragged,
    truncated,
    encrypted,
    bomb,
    repeated,
    broken_link,
)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE", 1 << 20)


UNREAD = (binary, pdf, pickled, token_ids, lfs_pointer, pipe, device, endless_looks, too_deep)


@pytest.mark.parametrize("make", [*UNREAD, nothing, *WRONG])
def test_what_is_not_read_makes_it_not_proven_clean(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": HARMLESS}])
    audit = audited(make(tmp_path))
    assert audit.verdict == "not proven clean"
    lines = audit.reading.unreadable.lines()
    assert make is nothing or any("/b." in line or "model.bin" in line for line in lines)
    assert not any(str(tmp_path.parent) in line for line in lines)


def test_a_file_whose_package_is_missing_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write_jsonl(tmp_path / "a.jsonl", [{"text": HARMLESS}])
    (tmp_path / "b.jsonl.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(CyberSecQwenError, match="pip install"):
        run_audit(tmp_path, ITEMS, Contamination())
    audit = audited(tmp_path)
    assert (audit.verdict, audit.train_rows) == ("not proven clean", 1)


def test_a_folder_that_may_not_be_read_is_listed_and_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:  # also for a user who may read everything
        if folder.name == "b":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    write_jsonl(tmp_path / "a.jsonl", [{"text": HARMLESS}])
    (tmp_path / "b").mkdir()
    audit = audited(tmp_path)
    assert (audit.verdict, len(audit.reading.unreadable)) == ("not proven clean", 1)
    certificate = certify(
        *(audit,), train=tmp_path, benchmark=ITEMS, settings=Contamination(), rules=(), outputs=()
    )
    assert certificate["inputs"]["train"]["b"] == "unreadable"


def test_what_stands_behind_a_damaged_file_of_an_archive_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", JSONL * 9)
        archive.writestr("b.jsonl", JSONL)
    data = bytearray((tmp_path / "t.zip").read_bytes())
    data[60] ^= 255
    (tmp_path / "t.zip").write_bytes(data)
    audit = audited(tmp_path / "t.zip")
    assert hit(audit)
    assert [line.partition(": ")[0] for line in audit.reading.unreadable.lines()] == [
        "t.zip:a.jsonl"
    ]


def test_contamination_counts_before_what_is_not_read(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "c.jsonl", [{"text": COPY}])
    assert audited(binary(tmp_path)).verdict == "contaminated"


def test_sidecars_and_hidden_files_are_passed_over_by_name(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"text": HARMLESS}])
    for name in (".DS_Store", "._train.jsonl", ".cache/x.jsonl", "__MACOSX/train.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0junk")
    (tmp_path / "README.md").write_text(f"# Card\n{HARMLESS}\n")
    (tmp_path / "dataset_infos.json").write_text(json.dumps({"default": {"description": COPY}}))
    (tmp_path / "manifest.json").write_text(json.dumps({"repo": "a", "files": {"t": {"n": 1}}}))
    audit = audited(tmp_path)
    assert (audit.verdict, audit.train_rows) == ("clean", 1)
    said = "\n".join(audit.reading.passed_over.lines())
    for name in (".DS_Store", "__MACOSX", "README.md", "dataset_infos.json", "manifest.json"):
        assert f"{name}: " in said


def test_a_sidecar_with_text_is_read(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"text": HARMLESS}])
    (tmp_path / "manifest.json").write_text(json.dumps({"repo": "a", "about": {"example": COPY}}))
    assert hit(audited(tmp_path))


def test_no_more_than_five_lines_of_a_kind_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"text": "{HARMLESS}"}}\n' + "{oops\n" * 40 + '{"label": "CWE-79"}\n' * 9)
    audit = audited(path)
    lines = audit.reading.unreadable.lines()
    assert len(audit.reading.unreadable) == 49 and len(lines) == 12
    assert lines[5].startswith("… and 35 more") and lines[-1].startswith("… and 4 more")


@pytest.mark.parametrize("make", WRONG)
def test_what_is_wrong_stops_an_audit_that_does_not_allow_it(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(CyberSecQwenError) as caught:
        run_audit(make(tmp_path), ITEMS, Contamination())
    assert "/b." in str(caught.value) and "\n" not in str(caught.value)


def test_records_in_a_folder_hide_no_other_file(tmp_path: Path) -> None:
    shutil.copy(FEED, tmp_path / "feed.json")
    alone = audited(tmp_path)
    assert set(alone.forms) == {"record"}
    for name, content in (("notes.txt", COPY), ("zz.json", json.dumps([{"text": COPY}]))):
        (tmp_path / name).write_text(content)
        both = audited(tmp_path)
        assert hit(both) and both.forms == alone.forms + Counter({"text": 1})
        with zipfile.ZipFile(tmp_path.with_suffix(".zip"), "w") as archive:
            for file in tmp_path.iterdir():
                archive.write(file, file.name)
        assert audited(tmp_path.with_suffix(".zip")).forms == both.forms
        (tmp_path / name).unlink()


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    write_jsonl(tmp_path / "blobs" / "x", [{"text": COPY}])
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "data").symlink_to(tmp_path / "blobs")
    (snapshot / "again").symlink_to(snapshot)
    (tmp_path / "blobs" / "round").symlink_to(snapshot)
    audit = audited(snapshot)
    assert hit(audit) and audit.train_rows == 1


@pytest.mark.parametrize("name", ["b.arrow", "b.feather"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (
            bytes([0, 0, 0, 0, 77, 0, 0, 0, 99, 0, 0, 0]),
            bytes([0, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 9]),
        ),
        (
            bytes([0, 0, 0, 0, 77, 0, 0, 0, 99, 0, 0, 0]),
            bytes([0, 0, 0, 0, 0, 0, 0, 99, 99, 0, 0, 0]),
        ),
        (b"x" * 22, b"x\xff" * 11),
    ],
)
def test_damaged_text_of_arrows_library_is_listed(
    name: str, good: bytes, bad: bytes, tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    damaged = pyarrow.table({"text": ["a " * 38 + "a", "x" * 22]})
    new = pyarrow.ipc.new_stream if name == "b.arrow" else pyarrow.ipc.new_file
    with new(str(tmp_path / name), damaged.schema) as writer:
        writer.write_table(damaged)
    data = (tmp_path / name).read_bytes()
    assert data.count(good) == 1
    (tmp_path / name).write_bytes(data.replace(good, bad))
    write_jsonl(tmp_path / "a.jsonl", [{"text": COPY}])
    audit = audited(tmp_path)
    assert hit(audit) and audit.train_rows == 1 + (good[:1] == b"x")  # only one row is not UTF-8
    (line,) = audit.reading.unreadable.lines()
    assert line.startswith(f"{tmp_path.name}/{name}")


def test_text_in_parquet_that_is_not_utf8_is_listed(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    offsets = pyarrow.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 2, 2 + len(COPY))))
    buffers = [None, offsets, pyarrow.py_buffer(b"\xff\xfe" + COPY.encode())]
    column = pyarrow.Array.from_buffers(pyarrow.string(), 2, buffers)
    parquet.write_table(pyarrow.table({"text": column}), tmp_path / "t.parquet")
    audit = audited(tmp_path / "t.parquet")
    assert hit(audit)
    assert audit.reading.unreadable.lines() == ["t.parquet:1: is not UTF-8 (convert the file)"]


def test_a_line_of_any_length_is_refused_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "LINE", 2_000)
    row = json.dumps({"text": COPY})
    (tmp_path / "t.jsonl").write_text(f'{{"text": "{"a b " * 3_000}"}}\n{row}\n')
    audit = audited(tmp_path / "t.jsonl")
    assert hit(audit) and {o.row.where for o in audit.overlaps} == {"t.jsonl:2"}
    (line,) = audit.reading.unreadable.lines()
    assert line == "t.jsonl:1: a line of more than 2,000 characters (split it)"


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_json_is_read_the_same_by_pieces_of_any_length(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    content = {
        "v": 1.5,
        "train": [{"text": f"Ü {n}", "n": 12345} for n in range(9)],
        "t": {"x": []},
    }
    (tmp_path / "t.json").write_text(json.dumps(content, indent=1))
    read = list(read_rows(tmp_path / "t.json"))
    assert [(row.where, row.row.text) for row in read] == [
        (f"{tmp_path}/t.json:{n + 1}", f"Ü {n}") for n in range(9)
    ]
