"""Read and write the files that stages exchange, so that a reader never sees half of one.

Everything is written beside its target and renamed into place when complete.

>>> import tempfile, pathlib
>>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.jsonl"
>>> write_jsonl(path, [{"a": 1}])
1
>>> list(read_jsonl(path))
[{'a': 1}]
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import logging
import os
import shutil
import tempfile
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO, Any

from cybersecqwen.errors import CyberSecQwenError, InputError

Json = dict[str, Any]
Pairs = Callable[[list[tuple[str, Any]]], Json]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How safetensors, tokenizers and torch, which raise no OSError, say that a write failed.
_UNWRITTEN = (
    "I/O error",
    "(os error ",
    "No space left on device",
    "PytorchStreamWriter",
    "inline_container",
    "iostream error",
)
_PARTIAL = ".partial"  # how the name of a file ends that is not whole yet
_MOST = 1 << 30  # bytes that are read whole
_log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file or folder against other processes; a killed one leaves it free.

    The lock is a hidden file beside it, which stays. While another process holds it this one waits,
    and says so, or raises CyberSecQwenError where it is not to wait.
    """
    from filelock import FileLock, Timeout  # it loads asyncio, which reading needs not

    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            if not wait:
                raise CyberSecQwenError(
                    "another process is writing it", where=path, tip="wait until it has ended"
                ) from error
            _log.warning("%s: another process is writing it; waiting until it has ended", path)
            lock.acquire(timeout=-1)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def atomic_write(path: Path, *, private: bool = False) -> Iterator[IO[str]]:
    """Open a UTF-8 text file that appears at `path` only once written whole and synced.

    A private one is readable by its owner alone. Raises CyberSecQwenError when the disk refuses it
    (full, read-only, no permission); nothing is left behind and an older file stays as it was.
    """
    with _replacing(path, private=private, mode="w", encoding="utf-8", newline="\n") as file:
        yield file


