"""CycloneDX in JSON: the vulnerabilities of a bill of materials or of a VEX document.

https://cyclonedx.org/docs/1.6/json/#vulnerabilities

    for vulnerability in FEED.read(Path("vex.cdx.json"), refuse):
        print(vulnerability.cve_id, vulnerability.cwe_cna)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoDate,
    IsoTime,
    Schema,
    cvss3,
    each,
    parse,
    severities,
    validated,
)


class _Rating(Schema):
    vector: str = ""


class _Flaw(Schema, title="CycloneDX"):
    id: str
    description: str = ""
    detail: str = ""
    cwes: list[int] = Field(default=[])
    ratings: list[_Rating] = Field(default=[])
    published: IsoDate = ""
    updated: IsoTime = ""


class _Document(Schema, title="CycloneDX with vulnerabilities"):
    vulnerabilities: list[Any] = Field(min_length=1)


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Document, data, where).vulnerabilities, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    flaw = validated(_Flaw, item, where)
    cvss = severities(one.vector for one in flaw.ratings)
    return Vulnerability(
        cve_id=normalise_cve(flaw.id) or flaw.id,
        published=flaw.published,
        description="\n\n".join(filter(None, (flaw.description, flaw.detail))),
        cwe_cna=tuple(f"CWE-{number}" for number in dict.fromkeys(flaw.cwes)),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="cyclonedx",
        modified=flaw.updated,
        where=where,
    )


def _recognise(head: Head) -> bool:
    return "bomFormat" in head.keys()  # noqa: SIM118


FEED = advisory_feed("cyclonedx", "a CycloneDX document", recognise=_recognise, records=_records)
