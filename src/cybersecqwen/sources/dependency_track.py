"""Dependency-Track's findings, in its Finding Packaging Format.

https://docs.dependencytrack.org/integrations/file-formats/

    for vulnerability in FEED.read(Path("findings.fpf"), refuse):
        print(vulnerability.cve_id, vulnerability.cwe_cna)

A vulnerability of several components is one record. Its VEX is CycloneDX.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import AffectedProduct, Vulnerability
from cybersecqwen.sources.affected import affected
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    Schema,
    cvss3,
    each,
    inside,
    labels_of,
    parse,
    severities,
    validated,
)


class _Weakness(Schema):
    number: int = Field(alias="cweId")


class _Finding(Schema, title="a finding of Dependency-Track"):
    id: str = Field(validation_alias="vulnId", min_length=1)
    title: str | None = None
    description: str | None = None
    cwe: _Weakness | None = None  # before version 1.1
    cwes: list[_Weakness] | None = None
    v4: str | None = Field(default=None, alias="cvssV4Vector")
    v3: str | None = Field(default=None, alias="cvssV3Vector")
    v2: str | None = Field(default=None, alias="cvssV2Vector")


class _Component(Schema):
    group: str | None = None
    name: str = ""
    version: str | None = None


class _Item(Schema, title="a finding of Dependency-Track"):
    vulnerability: Any
    component: _Component = _Component()


class _Findings(Schema, title="findings of Dependency-Track"):
    application: str = inside("meta", "application")
    findings: list[Any]


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    together: dict[Vulnerability, list[AffectedProduct]] = {}
    for record in each(parse(_Findings, data, where).findings, _record, where, report):
        together.setdefault(replace(record, affected=()), []).extend(record.affected)
    for record, components in together.items():
        yield replace(record, affected=affected(components))


def _record(item: Any, where: str) -> Vulnerability:
    finding = validated(_Item, item, where)
    one, component = validated(_Finding, finding.vulnerability, where), finding.component
    weaknesses = one.cwes or ([one.cwe] if one.cwe else [])
    cvss = severities((one.v4, one.v3, one.v2))
    return Vulnerability(
        cve_id=normalise_cve(one.id) or one.id,
        published="",
        description=one.description or one.title or "",
        cwe_cna=labels_of(f"CWE-{weakness.number}" for weakness in weaknesses),
        cvss3_vector=cvss3(cvss),
        cvss=cvss,
        description_source="dependency-track",
        where=where,
        affected=affected([(component.group or "", component.name, component.version or "")]),
    )


def _recognise(head: Head) -> bool:
    return head.keys().issuperset(("meta", "project", "findings"))


FEED = advisory_feed(
    "dependency-track",
    "findings of Dependency-Track",
    recognise=_recognise,
    records=_records,
)
