"""CSAF 2.x: vendors' security advisories, VEX documents among them.

https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html

    for vulnerability in FEED.read(Path("rhsa-2024_0001.json"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

The labels count as a CNA's, which most vendors are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoTime,
    Schema,
    Text,
    cvss3,
    each,
    english,
    inside,
    labels_of,
    parse,
    severities,
    validated,
)

_NOTES = ("description", "summary", "details", "general")  # the first of these is the text


class _Note(Schema):
    category: str
    text: str


class _Score(Schema):
    v4: str = inside("cvss_v4", "vectorString")
    v3: str = inside("cvss_v3", "vectorString")
    v2: str = inside("cvss_v2", "vectorString")


class _Flaw(Schema, title="CSAF"):
    cve: str = ""
    other_id: str = inside("ids", 0, "text")
    title: str = ""
    notes: list[_Note] = Field(default=[])
    cwe: str = inside("cwe", "id")
    cwe_21: str = inside("cwes", 0, "id")  # since CSAF 2.1
    scores: list[_Score] = Field(default=[])


class _Advisory(Schema, title="CSAF with vulnerabilities"):
    lang: str = inside("document", "lang", default="en")
    modified: IsoTime = inside("document", "tracking", "current_release_date")
    vulnerabilities: list[Any] = Field(min_length=1)


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    advisory = parse(_Advisory, data, where)
    return each(advisory.vulnerabilities, partial(_record, advisory), where, report)


def _record(advisory: _Advisory, item: Any, where: str) -> Vulnerability:
    flaw = validated(_Flaw, item, where)
    cve_id = normalise_cve(flaw.cve) or flaw.other_id
    if not cve_id:
        raise InputError("has neither a CVE id nor another", where=where, tip="fix the advisory")
    cvss = severities(v for one in flaw.scores for v in (one.v4, one.v3, one.v2))
    texts = [n.text for name in _NOTES for n in flaw.notes if n.category == name]
    return Vulnerability(
        cve_id=cve_id,
        published="",
        description=english(Text(lang=advisory.lang, value=t) for t in (*texts, flaw.title)),
        cwe_cna=labels_of([flaw.cwe, flaw.cwe_21]),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="csaf",
        modified=advisory.modified,
        where=where,
    )


def _recognise(head: Head) -> bool:
    return "document" in head.keys() and b'"csaf_version"' in head.data  # noqa: SIM118


FEED = advisory_feed("csaf", "a CSAF advisory", recognise=_recognise, records=_records)
