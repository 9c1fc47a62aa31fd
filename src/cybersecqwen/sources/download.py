"""The one downloader: resumes, retries, verifies, and only then puts the file in place.

    download("https://host/feed.json.gz", Path("cache/feed.json.gz"), sha256="ab12...")

What has arrived lies in `feed.json.gz.part` with the server's validators beside it, so
that a killed download goes on where it was, unless the file upstream has changed.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import locked, read_json, write_json
from cybersecqwen.formats.archives import readable, unpacked

if TYPE_CHECKING:
    import httpx2

_T = TypeVar("_T")
Check = Callable[[Path], object]
_TIMEOUT = 60.0  # seconds without a byte
_MOST = 16 << 30  # bytes of a file
_MOST_HELD = 1 << 28  # bytes of an answer that is held in memory, unpacked
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait in between, in seconds.

    Waits double from `first_wait`, less a random part so that clients do not return
    in step. A server's own Retry-After counts up to `longest_wait`.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 300.0
    sleep: Callable[[float], None] = time.sleep


_DEFAULT = RetryPolicy()


class AbsentError(CyberSecQwenError):
    """The server answers that it has no such file."""


class _TransientError(Exception):
    """A failure that may be gone at the next attempt, after `wait` seconds if the server said."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


def open_client(*, follow_redirects: bool) -> httpx2.Client:
    """Open an HTTP client; one that sends a key follows no redirects, lest another host sees it."""
    import httpx2

    return httpx2.Client(
        timeout=_TIMEOUT,
        follow_redirects=follow_redirects,
        headers={"User-Agent": "cybersecqwen", "Accept-Encoding": "identity"},
    )


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    check: Check = lambda _: None,
    retry: RetryPolicy = _DEFAULT,
) -> Path:
    """Bring `url` to `target`, verified, and return `target`.

    `sha256` is of the content, for a `.gz` of what is inside. A file that is there and matches it
    is not requested again; without a hash the server is asked whether its file has changed. Gzip
    and zip files are read through, and `check` raises InputError on what is not the file that is
    wanted, such as a login page. Another process that brings the same file is waited for. Raises
    CyberSecQwenError when the server does not give the file, and InputError when it gives a
    damaged one twice; what was there before stays.
    """
    with _writable(target), locked(target):

        def verify_file(path: Path, where: object) -> None:
            verify(path, sha256=sha256, ending=target.suffix, where=where)
            check(path)

        if not _is_intact(target, verify_file):
            _note(target).unlink(missing_ok=True)  # or the server would call it unchanged
        elif sha256:
            return target
        with open_client(follow_redirects=True) as client:
            try:
                return _download_once(client, url, target, verify_file, retry)
            except InputError:
                return _download_once(client, url, target, verify_file, retry)


def get(client: httpx2.Client, url: str, *, transient: frozenset[int] = frozenset()) -> bytes:
    """Get a small answer once, for `with_retries`; `transient` are statuses to try again on."""
    with client.stream("GET", url) as response:
        _check(response, transient)
        return b"".join(_limited(response.iter_bytes(), _MOST_HELD, url))


def _limited(blocks: Iterable[bytes], most: int, url: str) -> Iterator[bytes]:
    """Yield the blocks of a body; raises CyberSecQwenError once they are more than `most` bytes."""
    size = 0
    for block in blocks:
        size += len(block)
        if size > most:
            raise CyberSecQwenError(
                f"the server sends more than {most >> 20:,} MiB", where=url, tip="check the URL"
            )
        yield block


def with_retries(action: Callable[[], _T], url: str, retry: RetryPolicy) -> _T:
    """Repeat an action until it passes; raises CyberSecQwenError after the last attempt."""
    import httpx2

    problem: Exception | None = None
    for attempt in range(retry.attempts):
        if problem is not None:
            retry.sleep(_wait(problem, attempt, url, retry))
        try:
            return action()
        except (
            _TransientError,
            httpx2.TimeoutException,
            httpx2.NetworkError,
            httpx2.RemoteProtocolError,
        ) as error:
            problem = error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise CyberSecQwenError(str(error), where=url, tip="check the URL") from error
    raise CyberSecQwenError(
        f"no success in {retry.attempts} attempts: {problem}",
        where=url,
        tip="what has arrived is kept; check the network and run it again",
    ) from problem


def verify(path: Path, *, sha256: str, ending: str, where: object) -> None:
    """Read a file through by its `ending` and compare the hash; raises InputError at `where`."""
    with readable(where):
        if ending == ".zip":
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged:
                raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        with gzip.open(path) if ending == ".gz" else path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and digest != sha256.lower():
        raise InputError(
            f"the sha256 is {digest}, not {sha256.lower()}",
            where=where,
            tip="upstream may be in the middle of an update; try again later",
        )


def _is_intact(path: Path, verify_file: Callable[[Path, object], None]) -> bool:
    try:
        verify_file(path, path)
    except InputError:
        return False
    return True


