"""The rows of a table of CVEs: which records meet a question's conditions, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from cybersecqwen.analyst.vulnerabilities.facts import cut, cve_evidence, one_line
from cybersecqwen.analyst.vulnerabilities.index import Index
from cybersecqwen.analyst.vulnerabilities.nicknames import nickname_of
from cybersecqwen.analyst.vulnerabilities.ratings import has_metrics
from cybersecqwen.analyst.vulnerabilities.record_query import RecordQuery
from cybersecqwen.analyst.vulnerabilities.wording import compiled, folded, table
from cybersecqwen.records import Cvss, Evidence, KnownExploitation, Vulnerability
from cybersecqwen.sources.recordstore import search
from cybersecqwen.sources.severity import main_severity, severity

_ABOUT = 60  # characters of a description in a row of the table

Kev = Mapping[str, KnownExploitation]


@dataclass(frozen=True)
class TableRow:
    """A row of the table: a record, None where only KEV has the CVE, and its entry there."""

    cve_id: str
    record: Vulnerability | None
    kev: KnownExploitation | None

    @property
    def published(self) -> str:
        """The date of publication, "" where no record at hand states it."""
        return self.record.published if self.record else ""

    def cvss(self) -> Cvss | None:
        """Return the severity, of version 3 before any other."""
        return main_severity(self.record) if self.record else None

    def line(self) -> str:
        """Return the row as text."""
        cvss = self.cvss()
        labels = self.record and (
            self.record.cwe_nvd or self.record.cwe_cna or self.record.cwe_cisa_adp
        )
        parts = [
            self.cve_id,
            self.published,
            f"{cvss.score:.1f} {severity(cvss)}" if cvss else "",
            f"KEV {self.kev.date_added}" + (" ransomware" if self.kev.ransomware else "")
            if self.kev
            else "",
            labels[0] if labels else "",
            nickname_of(self.cve_id) or self._about(),
        ]
        return "  ".join(filter(None, parts))

    def _about(self) -> str:
        if self.kev:
            return f"{self.kev.vendor} {self.kev.product}".strip()
        text = one_line(self.record)
        return cut(text, _ABOUT)

    def evidence(self, section: str) -> Evidence:
        """Return the row as evidence."""
        return cve_evidence(self.cve_id, section, name=self._about(), text=one_line(self.record))


class Feed(NamedTuple):
    """What a table is made from: the records that can be searched, and KEV."""

    indexes: Sequence[Index]
    release: str
    kev: Kev


def table_rows(query: RecordQuery, feed: Feed) -> list[TableRow]:
    """List the rows, of the product by its description or by what KEV says it is."""
    kev = feed.kev
    of_product = [cve_id for cve_id, entry in kev.items() if _is_of(entry, query.words)]
    found: dict[str, Vulnerability] = {}
    for index in feed.indexes:
        for one in _searches(query, of_product, kev):
            for record in index.select(one):
                found.setdefault(record.cve_id, record)
    rows = [TableRow(cve_id, record, kev.get(cve_id)) for cve_id, record in found.items()]
    if query.exploited and not (
        query.cwes
        or query.kind
        or query.severity
        or query.metrics
        or query.without_kind
        or query.without_cwes
    ):
        rows += [TableRow(i, None, kev[i]) for i in of_product if i not in found and _dated(query)]
    kept = [row for row in rows if _fits(row, query)]
    if query.order == "oldest":
        return sorted(kept, key=lambda row: (_date(row, query) or row.cve_id[4:8], row.cve_id))
    return sorted(
        kept, key=lambda row: (_score(row, query), _date(row, query), row.cve_id), reverse=True
    )


def _dated(query: RecordQuery) -> bool:
    """Tell whether KEV alone has the dates that are asked for."""
    return query.added or query.due or not (query.since or query.until)


def _searches(query: RecordQuery, of_product: Sequence[str], kev: Kev) -> Iterator[search.Search]:
    described = [tuple(query.kind.split())] if query.kind and not query.cwes else []
    base = search.Search(
        phrases=described,
        since="" if query.added or query.due else query.since,
        until="" if query.added or query.due else query.until,
        cwes=query.cwes,
        described=query.kind if query.cwes else "",
        score=query.severity,
    )
    by_name = replace(base, ids=list(kev) if query.exploited else None)
    if query.words:
        by_name = replace(by_name, phrases=[query.words, *described])
        if of_product:
            yield replace(base, ids=of_product)
    if len(query.words) > 1:
        by_name = replace(by_name, assigner=query.words[0], rest=query.words[1:])
    yield by_name


def _is_of(entry: KnownExploitation, words: Sequence[str]) -> bool:
    """Tell whether an entry's vendor and product have all the words of a product."""
    return _names(entry).issuperset(words)


@lru_cache(maxsize=1 << 12)  # more than the entries that KEV has
def _names(entry: KnownExploitation) -> frozenset[str]:
    return frozenset(folded(f"{entry.vendor} {entry.product}").split())


def _fits(row: TableRow, query: RecordQuery) -> bool:
    if query.exploited is not None and query.exploited != (row.kev is not None):
        return False
    ransomware = bool(row.kev and row.kev.ransomware)
    if query.ransomware is not None and query.ransomware != ransomware:
        return False
    if row.record and _is_denied(row.record, query):
        return False
    if query.metrics and not ((cvss := row.cvss()) and has_metrics(cvss, query.metrics)):
        return False
    if query.added or query.due:
        day = (row.kev.due_date if query.due else row.kev.date_added) if row.kev else ""
        return bool(day) and query.since <= day <= (query.until or "9999")
    return True


def _is_denied(record: Vulnerability, query: RecordQuery) -> bool:
    """Tell whether a record has the weakness that is asked not to be there."""
    labels = {*record.cwe_nvd, *record.cwe_cna, *record.cwe_cisa_adp}
    if labels.intersection(query.without_cwes):
        return True
    text = folded(record.description) if query.without_kind else ""
    kinds = [one for one in table()["types"].items() if compiled(one[0]).search(query.without_kind)]
    return any(
        compiled(phrase).search(text) or any(f" {one} " in f" {text} " for one in meanings)
        for phrase, meanings in kinds[:1]
    )


def _score(row: TableRow, query: RecordQuery) -> float:
    """Return the score of a row where the highest come first, else 0."""
    cvss = row.cvss() if query.order == "worst" else None
    return (cvss.score or 0.0) if cvss else 0.0


def _date(row: TableRow, query: RecordQuery) -> str:
    """Return the date by which rows are sorted: that of KEV where its entries are asked for."""
    if row.kev and query.due:
        return row.kev.due_date
    oldest = query.order == "oldest" and not query.added
    return (
        row.kev.date_added if row.kev and query.exploited and not oldest else ""
    ) or row.published
