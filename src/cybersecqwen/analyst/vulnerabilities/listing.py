"""Answer a question for records by a table, or by the records that a description fits best.

    answer_query(parse("F5 BIG-IP CVEs in KEV"), [])

KEV alone answers what it can without any record. Every row is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from cybersecqwen.analyst import exploitation
from cybersecqwen.analyst.vulnerabilities.counts import is_number
from cybersecqwen.analyst.vulnerabilities.facts import cut, cve_label, one_line
from cybersecqwen.analyst.vulnerabilities.index import Index, open_indexes
from cybersecqwen.analyst.vulnerabilities.queries import as_written
from cybersecqwen.analyst.vulnerabilities.record_query import RecordQuery, describe, further
from cybersecqwen.analyst.vulnerabilities.rows import Feed, TableRow, table_rows
from cybersecqwen.analyst.vulnerabilities.wording import listed, table
from cybersecqwen.records import Answer, Vulnerability

_SHOWN = 10  # rows of a table that the text shows
_BEST = 5  # records that a search returns
_EXCERPT = 400  # characters of the description of the closest record
_TRIES = 8  # searches without a word of the product
_ENOUGH = 0.6  # share of a description's telling words that the best record holds


def answer_query(query: RecordQuery, records: Sequence[Path]) -> Answer | None:
    """Answer a question for records; None where it may be no such question after all."""
    if not query.words and not query.filters:
        return None
    if query.unclear and query.table and (query.certain or query.filters):
        return _not_understood(query)
    release, kev = exploitation.known_exploited(None, records)
    with open_indexes(records) as indexes:
        feed = Feed(indexes, release, kev)
        if query.table and not query.unclear:
            answer = _table(query, feed)
            if answer.covered or query.filters or not query.certain:
                return answer if answer.covered or query.certain else None
        elif (
            query.words
            and not query.unclear
            and _is_narrowed(query)
            and (answer := _table(query, feed)).covered
        ):
            return answer
        found = _search(query, indexes)
        if query.table or query.unclear or not query.words or (found and found.covered):
            return found
        # "The PuTTY CVE?" describes none and names a product all the same.
        answer = _table(query, feed)
        return answer if answer.covered else found


def _is_narrowed(query: RecordQuery) -> bool:
    """Tell a condition that a description would not have: "the Foo CVE with CWE-77"."""
    return bool((query.cwes and not query.kind) or query.severity or query.since or query.until)


def _table(query: RecordQuery, feed: Feed) -> Answer:
    rows, query, dropped = _rows_of_product(query, feed)
    from_kev = [f"KEV {feed.release}"] if query.exploited is not None else []
    sources = f"From {listed([*_sources(feed.indexes), *from_kev])}."
    if not feed.indexes and not query.exploited:
        return _nothing_to_search()
    if not rows and query.count is None:
        said = f"No CVE {describe(query, query.product)} is at hand.\n{sources}"
        return Answer(said, 0.0, covered=False)
    among = {row.cve_id for row in table_rows(query.part, feed)} if query.part else set()
    lines = [_heading(rows, query, among)]
    if query.part:
        rows = rows[: query.limit or None]
        rows = [row for row in rows if row.cve_id in among or query.share == "all"]
    shown = rows[: query.limit or _SHOWN]
    lines += [row.line() for row in shown]
    if len(rows) > len(shown) and not query.limit:
        lines.append(f"and {len(rows) - len(shown):,} more, all with --json")
    if ignored := (*dropped, *query.ignored):
        lines.append(f"Not understood, and left out: {', '.join(ignored)}.")
    lines.append(sources)
    evidence = tuple(row.evidence("table") for row in rows[: query.limit or None])
    sure = float(table()["confidence"]["understood_in_part" if ignored else "table"])
    return Answer("\n".join(lines), sure, covered=True, evidence=evidence, listing=True)


def _rows_of_product(
    query: RecordQuery, feed: Feed
) -> tuple[list[TableRow], RecordQuery, tuple[str, ...]]:
    """List the rows; without the words that are no product's where no record has them all.

    Return beside them the question that they answer, and the words that were left out.
    """
    rows = list(table_rows(query, feed))
    if not rows and query.count is None:
        for words, dropped in islice(_narrowed(query), _TRIES):
            fewer = replace(query, words=words, product=as_written(words, query.product), part=None)
            if rows := list(table_rows(fewer, feed)):
                return rows, fewer, dropped
    return rows, query, ()


def _narrowed(query: RecordQuery) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield fewer words of the product, and those left out.

    A product's name has capitals or digits where a question has any, so that only other words are
    left out, and none that stands beside the name; what is written in lower case throughout is
    never taken apart.
    """
    named = {word.lower() for word in query.product.split() if not word.islower()}
    number = len(query.names)
    for size in range(number - 1, 0, -1):
        for start in range(number - size + 1):
            kept = [*chain(*query.names[start : start + size])]
            dropped = [*chain(*query.names[:start], *query.names[start + size :])]
            if named.intersection(kept) and not named.intersection(dropped):
                yield (*kept,), (*dropped,)


def _heading(rows: Sequence[TableRow], query: RecordQuery, among: set[str]) -> str:
    """Say how many rows there are and of what, whatever is asked about them first."""
    asked = describe(query, query.product)
    number = "1 CVE" if len(rows) == 1 else f"{len(rows):,} CVEs"
    first = _FIRST[query.order or "newest"]
    if query.count:
        begins = f"{'Yes' if is_number(len(rows), query.count) else 'No'}, "
        return f"{begins}{number} {asked}{':' if rows else '.'}"
    if query.part:
        return f"{_share(rows, query, among)}:"
    if 0 < query.limit < len(rows):
        which = first if query.limit == 1 else f"{first[:4]}{query.limit}{first[3:]}"
        return f"{which[0].upper()}{which[1:]} of {number} {asked}:"
    return f"{number} {asked}{f'; {first} first' if len(rows) > 1 else ''}:"


_FIRST = {"newest": "the newest", "oldest": "the oldest", "worst": "the highest rated"}


def _share(rows: Sequence[TableRow], query: RecordQuery, among: set[str]) -> str:
    """Say how many of the rows meet the further condition, and whether all do."""
    assert query.part is not None
    asked = rows[: query.limit or None]
    number = sum(row.cve_id in among for row in asked)
    condition = describe(further(query.part, query), "")
    truth = number == len(asked) if query.share == "all" else bool(number)
    begins = ("Yes, " if truth else "No, ") if query.share else ""
    some = "all" if number == len(asked) else f"{number:,}" if number else "none"
    whole = f"{len(asked):,} CVEs {describe(query, query.product)}"
    if len(asked) < len(rows):
        which = _FIRST[query.order or "newest"].removeprefix("the ")
        whole = f"{len(asked):,} {which} CVEs {describe(query, query.product)}"
    said = f"{begins}{some} of the {whole}: {condition}"
    return said[0].upper() + said[1:]


def _not_understood(query: RecordQuery) -> Answer:
    """Say which condition is not understood: without it the answer may be the opposite."""
    quoted = listed([f'"{one}"' for one in query.unclear])
    said = f"not covered: {quoted} is not understood as a condition, so nothing is listed."
    return Answer(said, 0.0, covered=False, listing=True)


def _nothing_to_search() -> Answer:
    tip = "run: cybersecqwen fetch records, or give --records FILE"
    said = f"not covered: no records to search are at hand ({tip})."
    return Answer(said, 0.0, covered=False)


def _sources(indexes: Iterable[Index]) -> Iterator[str]:
    for index in indexes:
        yield f"{index.name} with records up to {index.newest}" if index.newest else index.name


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
