"""Check what a language model wrote against the passages that it cites, sentence by sentence.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> told = "T1059.001 PowerShell serves the tactic TA0002 Execution, since 2020-03-09."
>>> passages = [Quotation(1, "T1059.001", "PowerShell", "", told)]
>>> for text in (
...     "It serves the tactic Execution (TA0002), since 9 March 2020 [1].",
...     "PowerShell was made in 2006 [1].",
...     "It is T10599 [1].",
...     "It serves Execution.",
...     "It serves Execution [2].",
... ):
...     print(refusal(text, passages, "", index) or "kept")
kept
says 2006, which the passages it cites do not
names T10599, which is no id
cites no passage
cites [2] of 1 passages

A sentence is kept where it cites passages that are there, and where they hold its ids, its numbers
and dates, the entries that it names, and most of its other words. An id that the passages lack is
kept beside the name that the knowledge base has for it, if they hold that. A denial is kept where
they deny something too. One with a web address is not. No check reads what a sentence means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from cybersecqwen.cwe.identifiers import cve_ids, entry_ids, normalise_ids, unread_ids
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.mentions import is_certain
from cybersecqwen.embedded.terms import terms, words
from cybersecqwen.records import Entry, Quotation, Refusal

# Share of a sentence's words that the passages it cites hold. Of 21 paraphrases and inventions
# of our own, paraphrases had 0.41 or more and inventions 0.34 or less.
_HELD = 0.4

_CITATION = re.compile(r"\[(?:passages?\s*)?(\d{1,6}(?:\s*[-–,;]\s*\d{1,6})*)\]", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")
_BULLET = re.compile(r"\A\s*(?:[-*•#>]+|\d{1,2}[.)])\s+")
# Up to a full stop with the citations behind it, before what can begin a sentence; not behind an
# initial or a usual abbreviation.
_SENTENCE = re.compile(
    r"\S.*?(?:(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bcf)(?<!\b[A-Z])[.!?][\"'”’)*]*"
    r"(?:\s*\[[^\]]{1,40}\])*(?=\s+[\"'“(*]*[A-Z0-9])|$)"
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SHORT = [name[:3].lower() for name in _MONTHS]
_DATE = re.compile(
    r"\b(?:(?P<day>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?)?"
    rf"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)})\.?,?\s+"
    r"(?:(?P<later>\d{1,2})(?:st|nd|rd|th)?,?\s+)?(?P<year>\d{4})\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\b\d{4}-\d\d(?:-\d\d)?\b|(?<![\w.])v?(\d+(?:[.,]\d+)*)(?!\w)", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:not|never|cannot)\b|n['’]t\b", re.IGNORECASE)
_ADDRESS = re.compile(r"\b(?:https?|ftp)://|\bwww\.", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")


def sentences(text: str) -> list[str]:
    """Cut a text into sentences and lines, each with the citations behind its full stop."""
    lines = (_BULLET.sub("", line, count=1) for line in text.splitlines())
    return [match[0].strip() for line in lines for match in _SENTENCE.finditer(line)]


def check(
    text: str, passages: Sequence[Quotation], question: str, index: KnowledgeIndex
) -> tuple[list[str], list[Refusal]]:
    """Return the sentences of a text that its passages bear out, and the others with the reason.

    The ids in those kept are in their usual form.
    """
    kept: dict[str, str] = {}
    refused = []
    for sentence in map(normalise_ids, sentences(text)):
        said = " ".join(words(uncited(sentence)))
        reason = refusal(sentence, passages, question, index)
        if not reason and said in kept:
            reason = "repeats another"
        if reason:
            refused.append(Refusal(sentence, reason))
        else:
            kept[said] = sentence
    return list(kept.values()), refused


def refusal(
    sentence: str, passages: Sequence[Quotation], question: str, index: KnowledgeIndex
) -> str:
    """Say why a sentence is not borne out by the passages that it cites; "" where it is."""
    texts = {passage.number: passage.text for passage in passages}
    numbers, said = cited(sentence), normalise_ids(uncited(sentence))
    missing = [f"[{number}]" for number in numbers if number not in texts]
    if not words(said):
        return "says nothing"
    if not numbers:
        return "cites no passage"
    if missing:
        return f"cites {_listed(missing)} of {len(passages)} passages"
    held = normalise_ids(" ".join(texts[number] for number in numbers))
    return next(_objections(said, held, question, index), "")


def _objections(said: str, held: str, question: str, index: KnowledgeIndex) -> Iterator[str]:
    """Yield what a sentence says and the passages that it cites do not hold."""
    if _ADDRESS.search(said):  # a text of others may hold one that leads to harm
        yield "gives a web address"
    if unread := unread_ids(said):
        yield f"names {_listed(unread)}, which is no id"
    if strange := _strange_ids(said, held, index) or _strange_names(said, held, index):
        yield f"names {_listed(strange)}, which the passages it cites do not"
    if new := sorted(_figures(said) - _figures(held, parts=True)):
        yield f"says {_listed(new)}, which the passages it cites do not"
    if _DENIAL.search(said) and not _DENIAL.search(held):
        yield "denies what the passages it cites do not"
    if _share_held(said, held, question, index) < _HELD:
        yield "is not what the passages it cites say"


def cited(sentence: str) -> list[int]:
    """List the numbers of the passages that a sentence cites: "[1]", "[1, 3]" or "[2-4]"."""
    spans = (m.groups() for c in _CITATION.findall(sentence) for m in _RANGE.finditer(c))
    numbers: list[int] = []
    for first, last in spans:
        begin, end = int(first), int(last or first)
        # A range across more passages than a prompt ever has is none; its ends are told.
        numbers += range(begin, end + 1) if 0 <= end - begin < 100 else (begin, end)
    return list(dict.fromkeys(numbers))


def uncited(sentence: str) -> str:
    """Return a sentence without its citations."""
    return _CITATION.sub(" ", sentence)


def _ids(text: str) -> list[str]:
    return [*entry_ids(text), *cve_ids(text)]


def _strange_ids(said: str, held: str, index: KnowledgeIndex) -> list[str]:
    """List the ids that are not held, but for those that stand beside their name that is."""
    strange = [entry_id for entry_id in _ids(said) if entry_id not in _ids(held)]
    entries = {entry_id: index.entry(entry_id) for entry_id in strange}
    return [i for i in strange if not (entry := entries[i]) or not _is_named(entry, said, held)]


def _is_named(entry: Entry, *texts: str) -> bool:
    name = _spaced(entry.name)
    return all(name in _spaced(text) for text in texts)


def _strange_names(said: str, held: str, index: KnowledgeIndex) -> list[str]:
    """List the names of entries of which the passages hold neither name nor id."""
    ids, text = set(_ids(held)), _spaced(held)
    names = (m for m in index.mentions(said, strict=True) if is_certain(m.name, said))
    strange = []
    for mention in names:
        entries = [index.entries[position] for position in mention.positions]
        known = {_spaced(name) for e in entries for name in (e.name, *e.aliases, mention.name)}
        if ids.isdisjoint(e.entry_id for e in entries) and not any(n in text for n in known):
            strange.append(mention.name)
    return strange


def _spaced(text: str) -> str:
    return f" {' '.join(words(text))} "


def _figures(text: str, *, parts: bool = False) -> set[str]:
    """Return the numbers and dates in a text, which has no ids left; with `parts` years, too."""
    for entry_id in sorted(_ids(text), key=len, reverse=True):
        text = text.replace(entry_id, " ")
    written = (match[1] or match[0] for match in _NUMBER.finditer(_DATE.sub(_iso, text)))
    figures = {_usual(number) for number in written}
    if parts:
        figures |= {figure[:size] for figure in figures if "-" in figure for size in (4, 7)}
    return figures


def _iso(date: re.Match[str]) -> str:
    month = _SHORT.index(date["month"][:3].lower()) + 1
    day = date["day"] or date["later"]
    return f" {date['year']}-{month:02}" + (f"-{int(day):02} " if day else " ")


def _usual(number: str) -> str:
    """Write a number without thousands' commas and without a last zero: "1,000", "10.0"."""
    if _THOUSANDS.fullmatch(number):
        return number.replace(",", "")
    return number.removesuffix(".0") if number.count(".") == 1 else number


def _share_held(said: str, held: str, question: str, index: KnowledgeIndex) -> float:
    """Return the share, by rarity, of the words that the question has not and the passages do."""
    own = {term for term in terms(said) if not term.isdecimal()}
    own = own - set(terms(question)) or own
    both = list(own & set(terms(held)))
    # A number alone was looked for already; without one, nothing is said that could be held.
    return index.rarity(both) / index.rarity(list(own)) if own else float(bool(_figures(said)))


def _listed(texts: Iterable[str]) -> str:
    return " and ".join(texts)
