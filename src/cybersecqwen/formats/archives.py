"""Open what upstream ships, whatever it is wrapped in: the members of folders and archives.

    for member in members(Path("main.zip")):     # also a folder, a tar, a zip in a zip, one file
        record = parse(Record, member.read(), member.where)

An archive is known by its name's ending, so that a cut-off one is reported and not mistaken for
something else, or by its first bytes. Hidden files are passed over, and what unpacks to far more
than its size is refused.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cybersecqwen import files
from cybersecqwen.errors import InputError, extra

HEAD = 1 << 16  # bytes by which a format is recognised
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_USTAR = slice(257, 262)  # where a tar says that it is one
_TARS = [[".tgz"], [".tbz"], [".tbz2"], [".txz"]]
_MOST = 1 << 30  # bytes of one file that are held at once
_FREE = 1 << 28  # bytes that anything may unpack to
_RATIO = 200  # times its size that a larger file may unpack to: text seldom exceeds 20
# The last is a packing that Python's zipfile does not know.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, NotImplementedError)
_HIDDEN = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_MARKS = {  # the longer ones first: that of UTF-32 begins as that of UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LFS = b"version https://git-lfs.github.com/spec/"
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
        data = utf8(self.data).lstrip()
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


def refuse_pointer(data: bytes, where: object) -> None:
    """Raise InputError where a file of Git LFS was not fetched, and a pointer lies in its place."""
    if data.startswith(_LFS):
        raise InputError("is a Git LFS pointer", where=where, tip="run git lfs pull")


def marked_encoding(data: bytes) -> str:
    """Name the encoding that a byte order mark tells, "" without one."""
    return next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")


def utf8(data: bytes) -> bytes:
    """Return text in UTF-8 and without a byte order mark, whatever that says it is in."""
    encoding = marked_encoding(data)
    return data.decode(encoding, "replace").encode() if encoding else data


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a folder or archive; it can be read until the next member is taken."""

    name: str
    where: str
    file: IO[bytes]

    def read(self) -> bytes:
        """Read the whole content, unpacked where it is packed."""
        return self._read(-1)

    def head(self) -> bytes:
        """Read the first HEAD bytes of the content."""
        return self._read(HEAD)

    def _read(self, size: int) -> bytes:
        with readable(self.where):
            if self.file.tell():
                self.file.seek(0)
            head = self.file.read(_MAGIC)
            self.file.seek(0)
            opened = _PACKED[GZIP] if self.name.lower().endswith(".gz") else _opener(head)
            file = opened(self.file) if opened else self.file
            data = file.read(size if size >= 0 else _MOST + 1)
            if len(data) > _MOST:
                raise InputError("holds more than 1 GiB", where=self.where, tip="split the file")
            return data


def members(
    path: Path, *, skipped: Callable[[str], object] = lambda name: None
) -> Iterator[Member]:
    """Yield the files of a folder, a zip (zips inside it too) or a tar, or the file itself.

    Hidden files go to `skipped` by their place. Raises InputError on what is missing, truncated
    or damaged, at the latest when its last member was taken.
    """
    with readable(path):
        if path.is_dir():
            for inner, name in folder_files(path, skipped=skipped):
                if is_special(inner):
                    raise special(inner)
                yield from _in_file(inner, name)
        elif path.suffix.lower() == ".zip" or first_bytes(path).startswith(ZIP):
            with path.open("rb") as file:
                yield from _in_zip(file, str(path), skipped)
        elif is_tar(path):
            yield from _in_tar(path, skipped)
        else:
            yield from _in_file(path, path.name)


def is_hidden(name: str) -> bool:
    """Tell a file that an operating system or a tool left, by its path in a folder or archive."""
    parts = name.replace("\\", "/").split("/")
    return any(
        (part.startswith(".") and part not in (".", "..")) or part in _HIDDEN for part in parts
    )


def is_special(path: Path) -> bool:
    """Tell a pipe, a socket or a device, which may block or never end."""
    return path.exists() and not (path.is_file() or path.is_dir())


def special(path: Path) -> InputError:
    """Return the error of a pipe, a socket or a device in a folder."""
    return InputError("is no regular file", where=path, tip="take it out of the folder")


def is_tar(path: Path) -> bool:
    """Tell a tar, packed or not, by its name or its first bytes."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return ".tar" in suffixes or suffixes[-1:] in _TARS or is_archive(first_bytes(path))


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


def json_members(path: Path) -> Iterator[Member]:
    """Yield the JSON files of a folder or archive, packed ones too, or the file itself."""
    for member in members(path):
        if bare_name(member.name).endswith(".json") or member.where == str(path):
            yield member


def bare_name(name: str) -> str:
    """Return a file's name in lower case and without the endings of its packing."""
    return re.sub(r"(\.(gz|xz|bz2|zst))+$", "", name.lower())


