"""CSAF 2.x: vendors' security advisories, VEX documents among them.

https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html

    for vulnerability in FEED.read(Path("rhsa-2024_0001.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

The labels count as a CNA's, which most vendors are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict, Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    Cvss,
    Schema,
    Text,
    each,
    english,
    iso_time,
    labels_of,
    parse,
    validated,
)

_NOTES = ("description", "summary", "details", "general")  # the first of these is the text


class _Note(Schema):
    category: str
    text: str


class _Weakness(Schema):
    id: str


class _Other(Schema):
    text: str


class _Score(Schema):
    v3: Cvss | None = Field(default=None, alias="cvss_v3")


class _Flaw(Schema):
    model_config = ConfigDict(title="CSAF")

    cve: str = ""
    ids: list[_Other] = Field(default=[])
    title: str = ""
    notes: list[_Note] = Field(default=[])
    cwe: _Weakness | None = None
    cwes: list[_Weakness] = Field(default=[])  # since CSAF 2.1
    scores: list[_Score] = Field(default=[])


class _Tracking(Schema):
    current: str = Field(default="", alias="current_release_date")


class _Document(Schema):
    version: str = Field(alias="csaf_version")
    lang: str = "en"
    tracking: _Tracking = _Tracking()


class _Advisory(Schema):
    model_config = ConfigDict(title="CSAF")

    document: _Document
    vulnerabilities: list[Any] = Field(default=[])


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    advisory = parse(_Advisory, data, where)

    def record(item: Any, place: str) -> Vulnerability:
        return _record(validated(_Flaw, item, place), advisory.document, place)

    return each(advisory.vulnerabilities, record, where, report)


def _record(flaw: _Flaw, document: _Document, where: str) -> Vulnerability:
    cve_id = normalise_cve(flaw.cve) or next((other.text for other in flaw.ids), "")
    if not cve_id:
        raise InputError("has neither a CVE id nor another", where=where, tip="fix the advisory")
    texts = [n.text for name in _NOTES for n in flaw.notes if n.category == name]
    spoken = [Text(lang=document.lang, value=text) for text in (*texts, flaw.title)]
    scores = [score.v3 for score in flaw.scores if score.v3]
    modified = document.tracking.current
    return Vulnerability(
        cve_id=cve_id,
        published="",
        description=english(spoken),
        cwe_cna=labels_of([w.id for w in (*filter(None, [flaw.cwe]), *flaw.cwes)]),
        cvss3_vector=scores[0].vector if scores else None,
        description_source="csaf",
        modified=iso_time(modified, where) if modified else "",
        where=where,
    )


def _recognise(head: Head) -> bool:
    return "document" in head.keys() and b'"csaf_version"' in head.data  # noqa: SIM118


FEED = advisory_feed("csaf", "a CSAF advisory", recognise=_recognise, records=_records)
