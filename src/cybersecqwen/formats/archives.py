"""Open what upstream ships, whatever it is wrapped in: the members of folders and archives.

    for member in members(Path("main.zip")):     # also a folder, a tar, a zip in a zip, one file
        record = parse(Record, member.read(), member.where)

An archive is known by its name's ending, so that a cut-off one is reported and not mistaken for
something else, or by its first bytes.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cybersecqwen import files
from cybersecqwen.errors import InputError

HEAD = 1 << 16  # bytes by which a format is recognised
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_USTAR = slice(257, 262)  # where a tar says that it is one
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file, unpacked, by which its feed is recognised."""

    name: str  # of the file, or of the member in its archive
    data: bytes

    def keys(self) -> set[str]:
        """List the keys of the JSON object that the data begin with; none for anything else.

        >>> sorted(Head("", b'{"type": "bundle", "objects": [{"id": 1}, {"ty').keys())
        ['objects', 'type']
        """
        data = self.data.removeprefix(b"\xef\xbb\xbf").lstrip()
        depth, keys = 0, set()
        for token in _TOKEN.finditer(data) if data.startswith(b"{") else ():
            if token[0] in (b"{", b"["):
                depth += 1
            elif token[0] in (b"}", b"]"):
                depth -= 1
                if not depth:
                    break
            elif depth == 1 and token[2]:
                keys.add(token[1].decode(errors="replace"))
        return keys


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a folder or archive; it can be read until the next member is taken."""

    name: str
    where: str
    file: IO[bytes]

    def read(self) -> bytes:
        """Read the whole content, unpacked where it is gzipped."""
        return self._read(-1)

    def head(self) -> bytes:
        """Read the first HEAD bytes of the content."""
        return self._read(HEAD)

    def _read(self, size: int) -> bytes:
        with readable(self.where):
            if self.file.tell():
                self.file.seek(0)
            packed = self.file.read(len(GZIP)) == GZIP or self.name.endswith(".gz")
            self.file.seek(0)
            return (gzip.GzipFile(fileobj=self.file) if packed else self.file).read(size)


def members(path: Path) -> Iterator[Member]:
    """Yield the files of a folder, a zip (zips inside it too) or a tar, or the file itself.

    Raises InputError on what is missing, truncated or damaged, at the latest when its last
    member was taken.
    """
    with readable(path):
        if path.is_dir():
            yield from _in_folder(path)
        elif path.suffix == ".zip" or first_bytes(path).startswith(ZIP):
            with path.open("rb") as file:
                yield from _in_zip(file, str(path))
        elif is_tar(path):
            yield from _in_tar(path)
        else:
            yield from _in_file(path)


def is_tar(path: Path) -> bool:
    """Tell a tar, packed or not, by its name or its first bytes."""
    named = ".tar" in path.suffixes or path.suffix == ".tgz"
    return named or is_archive(first_bytes(path))


def is_archive(data: bytes) -> bool:
    """Tell a zip or a tar by its first bytes."""
    return data.startswith(ZIP) or data[_USTAR] == b"ustar"


def first_bytes(path: Path, size: int = _USTAR.stop) -> bytes:
    """Read the beginning of a file, unpacked as far as it is gzipped and whole."""
    with readable(path), path.open("rb") as file:
        data = file.read(max(size, 1024))
        if data.startswith(GZIP):
            data = zlib.decompressobj(wbits=31).decompress(data, size)
        return data[:size]


def read_only(path: Path, ending: str) -> bytes:
    """Read the one file of an archive whose name has `ending` in it, or the file itself."""
    for member in members(path):
        if ending in member.name or member.where == str(path):
            return member.read()
    raise InputError(f"holds no {ending} file", where=path, tip="give the file as upstream serves")


def is_gzip(path: Path) -> bool:
    """Tell a gzipped file by its first bytes."""
    with readable(path), path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def unpacked(stream: IO[bytes]) -> io.BufferedReader:
    """Return a stream's content, unpacked where it is gzipped."""
    buffered = stream if isinstance(stream, io.BufferedReader) else _buffered(stream)
    if not buffered.peek(len(GZIP)).startswith(GZIP):
        return buffered
    return _buffered(gzip.GzipFile(fileobj=buffered))


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(stream, HEAD)


def readable(where: object) -> AbstractContextManager[None]:
    """Turn the errors of the archive libraries and the disk into an InputError at `where`."""
    return files.readable(where, damage=(zipfile.BadZipFile, tarfile.TarError))


def _in_folder(folder: Path) -> Iterator[Member]:
    """Walk a folder in the order of names, without what is hidden."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue  # caches and half-written files are no input
        if path.is_dir():
            for member in _in_folder(path):
                yield Member(f"{path.name}/{member.name}", member.where, member.file)
        else:
            yield from _in_file(path)


def _in_file(path: Path) -> Iterator[Member]:
    # Opened before it is read, so that a missing file is an error at once.
    with path.open("rb") as file:
        yield Member(path.name, str(path), file)


def _in_zip(file: IO[bytes], label: str) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            where = f"{label}:{info.filename}"
            if info.is_dir():
                continue
            with archive.open(info) as member:
                if info.filename.endswith(".zip"):
                    # To a real file: seeking back in a compressed member unpacks it anew.
                    with tempfile.TemporaryFile() as unpacked:
                        shutil.copyfileobj(member, unpacked)
                        yield from _in_zip(unpacked, where)
                else:
                    yield Member(info.filename, where, member)


def _in_tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for info in archive:
            where = f"{path}:{info.name}"
            member = archive.extractfile(info) if info.isfile() else None
            if member is not None:
                yield Member(info.name, where, member)
        # tarfile takes a cut inside a header for the end; a whole archive ends in zeros.
        end = archive.fileobj
        if end is not None:
            end.seek(archive.offset)
            if end.read(512) != bytes(512):
                raise EOFError("the end of the archive is missing")
