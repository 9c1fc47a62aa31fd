"""Advisories in the OSV format, and as GitHub's API gives them.

https://ossf.github.io/osv-schema/

    for vulnerability in FEED.read(Path("advisory-database.zip"), refuse):
        print(vulnerability.cve_id, vulnerability.cwe_cna)

The id is the CVE that an advisory is about, else its own. The labels count as a CNA's, which
GitHub is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Cvss, Vulnerability
from cybersecqwen.sources.affected import Claim, affected, version_range
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import (
    IsoDate,
    IsoTime,
    Schema,
    cvss3,
    inside,
    labels_of,
    parse,
    severities,
)


def _either(osv: str, github: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(osv, github))


class _Weakness(Schema):
    cwe_id: str


class _Rating(Schema):
    score: str = ""


class _Package(Schema):
    ecosystem: str = ""
    name: str | None = None  # GitHub's API may not know it


class _Event(Schema):
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""


class _Range(Schema):
    type: str = ""
    events: list[_Event] = Field(default=[])

    def written(self) -> Iterator[str]:
        """Yield the ranges between the events, which stand in the order of versions."""
        first = ""
        for event in self.events if self.type != "GIT" else ():
            if event.introduced:
                first = event.introduced
            if event.fixed or event.last_affected:
                yield version_range(first=first, below=event.fixed, last=event.last_affected)
                first = ""
        yield version_range(first=first)


class _Affected(Schema):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None

    def claims(self) -> Iterator[Claim]:
        """Yield the ranges, or the versions where there are none."""
        if self.package:
            ranges = [text for one in self.ranges or () for text in one.written() if text]
            for text in ranges or self.versions or [""]:
                yield Claim(self.package.ecosystem, self.package.name or "", text)


class _Vulnerable(Schema):
    package: _Package | None = None
    versions: str | None = Field(default=None, alias="vulnerable_version_range")

    def claims(self) -> Iterator[Claim]:
        """Yield the range, as GitHub writes it."""
        if self.package:
            yield Claim(self.package.ecosystem, self.package.name or "", self.versions or "")


class _Advisory(Schema, title="OSV"):
    id: str = Field(validation_alias=AliasChoices("id", "ghsa_id"))
    cve_id: str | None = None
    aliases: list[str] | None = None
    summary: str | None = None
    details: str | None = _either("details", "description")
    published: IsoDate | None = _either("published", "published_at")
    modified: IsoTime | None = _either("modified", "updated_at")
    withdrawn: str | None = _either("withdrawn", "withdrawn_at")
    cwe_ids: list[str] | None = inside("database_specific", "cwe_ids", default=None)
    cwes: list[_Weakness] | None = None
    severity: list[_Rating] | str | None = None  # GitHub's API has a word there
    github_v4: str | None = inside("cvss_severities", "cvss_v4", "vector_string", default=None)
    github_v3: str | None = inside("cvss_severities", "cvss_v3", "vector_string", default=None)

    affected: list[_Affected] | None = None
    vulnerabilities: list[_Vulnerable] | None = None  # as GitHub's API has them

    @property
    def cvss(self) -> tuple[Cvss, ...]:
        ratings = self.severity if isinstance(self.severity, list) else ()
        return severities([*(one.score for one in ratings), self.github_v4, self.github_v3])


def _records(data: bytes, where: str, _: Report) -> Iterator[Vulnerability]:
    one = parse(_Advisory, data, where)
    ids = (one.cve_id or "", one.id, *(one.aliases or ()))
    yield Vulnerability(
        cve_id=next(filter(None, map(normalise_cve, ids)), one.id),
        published=one.published or "",
        description="\n\n".join(filter(None, (one.summary, one.details))),
        cwe_cna=labels_of([*(one.cwe_ids or ()), *(w.cwe_id for w in one.cwes or ())]),
        cvss3_vector=cvss3(one.cvss),
        cvss=one.cvss,
        description_source="osv",
        rejected=bool(one.withdrawn),
        modified=one.modified or "",
        where=where,
        affected=affected(
            claim
            for some in (one.affected or (), one.vulnerabilities or ())
            for product in some
            for claim in product.claims()
        ),
    )


def _recognise(head: Head) -> bool:
    keys = head.keys()
    described = {"summary", "details"} & keys
    return "ghsa_id" in keys or bool(
        "id" in keys and described and {"schema_version", "affected", "database_specific"} & keys
    )


FEED = advisory_feed("osv", "an advisory of OSV or GitHub", recognise=_recognise, records=_records)
