"""CycloneDX in JSON: the vulnerabilities of a bill of materials or of a VEX document.

https://cyclonedx.org/docs/1.6/json/#vulnerabilities

    for vulnerability in FEED.read(Path("vex.cdx.json"), refuse):
        print(vulnerability.cve_id, vulnerability.cwe_cna)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.affected import Claim, affected, of_purl
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoDate,
    IsoTime,
    Schema,
    cvss3,
    each,
    inside,
    parse,
    severities,
    validated,
)


class _Component(Schema):
    ref: str = Field(default="", alias="bom-ref")
    name: str = ""
    group: str = ""
    version: str = ""
    components: list[_Component] = Field(default=[])

    def claims(self) -> Iterator[tuple[str, Claim]]:
        """Yield it and its parts, each with the reference that vulnerabilities name it by."""
        yield self.ref, Claim(self.group, self.name, self.version)
        for one in self.components:
            yield from one.claims()


class _Version(Schema):
    version: str = ""
    range: str = ""
    status: str = "affected"


class _Affects(Schema):
    ref: str
    versions: list[_Version] = Field(default=[])

    def claims(self, named: dict[str, Claim]) -> Iterator[Claim]:
        """Yield the versions of what is referred to: a component here, or a package."""
        ref = unquote(self.ref.rpartition("#")[2])
        claim = named.get(self.ref) or named.get(ref) or of_purl(ref)
        told = [v.version or v.range for v in self.versions if v.status == "affected"]
        yield from (claim._replace(versions=text) for text in told)
        if not self.versions:
            yield claim


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
    affects: list[_Affects] = Field(default=[])


class _Document(Schema, title="CycloneDX with vulnerabilities"):
    vulnerabilities: list[Any] = Field(min_length=1)
    subject: _Component | None = inside("metadata", "component", default=None)
    components: list[_Component] = Field(default=[])


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    document = parse(_Document, data, where)
    every = [document.subject or _Component(), *document.components]
    named = {ref: claim for one in every for ref, claim in one.claims() if ref}
    return each(document.vulnerabilities, partial(_record, named), where, report)


def _record(named: dict[str, Claim], item: Any, where: str) -> Vulnerability:
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
        affected=affected(claim for one in flaw.affects for claim in one.claims(named)),
    )


def _recognise(head: Head) -> bool:
    return "bomFormat" in head.keys()  # noqa: SIM118


FEED = advisory_feed("cyclonedx", "a CycloneDX document", recognise=_recognise, records=_records)
