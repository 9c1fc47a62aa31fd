"""CVE JSON 5.x: the CVE List (cvelistV5) and CISA's Vulnrichment.

    https://github.com/CVEProject/cve-schema

    for vulnerability in read(Path("cvelistV5-main.zip")):
        print(vulnerability.cve_id, vulnerability.cwe_cna, vulnerability.cwe_cisa_adp)

The containers of the CNA and of CISA stay apart. Records are never merged over
files: the list and Vulnrichment each give a whole record of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Literal

from pydantic import AliasPath, Field

from cybersecqwen.cwe.identifiers import CVE_SYNTAX
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head, members
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Cvss, Vulnerability, is_placeholder
from cybersecqwen.sources.affected import Claim, affected, version_range
from cybersecqwen.sources.schema import (
    CISA_ADP,
    CveId,
    IsoDate,
    IsoTime,
    Schema,
    Text,
    cvss3,
    english,
    inside,
    labels_of,
    parse,
    stated_label,
)

# The repositories hold other JSON too: delta.json, recent_activities.json, settings.
RECORD_FILE = re.compile(rf"(^|/){CVE_SYNTAX}\.json(\.(gz|xz|bz2|zst))?$", re.IGNORECASE)

_CISA_TITLE = "CISA ADP Vulnrichment"


class _ProblemText(Schema):
    cwe: str | None = Field(default=None, alias="cweId")
    description: str | None = None


class _Problem(Schema):
    descriptions: list[_ProblemText]


class _Severity(Schema):
    vector: str = Field(default="", alias="vectorString")
    score: float | None = Field(default=None, alias="baseScore")


class _Metric(Schema):
    v40: _Severity | None = Field(default=None, alias="cvssV4_0")
    v31: _Severity | None = Field(default=None, alias="cvssV3_1")
    v30: _Severity | None = Field(default=None, alias="cvssV3_0")
    v2: _Severity | None = Field(default=None, alias="cvssV2_0")


class _Version(Schema):
    version: str = ""
    status: str = ""
    below: str = Field(default="", alias="lessThan")
    last: str = Field(default="", alias="lessThanOrEqual")
    kind: str = Field(default="", alias="versionType")

    def written(self) -> str:
        """Write the version or range; "" of a commit, which tells nobody anything."""
        if "git" in self.kind or "commit" in self.kind:
            return ""
        if self.below or self.last:
            return version_range(first=self.version, below=self.below, last=self.last)
        return self.version


class _Product(Schema):
    vendor: str = ""
    product: str = ""
    package: str = Field(default="", alias="packageName")
    status: str = Field(default="unknown", alias="defaultStatus")  # of versions not listed
    versions: list[_Version] = Field(default=[])


class _Container(Schema):
    title: str = ""
    org: str = inside("providerMetadata", "orgId")
    updated: IsoTime = inside("providerMetadata", "dateUpdated")
    # A rejected record gives rejectedReasons in place of descriptions.
    descriptions: list[Text] = Field(default=[])
    problems: list[_Problem] = Field(default=[], alias="problemTypes")
    metrics: list[_Metric] = Field(default=[])
    affected: list[_Product] = Field(default=[])


class _Metadata(Schema):
    id: CveId = Field(alias="cveId")
    state: Literal["PUBLISHED", "REJECTED"]
    published: IsoDate | None = Field(default=None, alias="datePublished")
    updated: IsoTime = Field(default="", alias="dateUpdated")
    assigner: str | None = Field(default=None, alias="assignerShortName")


class _Record(Schema, title="CVE JSON 5"):
    type: Literal["CVE_RECORD"] = Field(alias="dataType")
    version: str = Field(alias="dataVersion", pattern=r"^5\.")
    metadata: _Metadata = Field(alias="cveMetadata")
    cna: _Container = Field(validation_alias=AliasPath("containers", "cna"))
    adps: list[_Container] = inside("containers", "adp", default=[])


def recognise(head: Head) -> bool:
    """Tell a record by its file's name or its first keys."""
    return bool(RECORD_FILE.search(head.name) or {"cveMetadata", "containers"} & head.keys())


def read(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of one file, or of all `CVE-*.json` in a folder or archive.

    `where` is the file, or the archive and the member in it. A record that breaks the schema
    goes to `report`. Raises InputError on a damaged archive, and where there is no record.
    """
    empty = True
    for entry in members(path):
        if RECORD_FILE.search(entry.name) or entry.where == str(path):
            empty = False
            with reported(report):
                yield read_record(entry.read(), entry.where)
    if empty:
        raise InputError("holds no file CVE-YEAR-NUMBER.json", where=path, tip="check the path")


def read_record(data: bytes, where: str) -> Vulnerability:
    """Read the bytes of one record; raises InputError at `where` when they are none."""
    return _vulnerability(parse(_Record, data, where), where)


def _vulnerability(record: _Record, where: str) -> Vulnerability:
    cna, adps, metadata = record.cna, record.adps, record.metadata
    cisa = [a for a in adps if a.title == _CISA_TITLE or a.org == CISA_ADP]
    severities = [*_severities("cna", [cna]), *_severities("cisa_adp", cisa)]
    return Vulnerability(
        cve_id=metadata.id,
        published=metadata.published or "",
        description=english(cna.descriptions),
        cwe_cna=_labels([cna]),
        cwe_cisa_adp=_labels(cisa),
        cvss3_vector=cvss3(severities),
        assigner=metadata.assigner,
        description_source="cvelist",
        rejected=metadata.state == "REJECTED",
        status=metadata.state,
        cvss=tuple(sorted(severities, key=attrgetter("version"), reverse=True)),
        # Each part has a date of its own.
        modified=max(metadata.updated, *(c.updated for c in (cna, *adps))),
        where=where,
        affected=affected(claim for c in (cna, *adps) for claim in _claims(c)),
    )


def _labels(containers: Iterable[_Container]) -> tuple[str, ...]:
    """List the CWE ids in their own field, else those that the descriptions state."""
    texts = (t for c in containers for problem in c.problems for t in problem.descriptions)
    return labels_of(stated_label(t.cwe) or stated_label(t.description) or t.cwe for t in texts)


def _claims(container: _Container) -> Iterator[Claim]:
    for one in container.affected:
        name = one.package if is_placeholder(one.product) else one.product
        listed = [v.written() for v in one.versions if v.status == "affected"]
        if one.status == "affected":
            ranges = (v.written() for v in one.versions if v.status == "unaffected")
            listed += ["", *(f"not {text}" for text in ranges if text)]
        yield from (Claim(one.vendor, name, text) for text in listed)


def _severities(source: str, containers: Iterable[_Container]) -> Iterator[Cvss]:
    """Yield what the containers give, of each the newest version of CVSS first."""
    for metrics in (container.metrics for container in containers):
        versions = {
            "4.0": [m.v40 for m in metrics],
            "3.1": [m.v31 for m in metrics],
            "3.0": [m.v30 for m in metrics],
            "2.0": [m.v2 for m in metrics],
        }
        for version, given in versions.items():
            for one in filter(None, given):
                if one.vector:
                    yield Cvss(source, version, one.vector, one.score)
