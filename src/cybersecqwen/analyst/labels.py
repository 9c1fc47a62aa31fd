"""How the labels of a CVE record stand to each other, and to a classifier's answer.

>>> from cybersecqwen.records import Vulnerability
>>> record = Vulnerability("CVE-2021-1", "", "", cwe_nvd=("CWE-119",), cwe_cna=("CWE-787",))
>>> labels = record_labels(record)
>>> conflict(labels)
"CNA's CWE-787 is a child of NVD's CWE-119"
>>> difference(labels, [("CWE-787", 0.9)], ["overflow"])
"CWE-787 is a child of NVD's CWE-119, to which mapping is Discouraged; CNA gives CWE-787, too"
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from cybersecqwen.cwe.catalogue import kind, load_catalogue
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.cwe.label import LABEL_SOURCES, labels_of
from cybersecqwen.cwe.mapping import ADVISED_AGAINST, mapping_usage
from cybersecqwen.records import Vulnerability

_PLACEHOLDER = {"NVD-CWE-noinfo": "Insufficient Information", "NVD-CWE-Other": "Other"}
# How two entries are related; behind "not a weakness" and the like stands what the label is.
_KINSHIP = {
    "parent": "is the parent of",
    "child": "is a child of",
    "sibling": "has a parent in common with",
    "same pillar": "has no more than the pillar in common with",
    "unrelated": "is unrelated to",
    "above": "lies above",
    "below": "lies below",
}
_QUOTES = 2  # pieces of evidence that are quoted
_NTH = ("first", "second", "third")


class RecordLabel(NamedTuple):
    """A label of a record, and what the catalogue says of it; "" where it says nothing."""

    source: str  # nvd, cna or cisa_adp
    cwe: str
    name: str
    kind: str  # weakness, category, view, deprecated, placeholder, not in the catalogue
    abstraction: str  # Pillar, Class, Base, Variant, Compound
    usage: str  # MITRE's mapping usage

    @property
    def giver(self) -> str:
        """Name the source as people do: NVD, CNA or CISA-ADP."""
        return LABEL_SOURCES[self.source]


def record_labels(record: Vulnerability) -> tuple[RecordLabel, ...]:
    """List the labels that each source gives a record, NVD's first; placeholders too."""
    given = labels_of(record, placeholders=True)
    return tuple(RecordLabel(source, *_facts(cwe)) for source in given for cwe in given[source])


@cache
def _facts(cwe: str) -> tuple[str, str, str, str, str]:
    catalogue = load_catalogue()
    entry = catalogue.get(cwe)
    if entry is None:
        return cwe, _PLACEHOLDER.get(cwe, ""), kind(cwe, catalogue), "", ""
    return cwe, entry.name, kind(cwe, catalogue), entry.abstraction, mapping_usage(entry)


def conflict(labels: Sequence[RecordLabel]) -> str:
    """Say how the first labels of the sources differ; "" where they do not."""
    by_source: dict[str, list[RecordLabel]] = {}
    for label in _telling(labels):
        by_source.setdefault(label.source, []).append(label)
    chosen, *others = by_source.values() or [[]]
    said: dict[str, list[str]] = {}  # by whom, for two sources often say the same
    for other in others:
        if other[0].cwe != chosen[0].cwe:
            said.setdefault(_disagreement(other, chosen), []).append(f"{other[0].giver}'s")
    return "; ".join(f"{' and '.join(whose)} {what}" for what, whose in said.items())


def _disagreement(other: Sequence[RecordLabel], chosen: Sequence[RecordLabel]) -> str:
    if {label.cwe for label in other} == {label.cwe for label in chosen}:
        return f"labels are the same as {chosen[0].giver}'s, but {other[0].cwe} is first"
    return _relation(other[0].cwe, chosen[0])


def difference(
    labels: Sequence[RecordLabel], ranked: Sequence[tuple[str, float]], quotes: Sequence[str]
) -> str:
    """Say why the first of the `ranked` CWEs is not the record's label; "" where it is.

    The label is the first of the source that counts most. `quotes` are the words of the text
    that decided.
    """
    given = _telling(labels)
    if not ranked or not given or ranked[0][0] == given[0].cwe:
        return ""
    answer, label = ranked[0][0], given[0]
    parts = [_relation(answer, label)]
    if label.usage in ADVISED_AGAINST and label.kind == "weakness":
        parts[0] += f", to which mapping is {label.usage}"
    if others := dict.fromkeys(one.giver for one in given if one.cwe == answer):
        verb = "give" if len(others) > 1 else "gives"
        parts.append(f"{' and '.join(others)} {verb} {answer}, too")
    places = [cwe for cwe, _ in ranked]
    if label.cwe in places:
        at = places.index(label.cwe)
        place = _NTH[at] if at < len(_NTH) else f"{at + 1}th"
        parts.append(f"{label.cwe} is the {place} candidate, at {ranked[at][1]:.0%}")
    elif quotes and not others:
        shown = ", ".join(f'"{quote}"' for quote in quotes[:_QUOTES])
        parts.append(f"what decided in the text: {shown}")
    return "; ".join(parts)


def _telling(labels: Sequence[RecordLabel]) -> list[RecordLabel]:
    return [label for label in labels if label.kind != "placeholder"]


@cache
def _relation(cwe: str, label: RecordLabel) -> str:
    """Say how a CWE is related to a label, or that one of them is no weakness."""
    graph, other = _graph(), f"{label.giver}'s {label.cwe}"
    relation = graph.relation(cwe, label.cwe)
    if relation in ("same pillar", "unrelated"):
        if label.cwe in graph.descendants(cwe):
            relation = "above"
        elif cwe in graph.descendants(label.cwe):
            relation = "below"
    if relation in _KINSHIP:
        return f"{cwe} {_KINSHIP[relation]} {other}"
    named, what = (other, label.kind) if label.kind != "weakness" else (cwe, _kind(cwe))
    article = "" if what.startswith(("not", "deprecated")) else "a "
    return f"{cwe} stands against {other}; {named} is {article}{what}"


def _kind(cwe: str) -> str:
    return kind(cwe, load_catalogue())


@cache
def _graph() -> CweGraph:
    return CweGraph(load_catalogue())
