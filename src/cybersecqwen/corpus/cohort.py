"""Choose the records that a model learns from, by the filters of a recipe.

A corpus and synthetic pairs are made of the same cohort. A record passes or gets a reason; nothing
is left out in silence:

>>> from cybersecqwen.config import Corpus
>>> v = Vulnerability("CVE-2021-1", "2021-01-01", "")
>>> select(v, Corpus(years=(2021, 2021)), {}).reason
'no-english-text'
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from cybersecqwen.config import Corpus
from cybersecqwen.contamination import Row, normalised
from cybersecqwen.cwe.catalogue import PLACEHOLDERS
from cybersecqwen.cwe.cause import names
from cybersecqwen.cwe.identifiers import cve_year, normalise_cve
from cybersecqwen.cwe.label import REVIEWED, Label, labels_of, primary_label
from cybersecqwen.records import Dropped, Vulnerability, Weakness

T = TypeVar("T")
_CWE = re.compile(r"\bCWE[-: ]?0*([1-9]\d*)")


class Candidate(NamedTuple):
    """A record of the cohort with the one label it is trained on."""

    vulnerability: Vulnerability
    cwe: str
    label_source: str

    @property
    def row(self) -> Row:
        """The row that is held against a benchmark."""
        return Row(self.vulnerability.description, (self.vulnerability.cve_id,), self.cwe)


def select(
    vulnerability: Vulnerability, corpus: Corpus, catalogue: Mapping[str, Weakness]
) -> Candidate | Dropped | None:
    """Turn a record into a candidate, or say why it is none; None for one of other years.

    The label is the first usable one of the first source that has any: a reviewer's
    verdict, or else in the recipe's order of sources. Usable is a weakness of the
    catalogue, and a category or a discouraged weakness only where the recipe keeps
    those; with `named`, where the record has no other label and its text names the
    weakness. NVD's placeholders
    and deprecated entries are never usable. Where the text itself names a CWE by
    its id, no other label is, unless the recipe keeps what contradicts its text.
    """
    if not in_cohort(vulnerability, corpus):
        return None
    reason = _unfit(vulnerability, corpus)
    if reason:
        return _drop(vulnerability, *reason)
    given = labels_of(vulnerability, placeholders=True)
    labels = {**given, REVIEWED: vulnerability.cwe_reviewed}
    sources = (REVIEWED, *corpus.label_sources)
    text = vulnerability.description
    named = _named(text) if corpus.contradicted == "drop" else frozenset()

    def first(usable: Callable[[str], bool]) -> Label | None:
        return primary_label(labels, sources=sources, usable=usable)

    def agrees(cwe: str) -> bool:
        return not named or cwe in named

    def is_usable(cwe: str) -> bool:
        return not _label_problem(cwe, corpus, catalogue)

    def is_told(cwe: str) -> bool:
        problem = _label_problem(cwe, corpus, catalogue)
        return problem == "discouraged-label" and names(text, catalogue[cwe])

    label = first(lambda cwe: agrees(cwe) and is_usable(cwe))
    if label is None and corpus.discouraged == "named":
        label = first(lambda cwe: agrees(cwe) and is_told(cwe))
    if label:
        return Candidate(vulnerability, label.cwe, label.source)
    contradicted = first(is_usable) if named else None
    if contradicted:
        detail = " ".join((contradicted.cwe, *sorted(named)))
        return _drop(vulnerability, "text-names-another-cwe", detail)
    # The first refused label is the one the sources would have given.
    refused = primary_label(labels, sources=sources)
    if refused is None:
        return _drop(vulnerability, "no-label", "")
    return _drop(vulnerability, _label_problem(refused.cwe, corpus, catalogue), refused.cwe)


def in_cohort(vulnerability: Vulnerability, corpus: Corpus) -> bool:
    """Say whether the record's year, by CVE id or publication, lies in the recipe's years."""
    if corpus.year_by == "cve_id":
        year = cve_year(vulnerability.cve_id)
    else:
        year = vulnerability.published[:4]
    # A malformed id or date passes on to `select`, whose ledger names it.
    return not year.isdigit() or corpus.years[0] <= int(year) <= corpus.years[1]


def by_text(records: Iterable[T], text_of: Callable[[T], str]) -> dict[str, list[T]]:
    """Group the records whose texts read the same, by what `normalised` makes of the text."""
    groups: dict[str, list[T]] = defaultdict(list)
    for record in records:
        groups[normalised(text_of(record))].append(record)
    return groups


def _named(text: str) -> frozenset[str]:
    """Collect the CWEs that a text names by their ids."""
    return frozenset(f"CWE-{number}" for number in _CWE.findall(text))


def _unfit(vulnerability: Vulnerability, corpus: Corpus) -> tuple[str, str] | None:
    if normalise_cve(vulnerability.cve_id) != vulnerability.cve_id:
        return "bad-cve-id", vulnerability.cve_id
    if corpus.year_by == "published" and not vulnerability.published[:4].isdigit():
        return "no-publication-date", vulnerability.published
    if vulnerability.rejected or vulnerability.description.startswith("** REJECT **"):
        return "rejected", ""
    if not vulnerability.description.strip():
        return "no-english-text", ""
    words = len(vulnerability.description.split())
    return ("too-short", f"{words} words") if words < corpus.min_words else None


def _label_problem(label: str, corpus: Corpus, catalogue: Mapping[str, Weakness]) -> str:
    """Name what keeps a label from being used, "" where nothing does."""
    if label in PLACEHOLDERS:
        return "placeholder-label"
    entry = catalogue.get(label)
    if entry is None or entry.kind == "view":
        return "label-is-no-cwe"
    if entry.status == "Deprecated":
        return "deprecated-label"
    if entry.kind == "category":
        return "category-label" if corpus.categories == "drop" else ""
    if entry.usage == "Discouraged" and corpus.discouraged != "keep":
        return "discouraged-label"
    return ""


def _drop(vulnerability: Vulnerability, reason: str, detail: str) -> Dropped:
    return Dropped(vulnerability.cve_id, reason, detail, where=vulnerability.where)
