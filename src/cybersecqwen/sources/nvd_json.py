"""NVD JSON 2.0: the yearly feeds, saved pages of the API, and bare records as mirrors keep them.

    https://nvd.nist.gov/developers/vulnerabilities

    for vulnerability in read(Path("nvdcve-2.0-2015.json.gz")):
        print(vulnerability.cve_id, vulnerability.cwe_nvd)

The pages of one API query lie in one folder (other queries in other folders). A query with a page
missing is refused, since a corpus would lack its records without a word. A mirror keeps each
record in a file (https://github.com/olbat/nvdcve), or those of a year as `cve_items`
(https://github.com/fkie-cad/nvd-json-data-feeds).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from cybersecqwen.errors import InputError
from cybersecqwen.formats import encoding
from cybersecqwen.formats.archives import Head, Member, json_members, readable, unpacked, utf8
from cybersecqwen.formats.json_stream import list_rows
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Cvss, Vulnerability
from cybersecqwen.sources.affected import Claim, affected, of_cpe, unescape, version_range
from cybersecqwen.sources.schema import (
    CISA_ADP,
    CveId,
    IsoDate,
    IsoTime,
    Schema,
    Text,
    each,
    english,
    inside,
    labels_of,
    parse,
    validated,
)

_NVD = "nvd@nist.gov"
# Keys of a record without its envelope; either set tells one.
_BARE = ({"sourceIdentifier", "vulnStatus"}, {"id", "descriptions", "lastModified"})
_SOURCES = {_NVD: "nvd", CISA_ADP: "cisa_adp"}  # any other source is a CNA


class _Weakness(Schema):
    source: str
    description: list[Text]


class _Metric(Schema):
    source: str = ""
    type: str
    vector: str = inside("cvssData", "vectorString")
    score: float | None = inside("cvssData", "baseScore", default=None)


class _Metrics(Schema):
    v40: list[_Metric] = Field(default=[], alias="cvssMetricV40")
    v31: list[_Metric] = Field(default=[], alias="cvssMetricV31")
    v30: list[_Metric] = Field(default=[], alias="cvssMetricV30")
    v2: list[_Metric] = Field(default=[], alias="cvssMetricV2")


class _Match(Schema):
    vulnerable: bool
    criteria: str
    first: str = Field(default="", alias="versionStartIncluding")
    above: str = Field(default="", alias="versionStartExcluding")
    below: str = Field(default="", alias="versionEndExcluding")
    last: str = Field(default="", alias="versionEndIncluding")

    def claim(self) -> Claim:
        """Return what the criteria name, with the range of versions that stands beside them."""
        bounds = {"first": self.first, "above": self.above, "below": self.below, "last": self.last}
        named = of_cpe(self.criteria)
        return named._replace(versions=unescape(version_range(**bounds)) or named.versions)


class _Node(Schema):
    matches: list[_Match] = Field(default=[], alias="cpeMatch")


class _Configuration(Schema):
    nodes: list[_Node] = Field(default=[])


class _Cve(Schema, title="NVD JSON 2.0"):
    id: CveId
    assigner: str | None = Field(default=None, alias="sourceIdentifier")
    published: IsoDate
    modified: IsoTime = Field(default="", alias="lastModified")
    status: str = Field(default="", alias="vulnStatus")
    descriptions: list[Text]
    metrics: _Metrics = _Metrics()
    weaknesses: list[_Weakness] = Field(default=[])
    configurations: list[_Configuration] = Field(default=[])


class Page(Schema, title="NVD JSON 2.0"):
    """One answer of the API, or a yearly feed, which is an answer of one page.

    `vulnerabilities` are validated one by one, by `records_of`.
    """

    format: Literal["NVD_CVE"]
    version: Literal["2.0"]
    start: int = Field(alias="startIndex", ge=0)
    total: int = Field(alias="totalResults", ge=0)
    size: int | None = Field(default=None, alias="resultsPerPage")
    timestamp: str = ""  # upstream's clock
    vulnerabilities: list[Any]

    @model_validator(mode="before")
    @classmethod
    def _with_envelope(cls, content: Any) -> Any:
        """Put the envelope around records that have none."""
        if not isinstance(content, dict) or "format" in content:
            return content
        is_bare = "cve" in content or _is_bare(content.keys())
        bare = content.get("cve_items", [content] if is_bare else None)
        if not isinstance(bare, list):
            return content
        envelope = {"format": "NVD_CVE", "version": "2.0", "startIndex": 0}
        return {**envelope, "totalResults": len(bare), "vulnerabilities": bare}


@dataclass(frozen=True, slots=True)
class _Part:
    """A page of a longer answer, already turned into records."""

    page: Page
    records: list[Vulnerability]
    where: str


def recognise(head: Head) -> bool:
    """Tell a feed, a page or a bare record by its first keys."""
    keys = head.keys()
    return bool({"resultsPerPage", "cve_items"} & keys) or keys == {"cve"} or _is_bare(keys)


def _is_bare(keys: Set[str]) -> bool:
    return any(bare <= keys for bare in _BARE)


def read(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of a feed, of a saved page, or of a folder or archive of either.

    `where` is the file and the record's position in it, from 1. A record or file that is wrong
    goes to `report`. Raises InputError when pages do not cover their `totalResults`.
    """
    empty = True
    pages = groupby(json_members(path), key=lambda entry: PurePosixPath(entry.name).parent)
    for _, group in pages:
        for record in _read_folder(group, report):
            empty = False
            yield record
    if empty:
        raise InputError(
            "holds no NVD record", where=path, tip="a feed is named nvdcve-2.0-YEAR.json.gz"
        )


