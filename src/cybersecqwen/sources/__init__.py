"""Read public feeds into records. Reading is offline and pure; fetching is separate.

    for vulnerability in read_vulnerabilities(Path("nvdcve-2.0-2015.json.gz")):
        print(vulnerability.cve_id, vulnerability.description)

A file is recognised by its content, whichever command it is given to. A new feed is one file
with a Feed and a line in FEEDS.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import (
    ZIP,
    Head,
    bare_name,
    first_bytes,
    is_gzip,
    members,
    readable,
    unpacked,
)
from cybersecqwen.formats.rows import Report, refuse
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import (
    attack,
    capec,
    csaf,
    cti_bench_dataset,
    cvelist,
    cwe,
    cyclonedx,
    defectdojo,
    dependency_track,
    epss,
    kev,
    nvd,
    nvd_api,
    opencve,
    osv,
    record_list,
    record_table,
    sarif,
)
from cybersecqwen.sources.feed import USUAL_DAYS, Feed
from cybersecqwen.sources.recordstore import database, query


def _unread(name: str, title: str, *keys: str) -> Feed:
    """Return the feed of a format that is named, not read, where a file begins with its keys."""
    return Feed(name, title, recognise=lambda head: head.keys().issuperset(keys))


_UNREAD = (
    _unread("openvex", "an OpenVEX document", "@context", "statements"),
    _unread("spdx", "a bill of materials in SPDX", "spdxVersion"),
    _unread("nvd-1", "NVD JSON 1.1, the format before 2.0", "CVE_Items"),
    _unread("cve-4", "CVE JSON 4, the format before 5", "CVE_data_meta"),
)

# Where two recognise a file, the first one has it.
FEEDS: dict[str, Feed] = {
    "list": record_list.feed(nvd.FEED, cvelist.FEED, osv.FEED, csaf.FEED, cyclonedx.FEED),
    "nvd": nvd.FEED,
    "nvd-api": nvd_api.FEED,
    "cvelist": cvelist.FEED,
    "vulnrichment": cvelist.VULNRICHMENT,
    "cwe": cwe.FEED,
    "attack-enterprise": attack.ENTERPRISE,
    "attack-mobile": attack.MOBILE,
    "attack-ics": attack.ICS,
    "capec": capec.FEED,
    "kev": kev.FEED,
    "epss": epss.FEED,
    "osv": osv.FEED,
    "csaf": csaf.FEED,
    "cyclonedx": cyclonedx.FEED,
    "sarif": sarif.FEED,
    "dependency-track": dependency_track.FEED,
    "defectdojo": defectdojo.FEED,
    "opencve": opencve.FEED,
    **{feed.name: feed for feed in _UNREAD},
    "cti-bench": cti_bench_dataset.FEED,
    "recordstore": Feed(
        "recordstore",
        "the record store",
        recognise=lambda head: head.data.startswith(database.MAGIC),
        read=query.read,
    ),
    "table": record_table.FEED,
}

ACCEPTED = (
    "accepted are NVD JSON 2.0 (feed, API pages or bare records), CVE JSON 5 (file, folder, zip, "
    "tar), KEV, OSV, CSAF and CycloneDX in JSON, a list of these or one a line, SARIF, findings of "
    "DefectDojo and Dependency-Track, notifications of OpenCVE, a .parquet or .jsonl table of "
    "records, and the record store"
)
_MEMBERS = (".json", ".xml")  # files of a folder or archive to look into, also packed
_SEEKABLE = (ZIP, record_table.MAGIC, database.MAGIC)  # whose readers do not take a stream


def stale_after(name: str) -> int:
    """Return after how many days a feed is stale, also one that only other versions have."""
    return FEEDS[name].stale_after if name in FEEDS else USUAL_DAYS


def recognise_head(head: Head) -> Feed | None:
    """Return the feed that a file belongs to by its first bytes, or None."""
    return next((f for f in FEEDS.values() if f.recognise and f.recognise(head)), None)


def recognise(path: Path) -> Feed | None:
    """Return the feed that a file, folder or archive belongs to, or None.

    Of several in a folder one that holds CVE records comes first. Raises InputError when it is
    missing, truncated or damaged.
    """
    other = None
    for member in members(path):
        if member.where == str(path) or bare_name(member.name).endswith(_MEMBERS):
            feed = recognise_head(Head(member.name, member.head()))
            if feed and feed.read and feed.kind is Vulnerability:
                return feed
            other = other or feed
    return other


def read_vulnerabilities(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the CVE records of a file, folder, archive or pipe of any feed that holds such.

    A record that is wrong goes to `report`. Raises InputError, at once, when it holds none.
    """
    return open_vulnerabilities(path, report)[1]


def open_vulnerabilities(
    path: Path, report: Report = refuse
) -> tuple[Feed, Iterator[Vulnerability]]:
    """Recognise what `read_vulnerabilities` reads, and return its feed beside its records."""
    if _is_stream(path):
        with readable(path), path.open("rb") as stream:
            return open_stream(unpacked(stream, path), str(path), report)
    feed = recognise(path)
    if feed and feed.read and feed.kind is Vulnerability:
        return feed, feed.read(path, report)
    what = "no format that is known"
    if feed:
        what = f"is {feed.title}, which {'holds no CVE records' if feed.read else 'is not read'}"
    raise InputError(what, where=path, tip=ACCEPTED)


def open_stream(
    stream: IO[bytes], name: str, report: Report = refuse, *, head: bytes = b""
) -> tuple[Feed, Iterator[Vulnerability]]:
    """Copy a stream to a temporary file, in which readers can seek, and open it as `name`.

    `head` is what has been read of the stream already.
    """
    folder = TemporaryDirectory(prefix="cybersecqwen-")
    copy = Path(folder.name) / "stream"
    with readable(name), copy.open("wb") as file:
        file.write(head)
        shutil.copyfileobj(stream, file)
    with _named(copy, name):
        feed, records = open_vulnerabilities(
            copy, lambda error: report(_renamed(error, copy, name))
        )
    return feed, _read_copy(records, folder, copy, name)


def _is_stream(path: Path) -> bool:
    """Tell a pipe, or a gzipped file in whose content a reader has to seek."""
    if path.is_dir() or not path.exists():
        return False
    return not path.is_file() or (is_gzip(path) and first_bytes(path).startswith(_SEEKABLE))


@contextmanager
def _named(copy: Path, name: str) -> Iterator[None]:
    """Let errors name the stream and not its copy."""
    try:
        yield
    except InputError as error:
        raise _renamed(error, copy, name) from error


def _renamed(error: InputError, copy: Path, name: str) -> InputError:
    return InputError(error.what, where=str(error.where).replace(str(copy), name), tip=error.tip)


def _read_copy(
    records: Iterator[Vulnerability], folder: TemporaryDirectory[str], copy: Path, name: str
) -> Iterator[Vulnerability]:
    with folder, _named(copy, name):
        for record in records:
            yield replace(record, where=record.where.replace(str(copy), name))
