"""The downloader against a real server with real faults."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources.download import RetryPolicy, download

from .conftest import Answer, Fault, Upstream

CONTENT = random.Random(7).randbytes(300_000)  # noise, so that the gzip file is as long
BODY = gzip.compress(CONTENT, mtime=0)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/feed.json.gz"


@pytest.fixture
def target(tmp_path: Path, upstream: Upstream) -> Path:
    upstream.files[PATH] = BODY
    return tmp_path / "feed.json.gz"


def status(code: int, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(code, headers=named)


def cut(after: int) -> Fault:
    return lambda answer: replace(answer, cut=after)


def left(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir() if not path.name.startswith(".")}


def test_whole_file_arrives_and_no_part_stays(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    assert download(upstream.url + PATH, target, sha256=SHA256, retry=retry) == target
    assert target.read_bytes() == BODY
    assert left(target) == {target.name}


def test_503_twice_then_ok_backs_off_longer_each_time(
    upstream: Upstream, target: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    upstream.faults[PATH] = [status(503), status(503)]
    download(upstream.url + PATH, target, retry=retry)
    first, second = waits
    assert 0.5 <= first <= 1.0 <= second <= 2.0


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_seconds_are_kept(
    upstream: Upstream, target: Path, retry: RetryPolicy, waits: list[float], code: int
) -> None:
    upstream.faults[PATH] = [status(code, Retry_After="17")]
    download(upstream.url + PATH, target, retry=retry)
    assert waits == [17.0]


def test_retry_after_may_be_a_date(
    upstream: Upstream, target: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    upstream.faults[PATH] = [status(503, Retry_After=later)]
    download(upstream.url + PATH, target, retry=retry)
    assert 2.0 < waits[0] <= 40.0  # more than any back-off: the date was used


def test_a_retry_after_beyond_patience_is_an_error_not_a_nap(
    upstream: Upstream, target: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    upstream.faults[PATH] = [status(503, Retry_After="86400")]
    with pytest.raises(CyberSecQwenError, match="86400 seconds"):
        download(upstream.url + PATH, target, retry=retry)
    assert waits == []


def test_retries_are_bounded(
    upstream: Upstream, target: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    upstream.faults[PATH] = [status(503)] * 99
    with pytest.raises(CyberSecQwenError, match=r"no success in 4 attempts.*HTTP 503"):
        download(upstream.url + PATH, target, retry=retry)
    assert len(upstream.of(PATH)) == 4
    assert len(waits) == 3


def test_a_cut_connection_resumes_and_fetches_no_byte_twice(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.faults[PATH] = [cut(100_000), cut(80_000)]
    download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    sent = [seen.sent for seen in upstream.of(PATH)]
    assert sent == [range(100_000), range(100_000, 180_000), range(180_000, len(BODY))]
    assert target.read_bytes() == BODY


def test_a_killed_download_resumes_in_the_next_run(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.faults[PATH] = [cut(50_000)]
    once = replace(retry, attempts=1)
    with pytest.raises(CyberSecQwenError, match="run it again"):
        download(upstream.url + PATH, target, retry=once)
    assert not target.exists()
    download(upstream.url + PATH, target, sha256=SHA256, retry=once)
    assert upstream.seen[-1].sent == range(50_000, len(BODY))


def test_a_part_that_was_whole_is_not_fetched_again(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    download(upstream.url + PATH, target, retry=retry)
    # As if killed just before the last step.
    target.rename(target.with_name(f"{target.name}.part"))
    note = target.with_name(f".{target.name}.http")
    note.rename(note.with_name(f".{target.name}.part.http"))
    download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    assert len(upstream.seen[-1].sent) == 0
    assert target.read_bytes() == BODY


def test_a_file_that_changed_upstream_is_not_appended_to(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.faults[PATH] = [cut(50_000)]
    with pytest.raises(CyberSecQwenError):
        download(upstream.url + PATH, target, retry=replace(retry, attempts=1))
    upstream.files[PATH] = changed = gzip.compress(CONTENT[::-1], mtime=0)
    download(upstream.url + PATH, target, retry=retry)
    assert target.read_bytes() == changed


def test_a_server_that_ignores_ranges_starts_anew(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.ranges = False
    upstream.faults[PATH] = [cut(50_000)]
    download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    assert upstream.seen[-1].headers["Range"] == "bytes=50000-"
    assert target.read_bytes() == BODY


def test_a_weak_etag_is_no_ground_to_append(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.weak = True
    upstream.faults[PATH] = [cut(50_000)]
    download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    assert upstream.seen[-1].headers["Range"] is None
    assert target.read_bytes() == BODY


def test_a_range_that_does_not_continue_the_part_is_not_appended(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    missing = len(BODY) - 50_000
    other = Answer(
        206, BODY[7 : 7 + missing], {"Content-Range": f"bytes 7-{6 + missing}/{len(BODY)}"}
    )
    upstream.faults[PATH] = [cut(50_000), lambda _: other]
    plain = target.with_name("feed.bin")  # nothing but the range tells that this one is wrong
    download(upstream.url + PATH, plain, retry=retry)
    assert plain.read_bytes() == BODY


def test_a_shorter_range_than_asked_for_is_continued(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    # RFC 9110 lets a server answer 206 with less than the rest, and it is no error.
    upstream.faults[PATH] = [cut(50_000), lambda a: replace(a, body=a.body[:1000])]
    download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    assert upstream.seen[-1].sent == range(51_000, len(BODY))


def test_a_wrong_checksum_is_fetched_once_more_then_refused(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    with pytest.raises(InputError, match=r"sha256 is .*, not 0000"):
        download(upstream.url + PATH, target, sha256="0" * 64, retry=retry)
    assert [seen.sent for seen in upstream.of(PATH)] == [range(len(BODY))] * 2
    assert left(target) == set()


def test_damage_on_the_way_is_healed_by_the_second_fetch(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.faults[PATH] = [lambda a: replace(a, body=a.body[:9000])]  # length and body agree
    download(upstream.url + PATH, target, retry=retry)
    assert target.read_bytes() == BODY


def broken_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.xml", "<a>unmistakable</a>")
    return buffer.getvalue().replace(b"unmistakable", b"unmistakably")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("feed.json.gz", BODY[:-100]),
        ("feed.json.gz", BODY[:500] + b"\xff" * 50 + BODY[550:]),
        ("feed.json.gz", b"<html>maintenance</html>"),
        ("x.zip", b"PK\x03\x04 cut off"),
        ("x.zip", broken_zip()),
    ],
)
def test_a_damaged_archive_never_takes_the_place_of_a_good_one(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, name: str, body: bytes
) -> None:
    target = tmp_path / name
    upstream.files["/x"] = body
    with pytest.raises(InputError, match="truncated or damaged"):
        download(f"{upstream.url}/x", target, retry=retry)
    assert left(target) == set()


def test_404_is_final_and_names_the_url(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, waits: list[float]
) -> None:
    with pytest.raises(CyberSecQwenError, match=r"/nowhere\.gz: .*HTTP 404 Not Found"):
        download(f"{upstream.url}/nowhere.gz", tmp_path / "nowhere.gz", retry=retry)
    assert waits == []


def test_a_verified_file_is_not_asked_for_again(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    for _ in range(2):
        download(upstream.url + PATH, target, sha256=SHA256, retry=retry)
    assert len(upstream.seen) == 1


def test_without_a_checksum_an_unchanged_file_is_not_sent_again(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    for _ in range(2):
        download(upstream.url + PATH, target, retry=retry)
    assert [len(seen.sent) for seen in upstream.seen] == [len(BODY), 0]


def test_a_file_damaged_in_the_cache_is_replaced(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    download(upstream.url + PATH, target, retry=retry)
    target.write_bytes(BODY[:1000])  # the server would still call its own file unchanged
    download(upstream.url + PATH, target, retry=retry)
    assert target.read_bytes() == BODY


def test_a_cache_of_another_address_is_not_taken_for_this_one(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    upstream.etag = "1"  # a version number, as some servers give: both files have it
    download(upstream.url + PATH, target, retry=retry)
    upstream.files["/mirror.gz"] = other = gzip.compress(b"other", mtime=0)
    download(f"{upstream.url}/mirror.gz", target, retry=retry)
    assert target.read_bytes() == other


def test_a_redirect_is_followed(upstream: Upstream, target: Path, retry: RetryPolicy) -> None:
    upstream.routes["/old"] = lambda _: Answer(302, headers={"Location": PATH})
    download(f"{upstream.url}/old", target, sha256=SHA256, retry=retry)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("address", ["nvd.nist.gov/feed.gz", "ftp://localhost/feed.gz"])
def test_an_address_that_is_no_url_is_one_line_at_once(
    tmp_path: Path, retry: RetryPolicy, waits: list[float], address: str
) -> None:
    with pytest.raises(CyberSecQwenError, match="check the URL"):
        download(address, tmp_path / "feed.gz", retry=retry)
    assert waits == []


def test_a_folder_that_cannot_be_written_is_one_line(
    upstream: Upstream, target: Path, retry: RetryPolicy
) -> None:
    (target.parent / "file").write_text("in the way")
    with pytest.raises(CyberSecQwenError, match="cannot write"):
        download(upstream.url + PATH, target.parent / "file" / "feed.json.gz", retry=retry)
