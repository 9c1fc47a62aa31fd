"""DefectDojo's generic findings in JSON, as it imports them.

https://docs.defectdojo.com/supported_tools/parsers/file/generic/

    for vulnerability in FEED.read(Path("findings.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

A finding is a record, whose id is its CVE, or else the one that the tool gave it, or where it
stands. The labels count as a CNA's. `from_cells` reads a row of the CSV that DefectDojo exports, or
of the one that it imports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.affected import affected
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoDate,
    Schema,
    cvss3,
    each,
    is_day,
    labels_of,
    parse,
    severities,
    validated,
)

_SEPARATOR = re.compile(r"[,;\s]+")


class _Finding(Schema, title="a generic finding"):
    title: str
    description: str = ""
    cve: str | None = None
    ids: list[str] | None = Field(default=None, alias="vulnerability_ids")
    unique_id: str | None = Field(default=None, alias="unique_id_from_tool")
    cwe: int | None = None
    cwes: list[int | str] | None = None
    v3: str | None = Field(default=None, alias="cvssv3")
    v4: str | None = Field(default=None, alias="cvssv4")
    published: IsoDate | None = Field(default=None, alias="publish_date")
    component: str | None = Field(default=None, alias="component_name")
    version: str | None = Field(default=None, alias="component_version")


class _Findings(Schema, title="generic findings"):
    findings: list[Any]


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Findings, data, where).findings, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    one = validated(_Finding, item, where)
    ids = [one.cve or "", *(one.ids or ()), one.unique_id or "", one.title]
    identity = next(filter(None, map(normalise_cve, ids)), one.unique_id or where)
    told = one.title.startswith(identity)  # which says no more than that
    text = "\n\n".join(filter(None, ("" if told else one.title, one.description)))
    if not text:
        raise InputError("has neither title nor description", where=where, tip="fix the finding")
    cvss = severities((one.v4, one.v3))
    numbers = [str(number).upper().removeprefix("CWE-") for number in (one.cwe, *(one.cwes or ()))]
    return Vulnerability(
        cve_id=identity,
        published=one.published or "",
        description=text,
        cwe_cna=labels_of(f"CWE-{number}" for number in numbers if number not in ("0", "NONE")),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="defectdojo",
        where=where,
        affected=affected([("", one.component or "", one.version or "")]),
    )


def from_cells(cells: Mapping[str, str], where: str) -> Vulnerability:
    """Return the record of a row; the names of its columns are in lower case."""
    number = cells.get("cwe") or cells.get("cweid") or ""
    published = (cells.get("publish_date") or "")[:10]
    own = f"finding {cells['id']}" if cells.get("id") else None
    item = {
        "title": cells["title"],
        "description": cells["description"],
        "cve": cells.get("cve"),
        "vulnerability_ids": _SEPARATOR.split(cells.get("vulnerability_ids") or ""),
        "unique_id_from_tool": cells.get("unique_id_from_tool") or own,
        "cwe": int(number) if number.isdigit() else None,
        "cvssv3": cells.get("cvssv3"),
        "cvssv4": cells.get("cvssv4"),
        "publish_date": published if is_day(published) else None,
        "component_name": cells.get("component_name"),
        "component_version": cells.get("component_version"),
    }
    return _record(item, where)


def _recognise(head: Head) -> bool:
    keys = head.keys()
    return "findings" in keys and "meta" not in keys and b'"title"' in head.data


FEED = advisory_feed(
    "defectdojo", "generic findings of DefectDojo", recognise=_recognise, records=_records
)