@contextmanager
def exclusive(folder: Path, *, below: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, and delete what killed processes left half-written in it.

    `below` takes in the folders in it, which may have locks of their own. Hidden files beside the
    folder that begin with its name are its own too.
    """
    partial = f".*.????????{_PARTIAL}"  # as `tempfile` names them
    with locked(folder):
        beside = folder.parent.glob(f"..{escape(folder.name)}{partial}")
        for path in (*beside, *(folder.rglob(partial) if below else folder.glob(partial))):
            path.unlink(missing_ok=True)
        yield


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically, as `atomic_write` does."""
    with _replacing(path, mode="wb") as file:
        file.write(data)


@contextmanager
def _replacing(path: Path, *, private: bool = False, **how: Any) -> Iterator[IO[Any]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(_PARTIAL, f".{path.name}.", path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, **how) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes the file private to its owner; an output is as open as the umask allows.
        if not private:
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> CyberSecQwenError:
    return CyberSecQwenError(
        f"cannot write: {error.strerror}",
        where=path,
        tip="free some space, or choose another folder"
        if error.errno in DISK_FULL
        else "choose another folder",
    )


def write_text(path: Path, text: str) -> None:
    """Write a whole text file atomically."""
    with atomic_write(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys: same value, same bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write one JSON object a line and return how many lines there are."""
    count = 0
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


@contextmanager
def readable(where: object, *, damage: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn the errors of the disk, gzip and UTF-8 into an InputError at `where`.

    `damage` are further errors that mean a damaged file.
    """
    damage = (EOFError, gzip.BadGzipFile, zlib.error, *damage)
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("no such file or folder", where=where, tip="check the path") from error
    except damage as error:
        raise InputError(
            f"is truncated or damaged: {error}", where=where, tip="download it again"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot be read as UTF-8 text: {error}",
            where=where,
            tip="save it as UTF-8; in a spreadsheet as CSV UTF-8",
        ) from error
    except OSError as error:
        if error.errno in DISK_FULL:  # of what is unpacked or copied while it is read
            raise
        raise InputError(f"cannot be read: {error.strerror or error}", where=where) from error


def read_text(path: Path) -> str:
    """Read a UTF-8 text file; raises InputError when it is missing or not UTF-8."""
    with readable(path):
        return path.read_text(encoding="utf-8")


def read_packed(path: Path) -> bytes:
    """Read a file's bytes, unpacked where its name ends in .gz; raises InputError on failure."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with readable(path), opened(path, "rb") as file:
        data = bytes(file.read(_MOST + 1))
    if len(data) > _MOST:
        raise InputError("holds more than 1 GiB", where=path, tip="split the file")
    return data


def read_json(path: Path) -> Any:
    """Read a JSON file, gzipped where the name ends in .gz.

    Raises InputError that says what is wrong and where: a missing file, a
    truncated gzip stream, bytes that are no JSON.
    """
    data = read_packed(path)
    try:
        with readable(path):
            return json.loads(data)
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg}",
            where=f"{path}:{error.lineno}",
            tip="the file may be truncated; download it again",
        ) from error
    except (RecursionError, ValueError) as error:  # endless brackets, endless digits
        raise InputError(f"no usable JSON: {error}", where=path) from error


def read_jsonl(path: Path) -> Iterator[Json]:
    """Yield the objects of a JSONL file; raises InputError with file and line on a bad one."""
    with readable(path), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield parse_line(line, where=f"{path}:{number}")


def parse_line(line: str | bytes, *, where: str, pairs: Pairs | None = None) -> Json:
    """Parse one JSONL line into an object; raises InputError at `where` on anything else.

    `pairs` makes an object of its keys and values, where one of two with a key is not to be lost.
    """
    try:
        line = line.decode() if isinstance(line, bytes) else line
        row = json.loads(line, object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: {error.reason}", where=where) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", where=where, tip="fix the line") from error
    except (RecursionError, ValueError) as error:  # endless brackets, endless digits
        raise InputError(f"no usable JSON: {error}", where=where) from error
    if not isinstance(row, dict):
        raise InputError("not a JSON object", where=where, tip="one {…} a line is expected")
    if "\\ud" in line.lower():  # half of a surrogate pair is no text that can be written again
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"not valid Unicode: {error.reason}", where=where) from error
    return row


def spreadsheet_cell(text: str) -> str:
    """Keep programs for spreadsheets from running a cell of a CSV file as a formula.

    They strip white space before it, and some take full-width characters for the plain ones. What
    begins with the mark that is set before it gets another one, so that each can be taken off.
    """
    return f"'{text}" if _is_formula(text) else text


def spreadsheet_text(cell: str) -> str:
    """Return the text of which `spreadsheet_cell` made a cell."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    first = text.lstrip("'").lstrip()[:1]
    return unicodedata.normalize("NFKC", first) in ("=", "+", "-", "@")


def sha256_file(path: Path) -> str:
    """Hash a file's bytes as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_tree(path: Path) -> dict[str, str]:
    """Hash a file, or every file below a folder, by its path relative to `path`.

    Hidden files are left out: caches and temporaries are not part of an output.
    """
    if path.is_file():
        return {path.name: sha256_file(path)}
    names = sorted(p for p in path.rglob("*") if p.is_file())
    relative = (p.relative_to(path) for p in names)
    return {
        str(name): sha256_file(path / name)
        for name in relative
        if not any(part.startswith(".") for part in name.parts)
    }


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a library's write into `folder` that the disk refuses into one line; other errors pass.

    Each library reports a full disk in a way of its own, tokenizers by a plain Exception.
    """
    try:
        yield
    except CyberSecQwenError:  # write_json says it in one line already
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not any(sign in str(error) for sign in _UNWRITTEN):
            raise
        reason = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
        raise CyberSecQwenError(
            f"cannot write: {reason}",
            where=folder,
            tip="free some space and run the same command again",
        ) from error


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Open a folder for libraries to fill, which takes its name when it is complete.

    The caller holds the lock of `folder`, so what a killed process left half-written is deleted.
    Raises CyberSecQwenError on a full disk.
    """
    partial = folder.with_name(f".{folder.name}{_PARTIAL}")
    with disk_errors(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            open_to_all(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def open_to_all(folder: Path) -> None:
    """Make the files of a folder readable for all: safetensors writes them for the owner only."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
