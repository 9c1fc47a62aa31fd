"""Answer a question for records by a table, or by the records that a description fits best.

    answer_query(parse("F5 BIG-IP CVEs in KEV"), [])

KEV alone answers what it can without any record. Every row is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.analyst import exploitation
from cybersecqwen.analyst.vulnerabilities.facts import cut, cve_evidence, cve_label, one_line
from cybersecqwen.analyst.vulnerabilities.index import Index, open_indexes
from cybersecqwen.analyst.vulnerabilities.nicknames import nickname_of
from cybersecqwen.analyst.vulnerabilities.queries import RecordQuery, as_written, describe
from cybersecqwen.analyst.vulnerabilities.ratings import has_metrics
from cybersecqwen.analyst.vulnerabilities.wording import folded, listed, table
from cybersecqwen.records import Answer, Cvss, Evidence, KnownExploitation, Vulnerability
from cybersecqwen.sources.recordstore import search
from cybersecqwen.sources.severity import main_severity, severity

_SHOWN = 10  # rows of a table that the text shows
_BEST = 5  # records that a search returns
_ABOUT = 60  # characters of a description in a row of the table
_EXCERPT = 400  # characters of the description of the closest record
_TRIES = 8  # searches without a word of the product
_ENOUGH = 0.6  # share of a description's telling words that the best record holds

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


def answer_query(query: RecordQuery, records: Sequence[Path]) -> Answer | None:
    """Answer a question for records; None where it may be no such question after all."""
    if not query.words and not query.filters:
        return None
    release, kev = exploitation.known_exploited(None, records)
    with open_indexes(records) as indexes:
        feed = _Feed(indexes, release, kev)
        if query.table:
            answer = _table(query, feed)
            if answer.covered or query.filters or not query.certain:
                return answer if answer.covered or query.certain else None
        elif query.words and _is_narrowed(query) and (answer := _table(query, feed)).covered:
            return answer
        found = _search(query, indexes)
        if query.table or not query.words or (found and found.covered):
            return found
        # "The PuTTY CVE?" describes none and names a product all the same.
        answer = _table(query, feed)
        return answer if answer.covered else found


def _is_narrowed(query: RecordQuery) -> bool:
    """Tell a condition that a description would not have: "the Foo CVE with CWE-77"."""
    return bool((query.cwes and not query.kind) or query.severity or query.since or query.until)


class _Feed(NamedTuple):
    """What a table is made from: the records that can be searched, and KEV."""

    indexes: Sequence[Index]
    release: str
    kev: Kev


def _table(query: RecordQuery, feed: _Feed) -> Answer:
    rows, query, dropped = _rows_of_product(query, feed)
    from_kev = [f"KEV {feed.release}"] if query.exploited is not None else []
    sources = f"From {listed([*_sources(feed.indexes), *from_kev])}."
    if not feed.indexes and not query.exploited:
        return _nothing_to_search()
    if not rows and query.count is None:
        said = f"No CVE {describe(query, query.product)} is at hand.\n{sources}"
        return Answer(said, 0.0, covered=False)
    lines = [_heading(rows, query, feed)]
    if query.part and query.share != "all":
        among = {row.cve_id for row in _rows(query.part, feed)}
        rows = [row for row in rows if row.cve_id in among]
    shown = rows[: query.limit or _SHOWN]
    lines += [row.line() for row in shown]
    if len(rows) > len(shown) and not query.limit:
        lines.append(f"and {len(rows) - len(shown):,} more, all with --json")
    if dropped:
        lines.append(f"Not understood, and left out: {', '.join(dropped)}.")
    lines.append(sources)
    evidence = tuple(row.evidence("table") for row in rows[: query.limit or None])
    sure = float(table()["confidence"]["understood_in_part" if dropped else "table"])
    return Answer("\n".join(lines), sure, covered=True, evidence=evidence, listing=True)


def _rows_of_product(
    query: RecordQuery, feed: _Feed
) -> tuple[list[TableRow], RecordQuery, tuple[str, ...]]:
    """List the rows; without the words that are no product's where no record has them all.

    Return beside them the question that they answer, and the words that were left out.
    """
    rows = list(_rows(query, feed))
    if not rows and query.count is None:
        for words, dropped in islice(_narrowed(query), _TRIES):
            fewer = replace(query, words=words, product=as_written(words, query.product), part=None)
            if rows := list(_rows(fewer, feed)):
                return rows, fewer, dropped
    return rows, query, ()


def _narrowed(query: RecordQuery) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield fewer words of the product, and those left out.

    A product's name has capitals or digits where a question has any, so that only other words are
    left out; what is written in lower case throughout is never taken apart.
    """
    named = {word.lower() for word in query.product.split() if not word.islower()}
    number = len(query.words)
    for size in range(number - 1, 0, -1):
        for start in range(number - size + 1):
            kept = query.words[start : start + size]
            dropped = (*query.words[:start], *query.words[start + size :])
            if named.intersection(kept) and not named.intersection(dropped):
                yield kept, dropped


