"""A reader never sees half a file, and an error says where."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cybersecqwen import files
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import (
    atomic_write,
    exclusive,
    read_json,
    read_jsonl,
    readable,
    sha256_tree,
    spreadsheet_cell,
    spreadsheet_text,
    whole_folder,
    write_bytes,
    write_json,
    write_jsonl,
)


@pytest.mark.parametrize("text", ["=1", "'=1", "''-1", " +1", "'", "it's", "", "＝1", "plain"])
def test_the_mark_before_a_formula_can_be_taken_off_again(text: str) -> None:
    assert spreadsheet_text(spreadsheet_cell(text)) == text


def test_a_failed_write_leaves_the_older_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"a": 1}])

    def rows() -> object:
        yield {"a": 2}
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        write_jsonl(path, rows())
    assert list(read_jsonl(path)) == [{"a": 1}]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files is a real refusal by the kernel, as a full disk is.
    code = """
import resource, signal, sys
from pathlib import Path
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import write_jsonl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_jsonl(Path(sys.argv[1]), ({"text": "x" * 100} for _ in range(1000)))
except CyberSecQwenError as error:
    print(error)
"""
    target = tmp_path / "train.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "train.jsonl: cannot write: File too large" in done.stdout
    assert "free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_written_as_they_are_and_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "artifact.npz"
    for data in (bytes(range(256)) + b"\r\n", b""):
        write_bytes(path, data)
        assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["artifact.npz"]


def test_bytes_that_a_disk_refuses_leave_the_older_file(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(Path(sys.argv[1]), bytes(100_000))
except CyberSecQwenError as error:
    print(error)
"""
    target = tmp_path / "artifact.npz"
    write_bytes(target, b"older")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "artifact.npz: cannot write: File too large" in done.stdout
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"artifact.npz": b"older"}


def test_bytes_to_an_unwritable_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CyberSecQwenError, match="cannot write"):
        write_bytes(tmp_path / "file" / "below", b"never")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CyberSecQwenError, match="cannot write"):
        write_bytes(tmp_path / "folder", b"never")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_written_file_is_readable_by_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(mask)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644


def test_what_a_killed_process_left_is_deleted_by_the_next_to_write_there(tmp_path: Path) -> None:
    write = atomic_write(tmp_path / "out" / "in" / "rows.jsonl")
    write.__enter__().write("half")
    with exclusive(tmp_path / "out", below=False):
        assert len(list(tmp_path.rglob("*.partial"))) == 1  # a stage's own lock guards it
    (tmp_path / "..out.begun.json.abcd1234.partial").write_text("half")
    own = tmp_path / "out" / ".own.partial"
    own.write_text("of the user")
    with exclusive(tmp_path / "out"):
        assert list(tmp_path.rglob("*.partial")) == [own]


def test_what_a_killed_process_left_of_a_folder_is_deleted_by_the_next(tmp_path: Path) -> None:
    killed = whole_folder(tmp_path / "base")
    (killed.__enter__() / "half.json").write_text("{")
    with whole_folder(tmp_path / "base") as folder:
        (folder / "config.json").write_text("{}")
    assert [p.name for p in tmp_path.rglob("*")] == ["base", "config.json"]


def test_json_is_written_the_same_whatever_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": "é"})
    write_json(tmp_path / "b", {"a": "é", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not valid JSON"):
        list(read_jsonl(path))
    path.write_text('{"a": "\\ud83d\\ude00"}\n{"a": "\\ud83d"}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not valid Unicode"):
        list(read_jsonl(path))
    path.write_text("[1]\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: not a JSON object"):
        list(read_jsonl(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(json.dumps({"a": "x" * 999}).encode(), mtime=0)[:-20],
            "truncated or damaged",
        ),
        (gzip.compress(b"{}" * 99, mtime=0)[:12] + b"\xff" * 40, "truncated or damaged"),
        (b"no gzip at all", "truncated or damaged"),
        (gzip.compress(b'{"a":', mtime=0), "not valid JSON"),
    ],
)
def test_a_damaged_json_gz_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "feed.json.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_jsonl(tmp_path))


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CyberSecQwenError, match="cannot write"),
        atomic_write(tmp_path / "file" / "below") as file,
    ):
        file.write("never")


def test_a_tree_is_hashed_without_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("a")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "b").write_text("b")
    assert list(sha256_tree(tmp_path)) == ["sub/a"]


def test_a_disk_that_fills_up_while_a_file_is_unpacked_is_no_fault_of_the_file() -> None:
    with pytest.raises(OSError, match="No space left"), readable("feed.zip"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("content", ["[" * 99_999, '{"n": ' + "7" * 5_000 + "}"])
def test_endless_json_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(InputError, match=r"m\.json: no usable JSON"):
        read_json(tmp_path / "m.json")


def test_no_more_than_fits_into_memory_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MOST", 1_000)
    (tmp_path / "m.json.gz").write_bytes(gzip.compress(b" " * 1_001))
    with pytest.raises(InputError, match=r"m\.json\.gz: holds more than"):
        read_json(tmp_path / "m.json.gz")
