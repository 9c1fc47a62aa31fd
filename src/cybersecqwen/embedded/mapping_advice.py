"""Say what MITRE lets a CVE be mapped to, and which weakness is better than the one named.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> rather(index, index.position("CWE-20"))[0]
'Mapping a CVE to CWE-20 Improper Input Validation is discouraged.'
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import islice

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question import Question
from cybersecqwen.records import Weakness

_TELLING = 2  # words from which a question tells one weakness from others
_LIKELY = 0.6  # score from which a situation fits a weakness
_CLOSEST = 6


def usage(question: Question, position: int) -> list[str]:
    """Say whether MITRE lets a CVE be mapped to a CWE entry, and to which ones rather."""
    index = question.index
    entry = load_catalogue().get(index.entries[position].entry_id)
    label = index.label(position)
    if entry is not None and entry.status == "Deprecated":
        retired = facts.replacement(index, entry.cwe_id)
        return [f"No: mapping a CVE to {label} is prohibited.", *retired]
    if entry is not None and entry.kind != "weakness":
        return [f"No: {label} is a {entry.kind}, and mapping a CVE to one is prohibited."]
    if entry is None or not entry.usage:
        return []
    return [_USAGE[entry.usage].format(label), *_rather(index, entry)]


def _rather(index: KnowledgeIndex, entry: Weakness) -> list[str]:
    """Name what a CVE is rather mapped to: what MITRE suggests, and what is allowed below."""
    if entry.usage == _ALLOWED:
        return []
    catalogue = load_catalogue()
    below = (e for e in _graph().descendants(entry.cwe_id) if catalogue[e].usage == _ALLOWED)
    nearest = [cwe for cwe in islice(below, _BELOW) if cwe not in entry.suggestions]
    sentences = []
    if suggested := _labels(index, entry.suggestions):
        sentences.append(f"MITRE suggests {facts.listed(suggested)} rather.")
    if allowed := _labels(index, nearest):
        verb = "are" if len(allowed) > 1 else "is"
        sentences.append(f"Allowed below it {verb} {facts.listed(allowed)}.")
    return sentences


def _labels(index: KnowledgeIndex, cwe_ids: Iterable[str]) -> list[str]:
    return [index.label(p) for cwe in cwe_ids if (p := index.position(cwe)) is not None]


_ALLOWED = "Allowed"
_BELOW = 8  # allowed weaknesses that are named below one that is not
_USAGE = {
    "Allowed": "Yes: mapping a CVE to {} is allowed.",
    "Allowed-with-Review": "Only with care: mapping a CVE to {} is allowed after a review.",
    "Discouraged": "No: mapping a CVE to {} is discouraged, a more specific weakness is better.",
    "Prohibited": "No: mapping a CVE to {} is prohibited.",
}


def specific(question: Question, position: int) -> list[str]:
    """Name weaknesses better than the one named: for a situation, or for any."""
    index = question.index
    retired = facts.replacement(index, index.entries[position].entry_id)
    if index.entries[position].kind == "attack pattern":
        return facts.summary(index, position)[:1]
    return retired or [*_for_situation(question, position), *rather(index, position)]


def rather(index: KnowledgeIndex, position: int) -> list[str]:
    """Say what a CVE is mapped to rather than to a weakness that MITRE advises against."""
    entry = load_catalogue().get(index.entries[position].entry_id)
    told = _rather(index, entry) if entry is not None and entry.kind == "weakness" else []
    if entry is None or not told or entry.usage not in ("Discouraged", "Prohibited"):
        return told
    return [f"Mapping a CVE to {index.label(position)} is {entry.usage.lower()}.", *told]


def is_narrower(index: KnowledgeIndex, position: int, other: int) -> bool:
    """Tell whether a weakness is below another, or allowed for mapping where that is not."""
    one, two = (index.entries[p].entry_id for p in (position, other))
    if one in _graph().descendants(two):
        return True
    usages = [entry.usage if (entry := load_catalogue().get(e)) else None for e in (one, two)]
    return usages[0] == _ALLOWED and usages[1] in ("Discouraged", "Prohibited")


def _for_situation(question: Question, position: int) -> list[str]:
    """Name the weakness that fits a described situation better than the one named."""
    index = question.index
    if len(question.rest) < _TELLING:
        return []
    own = {f.position: f.score for f in _below(question, position)}
    text, written = question.description, question.text
    fits = situation.fitting(index, text, ["weakness"], written=written, limit=_CLOSEST)
    ranked = {f.position: f.score for f in fits if f.position != position}
    for below, score in own.items():
        ranked[below] = max(ranked.get(below, 0.0), score * 1.5)
    best = sorted(ranked, key=lambda p: -ranked[p])[:3]
    if not best or ranked[best[0]] < _LIKELY:
        return []
    more = facts.listed([index.label(p) for p in best[1:]])
    return [
        f"{index.label(best[0])} fits better than {index.label(position)}.",
        index.definition(best[0]),
        f"Next come {more}." if more else "",
    ]


def _below(question: Question, position: int) -> list[situation.Fit]:
    index = question.index
    numbers = (
        index.position(cwe) for cwe in _graph().descendants(index.entries[position].entry_id)
    )
    among = {number for number in numbers if number is not None}
    return situation.fitting(index, question.description, ["weakness"], among=among)


@cache
def _graph() -> CweGraph:
    return CweGraph(load_catalogue())
