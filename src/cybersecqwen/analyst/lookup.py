"""Find the text of a CVE id in records that lie on this machine; nothing is fetched.

    look_up(["CVE-2021-44228"], [Path("nvdcve-2.0-2021.json.gz")])["CVE-2021-44228"].description

Without records given, what `cybersecqwen fetch` left in its cache is searched.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import cve_json, read_vulnerabilities
from cybersecqwen.sources.archives import members
from cybersecqwen.sources.fetch import default_cache
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.database import NAME, is_sqlite

_log = logging.getLogger(__name__)

CVE_ID = re.compile(r"CVE-(\d{4})-\d{4,}", re.IGNORECASE)
_FIRST_FEED = 2002  # NVD's feed of that year holds the older records too


def look_up(cve_ids: Sequence[str], records: Sequence[Path]) -> dict[str, Vulnerability]:
    """Find records by their ids (in upper case), each in the first of `records` that has it.

    An id that is nowhere is missing from the answer. Raises InputError when there is nothing
    to search and when a given file cannot be read; a cached one is then passed over.
    """
    found: dict[str, Vulnerability] = {}
    for path in places(cve_ids, records):
        missing = set(cve_ids) - set(found)
        if not missing:
            break
        try:
            _find(path, missing, found)
        except InputError as error:
            if records:
                raise
            _log.warning("passed over: %s", error)
    return found


def places(cve_ids: Sequence[str], records: Sequence[Path]) -> list[Path]:
    """List where the ids are looked for; raises InputError when that is nowhere."""
    if records:
        return list(records)
    cache = default_cache()
    years = sorted({_feed_year(cve_id) for cve_id in cve_ids})
    known = [
        cache / NAME,
        *(cache / "nvd" / f"nvdcve-2.0-{year}.json.gz" for year in years),
        cache / "nvd-api",
        cache / "cvelist" / "main.zip",
        cache / "vulnrichment" / "develop.zip",
    ]
    there = [path for path in known if path.exists()]
    if not there:
        looked = ", ".join(str(path.relative_to(cache)) for path in known)
        raise InputError(
            f"no records to look {cve_ids[0]} up in, neither of {looked}",
            where=cache,
            tip=f"{how_to_fetch(cve_ids[0])}, or give --records FILE",
        )
    return there


def how_to_fetch(cve_id: str) -> str:
    """Say how to get the feed that an id should stand in."""
    return f"run: cybersecqwen fetch nvd --years {_feed_year(cve_id)}"


def _feed_year(cve_id: str) -> int:
    return max(int(cve_id.split("-")[1]), _FIRST_FEED)


def _find(path: Path, wanted: Collection[str], found: dict[str, Vulnerability]) -> None:
    left = set(wanted)
    for vulnerability in _candidates(path, wanted):
        if vulnerability.cve_id in left:
            found[vulnerability.cve_id] = vulnerability
            left.remove(vulnerability.cve_id)
            if not left:
                return


def _candidates(path: Path, wanted: Collection[str]) -> Iterator[Vulnerability]:
    """Yield the records of a file; only the wanted where ids are an index, or files' names."""
    if is_sqlite(path):
        yield from query.find(path, wanted)
        return
    by_name = False
    for entry in members(path):
        if cve_json.RECORD_FILE.search(entry.name):
            by_name = True
            if PurePosixPath(entry.name).name.split(".")[0] in wanted:
                yield from _record(entry.read())
    if not by_name:
        yield from read_vulnerabilities(path)


def _record(data: bytes) -> Iterator[Vulnerability]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_bytes(data)
        yield from cve_json.read(path)
