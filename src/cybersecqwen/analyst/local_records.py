"""Find the record of a CVE id in files that lie on this machine; nothing is fetched.

    look_up(["CVE-2021-44228"], [Path("nvdcve-2.0-2021.json.gz")])["CVE-2021-44228"].description

Without records given, what `cybersecqwen fetch` left in its cache is searched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path, PurePosixPath

from cybersecqwen.analyst.classification import Given
from cybersecqwen.cwe.identifiers import CVE_SYNTAX, normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import first_bytes, members
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Vulnerability

_log = logging.getLogger(__name__)

_FIRST_FEED = 2002  # NVD's feed of that year holds the older records too


def look_up(
    cve_ids: Sequence[str], records: Sequence[Path], report: Report = refuse
) -> dict[str, Vulnerability]:
    """Find records by their ids (in upper case), each in the first of `records` that has it.

    An id that is nowhere is missing from the answer. What cannot be read goes to `report`, and to
    the log where it is cached. Raises InputError when there is nothing to search, or no cached
    place that can be.
    """
    if not records:
        report = _pass_over
    vulnerabilities: dict[str, Vulnerability] = {}
    searched, unread = places(cve_ids, records), list[InputError]()
    for path in searched:
        missing = set(cve_ids) - set(vulnerabilities)
        if not missing:
            break
        with reported(unread.append):
            vulnerabilities |= _find(path, missing, report)
    if not records and len(unread) == len(searched):
        raise unread[0]
    for error in unread:
        report(error)
    return vulnerabilities


def _pass_over(error: InputError) -> None:
    _log.warning("passed over: %s", error)


def look_up_texts(
    cve_ids: Sequence[str], records: Sequence[Path], report: Report
) -> Iterator[Given]:
    """Yield the texts of CVE ids; one that is nowhere is reported with where it was looked for."""
    vulnerabilities = look_up(cve_ids, records, report)
    for cve_id in dict.fromkeys(cve_ids):
        if cve_id not in vulnerabilities:
            tip = "give other --records" if records else how_to_fetch(cve_id)
            places_searched = ", ".join(map(str, places(cve_ids, records)))
            report(InputError(f"{cve_id} is not in it", where=places_searched, tip=tip))
    for cve_id in cve_ids:
        if cve_id in vulnerabilities:
            yield given_of(vulnerabilities[cve_id])


def given_of(vulnerability: Vulnerability) -> Given:
    """Return the description of a record as a text to classify."""
    refused = "the CVE record is rejected" if vulnerability.rejected else ""
    return Given(vulnerability.cve_id, vulnerability.description, refused, vulnerability)


def parse_cve_id(word: str) -> str:
    """Return a CVE id as "CVE-2021-44228"; raises InputError where the word is none."""
    cve_id = normalise_cve(word)
    if not re.fullmatch(CVE_SYNTAX, cve_id):
        raise InputError(f"{word!r} is not a CVE id", tip="the form is CVE-2021-44228")
    return cve_id


def places(cve_ids: Sequence[str], records: Sequence[Path]) -> list[Path]:
    """List where the ids are looked for; raises InputError when that is nowhere."""
    if records:
        return list(records)
    from cybersecqwen.sources.fetch import default_cache

    cache = default_cache()
    years = sorted({_feed_year(cve_id) for cve_id in cve_ids})
    known = [
        _store(),
        *(cache / "nvd" / f"nvdcve-2.0-{year}.json.gz" for year in years),
        cache / "nvd-api",
        cache / "cvelist" / "main.zip",
        cache / "vulnrichment" / "develop.zip",
    ]
    there = [path for path in known if path.exists()]
    if not there:
        looked = ", ".join(str(path.relative_to(cache)) for path in known)
        raise InputError(
            f"no records in which to look up {cve_ids[0]}: none of {looked}",
            where=cache,
            tip=f"{how_to_fetch(cve_ids[0])}, or give --records FILE",
        )
    return there


def how_to_fetch(cve_id: str) -> str:
    """Return a tip with the command that fetches the record of an id, if there can be one."""
    year, this_year = int(cve_id.split("-")[1]), date.today().year
    if year > this_year:
        return f"no CVE of {year} is published yet; check the id, or this machine's clock"
    if _store().exists():
        return f"run: cybersecqwen fetch records, or fetch nvd --years {_feed_year(cve_id)}"
    return f"run: cybersecqwen fetch nvd --years {_feed_year(cve_id)}"


def _store() -> Path:
    from cybersecqwen.sources.fetch import default_cache
    from cybersecqwen.sources.recordstore.database import NAME

    return default_cache() / NAME


def _feed_year(cve_id: str) -> int:
    return max(int(cve_id.split("-")[1]), _FIRST_FEED)


def _find(path: Path, wanted: Collection[str], report: Report) -> dict[str, Vulnerability]:
    """Read a file up to the last of the wanted records; of each, the first one counts."""
    vulnerabilities: dict[str, Vulnerability] = {}
    for vulnerability in _candidates(path, wanted, report):
        if vulnerability.cve_id in wanted:
            vulnerabilities.setdefault(vulnerability.cve_id, vulnerability)
            if len(vulnerabilities) == len(wanted):
                break
    return vulnerabilities


def _candidates(path: Path, wanted: Collection[str], report: Report) -> Iterator[Vulnerability]:
    """Yield the records of a file; only the wanted ones where it has an index or a file per id."""
    from cybersecqwen.sources import cve_json, read_vulnerabilities, record_table
    from cybersecqwen.sources.recordstore import database, query

    head = first_bytes(path) if path.is_file() else b""
    if head.startswith(database.MAGIC):
        yield from query.find(path, wanted)
        return
    if head.startswith(record_table.MAGIC):
        yield from record_table.find(path, wanted, report)
        return
    by_name = False
    if path.is_dir() or path.is_file():
        for member in members(path):
            if cve_json.RECORD_FILE.search(member.name):
                by_name = True
                if PurePosixPath(member.name).name.split(".")[0].upper() in wanted:
                    with reported(report):
                        yield cve_json.read_record(member.read(), member.where)
    if not by_name:
        yield from read_vulnerabilities(path, report)
