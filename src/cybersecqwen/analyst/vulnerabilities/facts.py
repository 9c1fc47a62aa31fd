"""What is at hand about a CVE: its record, KEV and EPSS, the product, and where all that is from.

facts = collect(["CVE-2021-44228"], [Path("records.sqlite")])["CVE-2021-44228"]
facts.product, facts.cvss().score, facts.evidence("score")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from cybersecqwen.analyst import exploitation
from cybersecqwen.analyst.labels import RecordLabel, record_labels
from cybersecqwen.analyst.vulnerabilities.index import RecordHit, find_records
from cybersecqwen.analyst.vulnerabilities.nicknames import nickname_of
from cybersecqwen.analyst.vulnerabilities.products import affected_product
from cybersecqwen.analyst.vulnerabilities.wording import listed
from cybersecqwen.cwe.identifiers import cve_year
from cybersecqwen.records import (
    AffectedProduct,
    Cvss,
    EpssScore,
    Evidence,
    KnownExploitation,
    Vulnerability,
)
from cybersecqwen.sources.severity import main_severity

NVD = "https://nvd.nist.gov/vuln/detail/"
_QUOTED = 600  # characters of a description that an answer quotes
_EXCERPT = 80  # characters of a description that stand for a name


@dataclass(frozen=True)
class CveFacts:
    """All that is at hand about a CVE; `hit` is None where no record is."""

    cve_id: str
    hit: RecordHit | None
    kev: KnownExploitation | None
    kev_release: str
    epss: EpssScore | None
    epss_release: str

    @property
    def record(self) -> Vulnerability | None:
        """The record, None where no feed at hand has it."""
        return self.hit.record if self.hit else None

    @cached_property
    def text(self) -> str:
        """The description on one line, "" without one."""
        return one_line(self.record)

    @cached_property
    def label(self) -> str:
        """The id, and the name under which the CVE is known."""
        return cve_label(self.cve_id)

    @cached_property
    def product(self) -> str:
        """The product that is affected, by KEV or by the description; "" where neither names it."""
        if self.kev and self.kev.product:
            vendor, product = self.kev.vendor, self.kev.product
            return product if product.lower().startswith(vendor.lower()) else f"{vendor} {product}"
        return affected_product(self.text)

    @cached_property
    def labels(self) -> tuple[RecordLabel, ...]:
        """The labels of the record that name an entry of CWE."""
        labels = record_labels(self.record) if self.record else ()
        return tuple(label for label in labels if label.kind != "placeholder")

    @property
    def affected(self) -> tuple[AffectedProduct, ...]:
        """The products and versions that the record lists as affected."""
        return self.record.affected if self.record else ()

    def cvss(self, version: str = "") -> Cvss | None:
        """Return the severity of a version, or the one of version 3 before any other."""
        return main_severity(self.record, version) if self.record else None

    def evidence(self, section: str) -> Evidence:
        """Return the record as evidence."""
        name = self.product or self.text[:_EXCERPT]
        return cve_evidence(self.cve_id, section, name=name, text=self.text)


def collect(cve_ids: Sequence[str], records: Sequence[Path]) -> dict[str, CveFacts]:
    """Collect what is at hand about some CVEs."""
    hits = find_records(cve_ids, records)
    kev_release, kev = exploitation.known_exploited(cve_ids, records)
    epss_release, epss = exploitation.epss(cve_ids, records)
    return {
        cve_id: CveFacts(
            cve_id,
            hits.get(cve_id),
            kev.get(cve_id),
            kev_release,
            epss.get(cve_id),
            epss_release,
        )
        for cve_id in cve_ids
    }


def not_at_hand(cve_id: str, records: Sequence[Path]) -> str:
    """Say that no record of a CVE is at hand, and what would bring it."""
    from cybersecqwen.analyst.local_records import how_to_fetch

    if cve_year(cve_id) > str(date.today().year):
        return f"{cve_id} is not covered: no CVE of {cve_year(cve_id)} is published yet."
    where = f"in {listed([path.name for path in records])}" if records else "at hand"
    tip = "give other --records" if records else how_to_fetch(cve_id)
    return f"{cve_id} is not covered: no record of it is {where} ({tip})."


def cve_label(cve_id: str) -> str:
    """Return an id, and the name under which the CVE is known."""
    name = nickname_of(cve_id)
    return f"{cve_id} ({name})" if name else cve_id


def cve_evidence(cve_id: str, section: str, *, name: str, text: str) -> Evidence:
    """Return a record as evidence, under the name by which the CVE is known before any other."""
    name = nickname_of(cve_id) or name
    return Evidence(cve_id, name, "vulnerability", section, f"{NVD}{cve_id}", 1.0, text)


def one_line(record: Vulnerability | None) -> str:
    """Return the description of a record on one line and without markup, "" without one."""
    from cybersecqwen.embedded.tokenizer import plain

    return " ".join(plain(record.description).split()) if record else ""


def cut(text: str, longest: int) -> str:
    """Cut a text behind a word where it has more characters than `longest`."""
    return text if len(text) <= longest else f"{text[:longest].rpartition(' ')[0]} …"


def quote(facts: CveFacts) -> str:
    """Quote the description, cut behind a word where it is long."""
    return f'The record says: "{cut(facts.text, _QUOTED)}"' if facts.text else ""


def sources(facts: Sequence[CveFacts], *, kev: bool, epss: bool = False) -> str:
    """Say where the facts are from, and of which day; "" where they are from no file."""
    given = list(_sources(facts, kev=kev, epss=epss))
    return f"From {listed(given)}." if given else ""


def _sources(facts: Sequence[CveFacts], *, kev: bool, epss: bool) -> Iterator[str]:
    hits = (one.hit for one in facts if one.hit)
    for source, newest in dict.fromkeys((hit.source, hit.newest) for hit in hits):
        yield f"{source} with records up to {newest}" if newest else source
    if kev:
        yield f"KEV {facts[0].kev_release}"
    if epss and facts[0].epss_release:
        yield f"EPSS {facts[0].epss_release}"
