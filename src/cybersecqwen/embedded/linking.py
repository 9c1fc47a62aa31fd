"""Link the words of a question to entries of the knowledge index: by id, name, alias or near miss.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> for subject in named(index, "Did fancy bear use mimikats for dumping LSASS?"):
...     print(subject.way, index.label(subject.positions[0]))
name G0007 APT28
fuzzy S0002 Mimikatz
alias T1003.001 LSASS Memory
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import read_lexicon, word_set
from cybersecqwen.embedded.mentions import is_certain
from cybersecqwen.embedded.phrases import Phrases, Token, tokens
from cybersecqwen.embedded.question import asking_phrases, known_words
from cybersecqwen.records import Entry

LONGEST = 8  # tokens of a name
_WINDOW = 4  # tokens of a name that is looked for with a slip in it
_ALIKE = 84  # of 100, from which a word with a slip is taken for a name
_LONG = 400  # tokens of a question in which names are looked for
_RARE = 5.0  # inverse document frequency from which a word is no everyday one of this field
PROPER = frozenset({"malware", "tool", "group", "campaign"})
_FRAMING = word_set("framing")
_EVERYDAY = word_set("everyday")
_PARTS = ("attack", "cwe", "capec")
# Kinds whose names hold other names, in quotes or brackets, and those seldom meant by one word.
_QUOTING = frozenset({"weakness", "attack pattern", "category"})
_BESIDE = frozenset({"data source", "data component", "asset", "category", "view"})
_PART = re.compile(r"\(([^()]+)\)|'([^']+)'")
# The kinds of entries in the order in which one of several of a name is meant.
_ORDER = (
    "technique",
    "group",
    "malware",
    "tool",
    "weakness",
    "campaign",
    "attack pattern",
    "tactic",
    "mitigation",
    "category",
    "data component",
    "asset",
    "detection strategy",
    "data source",
    "view",
)


class Subject(NamedTuple):
    """Words of a question, and the entries that they may name, the likeliest first."""

    said: str
    positions: tuple[int, ...]
    way: str  # id, name, alias, order (of words), fuzzy, part, situation
    start: int = 0  # tokens
    end: int = 0


class NameBook:
    """The names of an index by their stems, in their order and in any order."""

    def __init__(self, index: KnowledgeIndex) -> None:
        self.exact: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        self.unordered: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        self.parts: dict[str, set[int]] = defaultdict(set)
        self.written: dict[str, set[int]] = defaultdict(set)
        self.single: dict[int, set[str]] = defaultdict(set)  # names of one word, as written
        for entry_id, names in _aliases().items():
            position = index.position(entry_id)
            if position is not None:
                self._add(position, names, "alias")
        for position, entry in enumerate(index.entries):
            if entry.kind != "detection strategy":
                self._add(position, _variants(entry), "name")
                for part in (t.stem for t in tokens(" ".join((entry.name, *entry.aliases)))):
                    if entry.kind in PROPER:
                        self.parts[part].add(position)

    def _add(self, position: int, names: Iterable[str], way: str) -> None:
        for name in names:
            cut = tokens(name)
            key = tuple(token.stem for token in cut)
            if len(key) == 1:
                self.single[position].add(cut[0].word)
            if 0 < len(key) <= LONGEST and (len(key) > 1 or len(name) > 2 or way == "alias"):
                self.exact[key].setdefault(position, way)
                self.written[" ".join(token.word for token in cut)].add(position)
            content = _content(cut)
            if len(content) > 1:
                self.unordered[content].setdefault(position, "order")


@cache
def name_book(index: KnowledgeIndex) -> NameBook:
    """Return the names of an index, made once."""
    return NameBook(index)


@cache
def _aliases() -> dict[str, list[str]]:
    parts = read_lexicon("aliases.toml")
    return {key: names for part in _PARTS for key, names in parts[part].items()}


@cache
def _otherwise() -> Phrases:
    return Phrases(read_lexicon("aliases.toml")["otherwise"])


def _variants(entry: Entry) -> Iterator[str]:
    """Yield names whole, without what stands in brackets, and what is another name there."""
    for name in (entry.name, *entry.aliases):
        yield name
        yield name.partition(" (")[0]
        if entry.kind in _QUOTING:
            yield from (bracketed or quoted for bracketed, quoted in _PART.findall(name))


def _content(cut: Sequence[Token]) -> tuple[str, ...]:
    return tuple(sorted(token.stem for token in cut if token.word not in _FRAMING))


def named(index: KnowledgeIndex, text: str, *, everyday: bool = False) -> list[Subject]:
    """List what a question names, in the order of its words; of overlapping names the longest.

    An everyday word counts as a name with a sign for it, such as "the group", or with `everyday`.
    """
    cut = tokens(text)[:_LONG]
    subjects: dict[int, Subject] = {}
    taken: set[int] = set()
    for subject in (
        *_known(index, "" if everyday else text, cut),
        *_unordered(index, cut),
        *_alike(index, cut),
    ):
        places = range(subject.start, subject.end)
        if taken.isdisjoint(places):
            taken.update(places)
            subjects[subject.start] = subject
    return [subjects[start] for start in sorted(subjects)]


def _known(index: KnowledgeIndex, text: str, cut: Sequence[Token]) -> Iterator[Subject]:
    """Yield the ids, and the names as they are written, the longest first."""
    for place, token in enumerate(cut):
        position = index.position(token.word)
        if position is not None and any(map(str.isdigit, token.word)):
            yield Subject(token.text, (position,), "id", place, place + 1)
    exact = name_book(index).exact
    for size in range(min(LONGEST, len(cut)), 0, -1):
        for start in range(len(cut) - size + 1):
            run = cut[start : start + size]
            entries = exact.get(tuple(token.stem for token in run))
            if entries and (size > 1 or _is_name(index, run[0], entries, text, cut, start)):
                yield _subject(index, run, entries, start)


def _is_name(
    index: KnowledgeIndex,
    token: Token,
    entries: dict[int, str],
    text: str,
    cut: Sequence[Token],
    place: int,
) -> bool:
    """Tell whether a single word is meant as a name, not as an everyday word."""
    if _is_part_of_another(index, cut, place) or place in asking_phrases(cut):
        return False
    as_written = any(
        token.word in (name, f"{name}s") for p in entries for name in name_book(index).single[p]
    )
    if "alias" in entries.values():
        return as_written
    if all(index.entries[p].kind in _BESIDE for p in entries):
        return len(cut) == 1
    if all(index.entries[p].kind in PROPER for p in entries) and not as_written:
        return False  # proper names have no other forms
    if len(cut) == 1 or (len(cut) == 3 and place == 2 and token.text != token.word):
        return True
    capital = place > 0 and token.text != token.word
    rare = len(token.word) > 3 and index.rarity([token.stem]) >= _RARE
    return (capital or rare) and (not text or is_certain(token.word, text))


def _is_part_of_another(index: KnowledgeIndex, cut: Sequence[Token], place: int) -> bool:
    """Tell whether a capitalised word beside another that nothing knows is part of its name."""
    beside = [cut[i] for i in (place - 1, place + 1) if 0 <= i < len(cut)]
    return cut[place].text[0].isupper() and any(
        token.text[0].isupper() and _is_unknown(index, token) for token in beside
    )


def _is_unknown(index: KnowledgeIndex, token: Token) -> bool:
    return (
        len(token.word) > 3
        and token.word not in _FRAMING
        and token.base not in known_words()
        and index.postings([token.stem])[0] is None
        and (token.stem,) not in name_book(index).exact
    )


def unknown_places(index: KnowledgeIndex, cut: Sequence[Token]) -> set[int]:
    """Return the places of the words that nothing knows, typing errors and names mostly."""
    return {place for place, token in enumerate(cut) if _is_unknown(index, token)}


def _unordered(index: KnowledgeIndex, cut: Sequence[Token]) -> Iterator[Subject]:
    """Yield names whose words stand in another order, or with framing words between."""
    unordered = name_book(index).unordered
    for size in range(min(LONGEST, len(cut)), 1, -1):
        for start in range(len(cut) - size + 1):
            run = cut[start : start + size]
            if run[0].word in _FRAMING or run[-1].word in _FRAMING:
                continue
            entries = unordered.get(_content(run))
            if entries:
                yield _subject(index, run, entries, start)


def _alike(index: KnowledgeIndex, cut: Sequence[Token]) -> Iterator[Subject]:
    """Yield the names that are nearest to words which nothing knows, typing errors mostly."""
    unknown = unknown_places(index, cut)
    if not unknown or len(unknown) > _WINDOW * 4:
        return
    from rapidfuzz import fuzz, process

    written = name_book(index).written
    windows = [
        (start, start + size)
        for size in range(min(_WINDOW, len(cut)), 0, -1)
        for start in range(len(cut) - size + 1)
        if not unknown.isdisjoint(range(start, start + size))
        and cut[start].word not in _FRAMING
        and cut[start + size - 1].word not in _FRAMING
    ]
    near: list[tuple[float, int, int, str]] = []
    for start, end in windows:
        said = " ".join(token.word for token in cut[start:end])
        match = process.extractOne(said, written.keys(), scorer=fuzz.ratio, score_cutoff=_ALIKE)
        if match and _same_words(said, match[0]):
            near.append((match[1], start, end, match[0]))
    for _, start, end, name in sorted(near, reverse=True):
        entries = dict.fromkeys(written[name], "fuzzy")
        yield _subject(index, cut[start:end], entries, start)


def _same_words(said: str, name: str) -> bool:
    """Tell whether two names have as many words, or are the same but for blanks, and no short one.

    Digits make another name: APT28 is not APT29.
    """
    same_count = said.count(" ") == name.count(" ") or said.replace(" ", "") == name.replace(
        " ", ""
    )
    digits = re.sub(r"\D", "", said) == re.sub(r"\D", "", name)
    return same_count and digits and len(name) > 4


def _subject(
    index: KnowledgeIndex, run: Sequence[Token], entries: dict[int, str], start: int
) -> Subject:
    ordered = sorted(entries, key=lambda p: (_ORDER.index(index.entries[p].kind), p))
    ways = set(entries.values())
    way = next(way for way in ("name", "alias", "order", "fuzzy") if way in ways)
    said = " ".join(token.text for token in run)
    return Subject(said, tuple(ordered), way, start, start + len(run))


def meant_otherwise(index: KnowledgeIndex, cut: Sequence[Token]) -> Subject | None:
    """Return what a general word stands for where a question names nothing, or None."""
    for match in _otherwise().find(cut[:_LONG]):
        position = index.position(match.value)
        if position is not None:
            said = " ".join(token.text for token in cut[match.start : match.end])
            return Subject(said, (position,), "alias", match.start, match.end)
    return None


def part_of_name(index: KnowledgeIndex, cut: Sequence[Token]) -> Subject | None:
    """Return what a single word may be short for, as "bear" for "Cozy Bear", or None."""
    parts = name_book(index).parts
    for place, token in enumerate(cut):
        if token.word in _FRAMING | _EVERYDAY or token.base in known_words():
            continue
        if token.stem in parts:
            positions = tuple(sorted(parts[token.stem]))
            return Subject(token.text, positions, "part", place, place + 1)
    return None


def unknown_name(index: KnowledgeIndex, text: str) -> str:
    """Return the capitalised words in a question that nothing knows, as a name; "" for none."""
    cut = tokens(text)
    for place, token in enumerate(cut):
        if place and token.text[0].isupper() and _is_unknown(index, token):
            start = end = place
            while start > 1 and cut[start - 1].text[0].isupper():
                start -= 1
            while end + 1 < len(cut) and cut[end + 1].text[0].isupper():
                end += 1
            return " ".join(t.text for t in cut[start : end + 1])
    return ""


def content_terms(cut: Sequence[Token], taken: Iterable[int]) -> list[str]:
    """List the stems of the words that name no subject and frame nothing, each once."""
    left = set(range(len(cut))).difference(taken)
    return list(dict.fromkeys(cut[i].stem for i in sorted(left) if cut[i].word not in _FRAMING))