def _heading(rows: Sequence[TableRow], query: RecordQuery, feed: _Feed) -> str:
    """Say how many rows there are and of what, whatever is asked about them first."""
    asked = describe(query, query.product)
    number = "1 CVE" if len(rows) == 1 else f"{len(rows):,} CVEs"
    first = _FIRST[query.order or "newest"]
    if query.count:
        begins = f"{'Yes' if _is_number(len(rows), query.count) else 'No'}, "
        return f"{begins}{number} {asked}{':' if rows else '.'}"
    if query.part:
        return f"{_share(rows, query, feed)}:"
    if 0 < query.limit < len(rows):
        which = first if query.limit == 1 else f"{first[:4]}{query.limit}{first[3:]}"
        return f"{which[0].upper()}{which[1:]} of {number} {asked}:"
    return f"{number} {asked}{f'; {first} first' if len(rows) > 1 else ''}:"


_FIRST = {"newest": "the newest", "oldest": "the oldest", "worst": "the highest rated"}


def _is_number(number: int, count: tuple[str, int]) -> bool:
    operator, wanted = count
    if operator in ("more than", "over"):
        return number > wanted
    if operator in ("fewer than", "less than", "under"):
        return number < wanted
    if operator == "exactly":
        return number == wanted
    return number >= wanted if operator == "at least" else number <= wanted


def _share(rows: Sequence[TableRow], query: RecordQuery, feed: _Feed) -> str:
    """Say how many of the rows meet the further condition, and whether all do."""
    assert query.part is not None
    among = {row.cve_id for row in rows}
    number = len(among.intersection(row.cve_id for row in _rows(query.part, feed)))
    whole, part = describe(query, query.product), describe(query.part, query.product)
    condition = ", ".join(one for one in part.split(", ") if one not in whole.split(", "))
    truth = number == len(rows) if query.share == "all" else bool(number)
    begins = ("Yes, " if truth else "No, ") if query.share else ""
    some = "all" if number == len(rows) else f"{number:,}" if number else "none"
    said = f"{begins}{some} of the {len(rows):,} CVEs {whole}: {condition}"
    return said[0].upper() + said[1:]


def _nothing_to_search() -> Answer:
    tip = "run: cybersecqwen fetch records, or give --records FILE"
    said = f"not covered: no records to search are at hand ({tip})."
    return Answer(said, 0.0, covered=False)


def _sources(indexes: Iterable[Index]) -> Iterator[str]:
    for index in indexes:
        yield f"{index.name} with records up to {index.newest}" if index.newest else index.name


def _rows(query: RecordQuery, feed: _Feed) -> list[TableRow]:
    """List the rows, of the product by its description or by what KEV says it is."""
    kev = feed.kev
    of_product = [cve_id for cve_id, entry in kev.items() if _is_of(entry, query.words)]
    found: dict[str, Vulnerability] = {}
    for index in feed.indexes:
        for one in _searches(query, of_product, kev):
            for record in index.select(one):
                found.setdefault(record.cve_id, record)
    rows = [TableRow(cve_id, record, kev.get(cve_id)) for cve_id, record in found.items()]
    if query.exploited and not (query.cwes or query.kind or query.severity or query.metrics):
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
    if query.metrics and not ((cvss := row.cvss()) and has_metrics(cvss, query.metrics)):
        return False
    if query.added or query.due:
        day = (row.kev.due_date if query.due else row.kev.date_added) if row.kev else ""
        return bool(day) and query.since <= day <= (query.until or "9999")
    return True


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


def _search(query: RecordQuery, indexes: Sequence[Index]) -> Answer | None:
    """Return the records that hold most of the words, where they hold enough."""
    if not indexes:
        return _nothing_to_search() if query.certain else None
    found: list[tuple[float, Vulnerability]] = []
    for index in indexes:
        records, share = index.best(query.all_words, _BEST)
        found += [(share, record) for record in records]
    found.sort(key=lambda pair: -pair[0])
    if not found or found[0][0] < _ENOUGH or len(query.all_words) < 2:
        if not query.certain:
            return None
        named, sources = " ".join(query.all_words), listed([*_sources(indexes)])
        said = f"No record at hand names {named}.\nFrom {sources}."
        return Answer(said, 0.0, covered=False)
    share, closest = found[0]
    rows = [TableRow(record.cve_id, record, None) for _, record in found[:_BEST]]
    lines = [
        f"The closest record is {cve_label(closest.cve_id)}:",
        cut(one_line(closest), _EXCERPT),
    ]
    if len(rows) > 1:
        lines.append(f"Also: {', '.join(row.cve_id for row in rows[1:])}.")
    lines.append(f"From {listed([*_sources(indexes)])}.")
    evidence = tuple(row.evidence("description") for row in rows)
    sure = float(table()["confidence"]["search"]) * share
    return Answer("\n".join(lines), round(sure, 4), covered=True, evidence=evidence)
