"""Folders and archives open the same way, and a damaged one never reads as a short one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.formats import archives
from cybersecqwen.formats.archives import HEAD, members, unpacked

NOISE = random.Random(3).randbytes(5000)
FILES = {"a/1.json": b'{"n": 1}', "b/2.json": b'{"n": 2}', "b/3.json": NOISE}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("a")
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def read(path: Path) -> dict[str, bytes]:
    return {member.name: member.read() for member in members(path)}


def test_a_folder_is_walked_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name, data in {**FILES, ".git/x.json": b"", "b/.tmp.json": b""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert list(read(tmp_path).items()) == list(FILES.items())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped(FILES)),
        ("x.zip", zipped({"cves.zip": zipped(FILES)})),
        ("x.tar", tarred(FILES, "w")),
        ("x.tar.gz", tarred(FILES, "w:gz")),
        ("x.tgz", tarred(FILES, "w:gz")),
        ("zip-without-an-ending", zipped(FILES)),
        ("tar-without-an-ending", tarred(FILES, "w")),
        ("packed-tar-without-an-ending", tarred(FILES, "w:gz")),
    ],
)
def test_every_archive_gives_its_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == FILES


def test_where_names_the_archive_and_the_member(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"in.zip": zipped({"a/1.json": b""})}))
    assert [member.where for member in members(path)] == [f"{path}:in.zip:a/1.json"]


def test_a_gzipped_member_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"f.json.gz": gzip.compress(b"{}", mtime=0)}))
    assert read(tmp_path / "x.zip") == {"f.json.gz": b"{}"}


TAR = tarred(FILES, "w")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped(FILES)[:-30]),
        ("x.zip", zipped(FILES)[:3000]),
        ("x.zip", b""),
        ("x.zip", zipped({"cves.zip": zipped(FILES)[:-30]})),
        ("x.zip", zipped({"f.json.gz": gzip.compress(b"{}", mtime=0)[:-4]})),
        ("x.tar.gz", tarred(FILES, "w:gz")[:-600]),
        ("x.tar.gz", b"<html>"),
        ("x.tar", TAR[: 512 * 4 + 2000]),  # inside the third file
        ("x.tar", TAR[: 512 * 4 + 100]),  # inside its header
        ("x.tar", TAR[: 512 * 4]),  # exactly before it
        ("x.json.gz", gzip.compress(NOISE, mtime=0)[:-8]),
        ("x.json.gz", gzip.compress(NOISE, mtime=0)[:99] + bytes(5000)),
    ],
)
def test_a_damaged_archive_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged") as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_the_head_of_a_member_leaves_its_whole_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"f.json.gz": gzip.compress(NOISE * 20, mtime=0)}))
    for member in members(tmp_path / "x.zip"):
        assert member.head() == (NOISE * 20)[:HEAD]
        assert member.read() == NOISE * 20


def test_an_unknown_packing_within_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = bytearray(zipped({"a/1.json": b"{}"}))
    for header, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.rindex(header) + method] = 99
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip: is truncated or damaged: .*method"):
        read(path)


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"a\.json: is no regular file"):
        list(members(tmp_path))


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_what_a_pipe_unpacks_to_is_bounded_too(
    packed: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_FREE", 10_000)
    text = random.Random(1).randbytes(15_000)
    assert unpacked(pipe(packed(text))).read() == text
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        unpacked(pipe(packed(bytes(10_000_000)))).read()


def pipe(data: bytes) -> IO[bytes]:
    """Return a pipe that holds less than 64 kB."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(data)
    return os.fdopen(reading, "rb")