def is_gzip(path: Path) -> bool:
    """Tell a gzipped file by its first bytes."""
    with readable(path), path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def unpacked(stream: IO[bytes], where: object = None) -> io.BufferedReader:
    """Return a stream's content, unpacked where it is gzip, bzip2, xz or Zstandard.

    Raises InputError, while it is read, on what unpacks to far more than its size.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else _buffered(stream)
    opened = _opener(buffered.peek(_MAGIC))
    if opened is None:
        return buffered
    packed = _Counted(buffered.read1, where)
    content = opened(_buffered(packed))
    return _buffered(
        _Counted(content.read, where, lambda size: check_size(size, packed.size, where))
    )


def _zstd(stream: IO[bytes]) -> Any:
    with extra("parquet", where=getattr(stream, "name", None)):
        import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, mode="r"), "zstd")


_PACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    GZIP: lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}
_MAGIC = 6  # bytes by which they are told


def _opener(head: bytes) -> Callable[[IO[bytes]], Any] | None:
    return next((opened for magic, opened in _PACKED.items() if head.startswith(magic)), None)


class _Counted(io.RawIOBase):
    """A stream that knows how much was read of it, which a pipe does not, and has that checked."""

    def __init__(
        self,
        read: Callable[[int], bytes],
        name: object,
        check: Callable[[int], object] = lambda size: None,
    ) -> None:
        self.name, self.size = name, 0
        self._read, self._check = read, check

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, up to the length of a buffer."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.size += len(data)
        self._check(self.size)
        return len(data)


def check_size(size: int, packed: int, where: object) -> None:
    """Raise InputError for bytes that are far more than the packed ones that they came from."""
    if size > _FREE and size > _RATIO * packed:
        raise InputError(
            f"unpacks to more than {_RATIO} times its size",
            where=where,
            tip="unpack it if you trust it",
        )


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(stream, HEAD)


def readable(where: object) -> AbstractContextManager[None]:
    """Turn the errors of the archive libraries and the disk into an InputError at `where`."""
    return files.readable(where, damage=_DAMAGE)


def folder_files(
    folder: Path,
    *,
    skipped: Callable[[str], object] = lambda name: None,
    below: str = "",
    above: frozenset[Path] = frozenset(),
) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder with their names in it, in the order of names.

    Links are followed, but not to a folder `above`. What is hidden goes to `skipped`. A folder that
    may not be read is yielded like a file, which then cannot be opened.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        if not below:
            raise
        yield folder, below
        return
    for path in paths:
        name = f"{below}{path.name}"
        if is_hidden(path.name):
            skipped(str(path))
        elif path.is_dir():
            within = above | {folder.resolve(), *folder.resolve().parents}
            if path.is_symlink() and path.resolve() in within:
                continue
            yield from folder_files(path, skipped=skipped, below=f"{name}/", above=within)
        else:
            yield path, name


def _in_file(path: Path, name: str) -> Iterator[Member]:
    # Opened before it is read, so that a missing file is an error at once.
    with path.open("rb") as file:
        yield Member(name, str(path), file)


def _in_zip(file: IO[bytes], label: str, skipped: Callable[[str], object]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            where = f"{label}:{info.filename}"
            if info.is_dir():
                continue
            if is_hidden(info.filename):
                skipped(where)
                continue
            check_size(info.file_size, info.compress_size, where)
            if info.flag_bits & 1:
                raise InputError("is encrypted", where=where, tip="unpack it first")
            with archive.open(info) as member:
                if info.filename.lower().endswith(".zip"):
                    # To a real file: seeking back in a compressed member unpacks it anew.
                    with tempfile.TemporaryFile() as unpacked:
                        shutil.copyfileobj(member, unpacked)
                        yield from _in_zip(unpacked, where, skipped)
                else:
                    yield Member(info.filename, where, member)


def _in_tar(path: Path, skipped: Callable[[str], object]) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for info in archive:
            where = f"{path}:{info.name}"
            member = archive.extractfile(info) if info.isfile() else None
            if member is not None and is_hidden(info.name):
                skipped(where)
            elif member is not None:
                yield Member(info.name, where, member)
        # tarfile takes a cut inside a header for the end; a whole archive ends in zeros.
        end = archive.fileobj
        if end is not None:
            end.seek(archive.offset)
            if end.read(512) != bytes(512):
                raise EOFError("the end of the archive is missing")