def _read_folder(pages: Iterable[Member], report: Report) -> Iterator[Vulnerability]:
    """Yield the records of whole answers as they come, then those of the paged one, joined."""
    parts = []
    for entry in pages:
        with reported(report):
            if envelope := _whole_feed(entry.head()):
                yield from _streamed(entry, envelope.total, report)
                continue
            page = parse(Page, entry.read(), entry.where)
            records = records_of(page, entry.where, report)
            if page.start == 0 and page.total == len(page.vulnerabilities):
                yield from records
            else:
                parts.append(_Part(page, records, entry.where))
    yield from _joined(sorted(parts, key=lambda part: part.page.start))


def _whole_feed(head: bytes) -> Page | None:
    """Return the envelope of an answer of one page, where that stands before its records."""
    begun, records, _ = utf8(head).partition(b'"vulnerabilities"')
    try:
        page = Page.model_validate_json(begun.rstrip(b", \t\r\n") + b"," + records + b":[]}")
    except ValidationError:
        return None
    return page if page.start == 0 and page.size == page.total else None


def _streamed(entry: Member, total: int, report: Report) -> Iterator[Vulnerability]:
    """Yield the records of an answer of one page as it is read: a year has hundreds of MB."""
    count = 0
    with readable(entry.where):
        entry.file.seek(0)
        text = encoding.Text(unpacked(entry.file, entry.where), entry.where)
        for where, item in list_rows(text):
            if text.is_guessed:
                raise InputError("is not UTF-8", where=where, tip="download it again")
            if where != entry.where:  # the rest of the envelope has no number
                count += 1
                with reported(report):
                    yield _record(item, where)
    if count != total:
        raise _uncovered(entry.where, count, total)


def _joined(parts: list[_Part]) -> Iterator[Vulnerability]:
    # The total may grow while the pages are fetched: the largest one has to be covered.
    total = max((part.page.total for part in parts), default=0)
    covered = 0
    for part in parts:
        if part.page.start != covered:
            raise _uncovered(part.where, covered, total)
        covered += len(part.page.vulnerabilities)
        yield from part.records
    if covered != total:
        raise _uncovered(parts[-1].where, covered, total)


def _uncovered(where: str, covered: int, total: int) -> InputError:
    return InputError(
        f"the pages do not continue at record {covered} of {total}",
        where=where,
        tip="fetch the missing pages; one query's pages, each once, belong in one folder",
    )


def records_of(page: Page, where: object, report: Report = refuse) -> list[Vulnerability]:
    """Turn a page into its records, each located by `where` and its position in the page."""
    return list(each(page.vulnerabilities, _record, where, report))


def read_object(data: bytes, where: str, report: Report = refuse) -> Iterator[Vulnerability]:
    """Yield the records of one page, or the one that lacks its envelope."""
    return iter(records_of(parse(Page, data, where), where, report))


def _record(item: Any, where: str) -> Vulnerability:
    bare = item.get("cve", item) if isinstance(item, dict) else item
    cve = validated(_Cve, bare, where)
    labels: dict[str, list[str]] = {"cwe_nvd": [], "cwe_cna": [], "cwe_cisa_adp": []}
    for weakness in cve.weaknesses:
        texts = [text.value for text in weakness.description]
        labels[f"cwe_{_SOURCES.get(weakness.source, 'cna')}"] += texts
    return Vulnerability(
        cve_id=cve.id,
        published=cve.published,
        description=english(cve.descriptions),
        **{column: labels_of(texts) for column, texts in labels.items()},
        cvss3_vector=_vector(cve.metrics),
        assigner=cve.assigner,
        description_source="nvd",
        rejected=cve.status == "Rejected",
        status=cve.status,
        cvss=tuple(_severities(cve.metrics)),
        modified=cve.modified,
        where=where,
        affected=affected(_claims(cve)),
    )


def _claims(cve: _Cve) -> Iterator[Claim]:
    """Yield what is vulnerable, without that on which it runs."""
    nodes = (node for configuration in cve.configurations for node in configuration.nodes)
    return (match.claim() for node in nodes for match in node.matches if match.vulnerable)


def _vector(metrics: _Metrics) -> str | None:
    """Take the CVSS 3.1 vector, else 3.0, NVD's own or the primary one before others."""
    metric = min(metrics.v31 or metrics.v30, key=lambda m: m.type != "Primary", default=None)
    return metric.vector or None if metric else None


def _severities(metrics: _Metrics) -> Iterator[Cvss]:
    versions = {"4.0": metrics.v40, "3.1": metrics.v31, "3.0": metrics.v30, "2.0": metrics.v2}
    for version, given in versions.items():
        for metric in sorted(given, key=lambda m: m.type != "Primary"):
            source = _SOURCES.get(metric.source, "cna")
            yield Cvss(source, version, metric.vector, metric.score)
