"""DefectDojo's generic findings in JSON, as it imports them.

https://docs.defectdojo.com/supported_tools/parsers/file/generic/

    for vulnerability in FEED.read(Path("findings.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

A finding is a record, whose id is its CVE, or else the one that the tool gave it, or its title. The
labels count as a CNA's. The CSV that DefectDojo exports is a table of texts: `classify` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoDate,
    Schema,
    cvss3,
    each,
    labels_of,
    parse,
    severities,
    validated,
)


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


class _Findings(Schema, title="generic findings"):
    findings: list[Any]


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Findings, data, where).findings, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    one = validated(_Finding, item, where)
    ids = [one.cve or "", *(one.ids or ()), one.unique_id or "", one.title]
    identity = next(filter(None, map(normalise_cve, ids)), one.unique_id or one.title)
    if not identity:
        raise InputError("has neither an id nor a title", where=where, tip="fix the finding")
    cvss = severities((one.v4, one.v3))
    numbers = [str(number).upper().removeprefix("CWE-") for number in (one.cwe, *(one.cwes or ()))]
    return Vulnerability(
        cve_id=identity,
        published=one.published or "",
        description=one.description or one.title,
        cwe_cna=labels_of(f"CWE-{number}" for number in numbers if number not in ("0", "NONE")),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="defectdojo",
        where=where,
    )


def _recognise(head: Head) -> bool:
    keys = head.keys()
    return "findings" in keys and "meta" not in keys and b'"title"' in head.data


FEED = advisory_feed(
    "defectdojo", "generic findings of DefectDojo", recognise=_recognise, records=_records
)