def _download_once(
    client: httpx2.Client,
    url: str,
    target: Path,
    verify_file: Callable[[Path, object], None],
    retry: RetryPolicy,
) -> Path:
    part = target.with_name(f"{target.name}.part")
    if not with_retries(lambda: _transfer(client, url, part, target), url, retry):
        return target
    try:
        if "Content-Encoding" in _validators(url, part) and target.suffix != ".gz":
            _unpack(part, url)  # packed for the way, though that was not asked for
        verify_file(part, url)
    except InputError as error:
        part.unlink()
        where = str(error.where).replace(str(part), url)
        raise InputError(error.what, where=where, tip=error.tip) from error
    part.replace(target)
    _note(part).replace(_note(target))
    return target


def _unpack(path: Path, url: str) -> None:
    bare = path.with_name(f"{path.name}.unpacked")
    with readable(url), path.open("rb") as packed, bare.open("wb") as file:
        shutil.copyfileobj(unpacked(packed, url), file)
    bare.replace(path)


def _transfer(client: httpx2.Client, url: str, part: Path, target: Path) -> bool:
    """Bring the rest of `part`; False when the server says that `target` is unchanged."""
    size = part.stat().st_size if part.exists() else 0
    with client.stream("GET", url, headers=_conditions(url, part, target)) as response:
        if response.status_code == 304:
            return False
        content_range = response.headers.get("Content-Range", "")
        if response.status_code == 416 and content_range == f"bytes */{size}":
            return True  # whole, but killed before the last step
        if response.status_code == 416 or (
            response.status_code == 206 and not content_range.startswith(f"bytes {size}-")
        ):
            part.unlink(missing_ok=True)
            raise _TransientError("the server gave another range than the missing one")
        _check(response, frozenset())
        if response.status_code != 206:
            size = 0
            _keep_validators(url, response, part)
        _append(response, part, size, target.name)
    return True


def _append(response: httpx2.Response, part: Path, size: int, name: str) -> None:
    """Write a body to `part` behind the `size` bytes that are there, and check its length."""
    from tqdm import tqdm

    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    total = total or response.headers.get("Content-Length", "")
    expected = int(total) if total.isdigit() else None
    with (
        part.open("ab" if size else "wb") as file,
        tqdm(
            desc=name, initial=size, total=expected, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        for block in _limited(response.iter_raw(), _MOST, str(response.url)):
            file.write(block)
            bar.update(len(block))
    if expected is not None and part.stat().st_size != expected:
        raise _TransientError(f"{part.stat().st_size} bytes of {expected} have come")


def _conditions(url: str, part: Path, target: Path) -> dict[str, str]:
    """Ask for the rest of the part if it is still the same file, else only for a changed one."""
    if part.exists() and part.stat().st_size:
        note = _validators(url, part)
        etag = note.get("ETag", "")
        # A weak ETag promises no equal bytes, so nothing may be appended on its word.
        strong = etag if etag and not etag.startswith("W/") else note.get("Last-Modified")
        return {"Range": f"bytes={part.stat().st_size}-", "If-Range": strong} if strong else {}
    note = _validators(url, target)
    if "ETag" in note:
        return {"If-None-Match": note["ETag"]}
    return {"If-Modified-Since": note["Last-Modified"]} if "Last-Modified" in note else {}


def _note(path: Path) -> Path:
    """Name the hidden file beside `path` that holds its URL and validators."""
    return path.with_name(f".{path.name}.http")


def _keep_validators(url: str, response: httpx2.Response, part: Path) -> None:
    part.unlink(missing_ok=True)  # before the note: an old part must not get a new validator
    names = ("ETag", "Last-Modified", "Content-Encoding")
    note = {name: response.headers[name] for name in names if name in response.headers}
    write_json(_note(part), {"URL": url, **note})


def _validators(url: str, path: Path) -> dict[str, str]:
    if not _note(path).exists():
        return {}
    note: dict[str, str] = read_json(_note(path))
    return note if note.get("URL") == url else {}


def _check(response: httpx2.Response, transient: frozenset[int]) -> None:
    """Raise unless the answer is a success: _TransientError for what may pass, else for good."""
    if response.is_success:
        return
    what = f"the server answers HTTP {response.status_code} {response.reason_phrase}"
    # NVD explains itself in this header, and in an empty body.
    what = ": ".join(filter(None, (what, response.headers.get("message"))))
    if response.status_code in _TRANSIENT | transient:
        raise _TransientError(what, retry_after(response.headers.get("Retry-After", "")))
    absent = response.status_code in (404, 410)
    error = AbsentError if absent else CyberSecQwenError
    raise error(what, where=response.url, tip="check the URL and the request")


def retry_after(value: str) -> float | None:
    """Read a Retry-After header in seconds (RFC 9110, 10.2.3); None where it says nothing usable.

    >>> retry_after("120"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after("soon")
    (120.0, 0.0, None)
    """
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _wait(problem: Exception, attempt: int, url: str, retry: RetryPolicy) -> float:
    server_wait = problem.wait if isinstance(problem, _TransientError) else None
    if server_wait is None:
        doubled: float = retry.first_wait * 2 ** (attempt - 1)
        return min(doubled, retry.longest_wait) * random.uniform(0.5, 1.0)
    if server_wait > retry.longest_wait:
        raise CyberSecQwenError(
            f"the server asks to wait {server_wait:.0f} seconds",
            where=url,
            tip="run it again later",
        )
    return server_wait


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CyberSecQwenError(
            f"cannot write: {error.strerror or error}",
            where=target,
            tip="free some space or choose another folder with CYBERSECQWEN_CACHE",
        ) from error
