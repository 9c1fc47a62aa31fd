"""Open what upstream ships, whatever it is wrapped in, and hold it against a schema.

    for entry in entries(Path("main.zip")):     # also a folder, a tar, a zip in a zip, one file
        record = parse(Record, entry.read(), entry.where)

Formats go by the name's ending, so a cut-off archive is reported as one and not
mistaken for something else.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cybersecqwen.errors import InputError

# The organisation id under which CISA adds its container to CVE records, in NVD too.
CISA_ADP = "134c704f-9b21-4f2e-91b3-4a467353bcc0"

CVE_ID = r"^CVE-\d{4}-\d{4,}$"


class Schema(BaseModel):
    """A part of an upstream format; what it does not name is ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


_Schema = TypeVar("_Schema", bound=Schema)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder or archive; `read` gives its bytes until the next entry is taken."""

    name: str
    where: str
    read: Callable[[], bytes]


def entries(path: Path) -> Iterator[Entry]:
    """Yield the files of a folder, a `.zip` (zips inside it too) or a `.tar*`, or the file itself.

    A name that ends in `.gz` is unpacked on reading. Raises InputError on what is
    missing, truncated or damaged, at the latest when its last entry was taken.
    """
    with readable(path):
        if path.is_dir():
            yield from _in_folder(path)
        elif path.suffix == ".zip":
            with path.open("rb") as file:
                yield from _in_zip(file, str(path))
        elif ".tar" in path.suffixes or path.suffix == ".tgz":
            yield from _in_tar(path)
        else:
            yield from _in_file(path)


def read_only(path: Path, ending: str) -> bytes:
    """Read the one file of a `.zip`, `.gz` or plain file whose name has `ending` in it."""
    for entry in entries(path):
        if ending in entry.name:
            return entry.read()
    raise InputError(f"holds no {ending} file", where=path, tip="give the file as upstream serves")


@contextmanager
def readable(where: object) -> Iterator[None]:
    """Turn the errors of the archive libraries and the disk into an InputError at `where`."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("no such file or folder", where=where, tip="check the path") from error
    except (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:
        raise InputError(
            f"the file is truncated or damaged: {error}", where=where, tip="download it again"
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=where) from error


def parse(schema: type[_Schema], data: bytes, where: object) -> _Schema:
    """Parse JSON into `schema`; raises InputError that names the first wrong field."""
    try:
        return schema.model_validate_json(data)
    except ValidationError as error:
        raise invalid(error, where) from error


def invalid(error: ValidationError, where: object) -> InputError:
    """Say in one line which field of an upstream record is wrong, and what was expected."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return InputError(
            f"no valid JSON: {first['ctx']['error']}",
            where=where,
            tip="the file may be truncated; download it again",
        )
    field = ".".join(str(part) for part in first["loc"])
    return InputError(
        f"{field}: {first['msg']}" if field else first["msg"],
        where=where,
        tip=f"{error.title} is expected",
    )


def iso_date(text: str, where: object) -> str:
    """Take the date of an ISO timestamp; raises InputError when there is none."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError as error:
        raise InputError(f"{text!r} is no ISO date", where=where, tip="fix the record") from error


def iso_time(text: str, where: object) -> str:
    """Take an ISO timestamp as UTC to the millisecond, as `2024-01-31T09:00:00.000`.

    One without a zone is UTC already, as NVD's are. Raises InputError when it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{text!r} is no ISO timestamp", where=where, tip="fix the record"
        ) from error
    return moment.isoformat(timespec="milliseconds")


def _content(file: IO[bytes], name: str) -> bytes:
    with readable(name):
        data = file.read()
        return gzip.decompress(data) if name.endswith(".gz") else data


def _in_folder(folder: Path) -> Iterator[Entry]:
    """Walk a folder in the order of names, without what is hidden."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue  # caches and half-written files are no input
        if path.is_dir():
            for entry in _in_folder(path):
                yield Entry(f"{path.name}/{entry.name}", entry.where, entry.read)
        else:
            yield from _in_file(path)


def _in_file(path: Path) -> Iterator[Entry]:
    # Opened before it is asked for, so that a missing file is an error at once.
    with path.open("rb") as file:
        yield Entry(path.name, str(path), partial(_content, file, str(path)))


def _in_zip(file: IO[bytes], label: str) -> Iterator[Entry]:
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
                    yield Entry(info.filename, where, partial(_content, member, where))


def _in_tar(path: Path) -> Iterator[Entry]:
    with tarfile.open(path) as archive:
        for info in archive:
            where = f"{path}:{info.name}"
            member = archive.extractfile(info) if info.isfile() else None
            if member is not None:
                yield Entry(info.name, where, partial(_content, member, where))
        # tarfile takes a cut inside a header for the end; a whole archive ends in zeros.
        end = archive.fileobj
        if end is not None:
            end.seek(archive.offset)
            if end.read(512) != bytes(512):
                raise EOFError("the end of the archive is missing")
