"""CycloneDX in JSON: the vulnerabilities of a bill of materials or of a VEX document.

https://cyclonedx.org/docs/1.6/json/#vulnerabilities

    for vulnerability in FEED.read(Path("vex.cdx.json"), refuse):
        print(vulnerability.cve_id, vulnerability.cwe_cna)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ConfigDict, Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import Schema, each, iso_date, iso_time, parse, validated


class _Rating(Schema):
    vector: str = ""


class _Flaw(Schema):
    model_config = ConfigDict(title="CycloneDX")

    id: str
    description: str = ""
    detail: str = ""
    cwes: list[int] = Field(default=[])
    ratings: list[_Rating] = Field(default=[])
    published: str = ""
    updated: str = ""


class _Document(Schema):
    model_config = ConfigDict(title="CycloneDX")

    vulnerabilities: list[Any] = Field(default=[])


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    return each(parse(_Document, data, where).vulnerabilities, _record, where, report)


def _record(item: Any, where: str) -> Vulnerability:
    flaw = validated(_Flaw, item, where)
    vectors = (rating.vector for rating in flaw.ratings)
    return Vulnerability(
        cve_id=normalise_cve(flaw.id) or flaw.id,
        published=iso_date(flaw.published, where) if flaw.published else "",
        description="\n\n".join(filter(None, (flaw.description, flaw.detail))),
        cwe_cna=tuple(f"CWE-{number}" for number in dict.fromkeys(flaw.cwes)),
        cvss3_vector=next((v for v in vectors if v.startswith("CVSS:3")), None),
        description_source="cyclonedx",
        modified=iso_time(flaw.updated, where) if flaw.updated else "",
        where=where,
    )


def _recognise(head: Head) -> bool:
    return "bomFormat" in head.keys()  # noqa: SIM118


FEED = advisory_feed("cyclonedx", "a CycloneDX document", recognise=_recognise, records=_records)
