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

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded import facts
from cybersecqwen.embedded.gazetteer import (
    LONGEST,
    PROPER,
    Ways,
    content,
    correct_spelling,
    gazetteer,
    is_unknown,
)
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon, read_lexicon, word_set
from cybersecqwen.embedded.mentions import is_certain
from cybersecqwen.embedded.phrases import Phrases, Token, tokens
from cybersecqwen.embedded.request import (
    asking_phrases,
    asking_words,
    common_words,
    known_words,
    question_words,
)
from cybersecqwen.embedded.terms import stem

WAYS = ("id", "name", "alias", "order", "fuzzy", "part", "situation")  # the surest first
_SHORT = 3  # letters of an acronym, which may be an everyday one
_BETWEEN = 2  # framing words within a name in another order
_JOINED = 2  # words that may be one in a name
_LONG = 400  # tokens of a question in which names are looked for
_RARE = 5.0  # inverse document frequency from which a word is no everyday one of this field
_FRAMING = word_set("framing")
_EVERYDAY = word_set("everyday")
_USING = frozenset(
    {
        "use",
        "using",
        "used",
        "abuse",
        "abusing",
        "employ",
        "run",
        "touch",
        "touches",
        "leverage",
        "deploy",
    }
)
_AGENT = ("er", "ers", "or", "ors")  # endings of names for what does something
_SIGNS = frozenset({"group", "gang", "actor", "malware", "ransomware", "campaign", "tool", "apt"})
# Kinds whose names are sentences or common words, which mean nothing in another order.
_SENTENCES = frozenset({"detection strategy", "analytic", "data component", "data source"})
# Words for kinds of entries that are names of techniques, too.
_KINDS = frozenset({"tool", "malware", "software"})
# Kinds that are seldom meant by one word, which is a platform's or an everyday one.
_BESIDE = frozenset({"data source", "data component", "asset", "category", "view"})
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
    way: str  # one of WAYS
    start: int = 0  # tokens
    end: int = 0


def named(index: KnowledgeIndex, text: str, *, everyday: bool = False) -> list[Subject]:
    """List what a question names, in the order of its words; of overlapping names the longest.

    An everyday word counts as a name with a sign for it, such as "the group", or with `everyday`.
    """
    cut, changed = correct_spelling(index, tokens(text)[:_LONG])
    subjects: dict[int, Subject] = {}
    taken: set[int] = set()
    found = [*_written(index, cut, "" if everyday else text), *_unordered(index, cut)]
    found = [subject for subject in found if not _is_asked_for(cut, subject)]
    for subject in sorted(found, key=lambda s: _precedence(s, cut)):
        places = range(subject.start, subject.end)
        if taken.isdisjoint(places):
            taken.update(places)
            fuzzy = not changed.isdisjoint(places)
            subjects[subject.start] = subject._replace(way="fuzzy") if fuzzy else subject
    return [subjects[start] for start in sorted(subjects)]


def _is_asked_for(cut: Sequence[Token], subject: Subject) -> bool:
    """Tell "which ransomware encrypts ESXi", which is no "ransomware encryption"."""
    behind = subject.start > 0 and cut[subject.start - 1].word == "which"
    several = subject.end - subject.start > 1 and subject.way in ("alias", "order")
    return behind and several and cut[subject.start].base in _KINDS | _SIGNS


def _precedence(subject: Subject, cut: Sequence[Token]) -> tuple[bool, int, bool, int]:
    """Order names that overlap: ids, then the longest, as written before in another order.

    Words that frame or ask make none longer: "groups have used Cobalt" is no "Cobalt Group".
    """
    run = [token for token in cut[subject.start : subject.end] if token.base not in known_words()]
    size = len(content(run))
    return subject.way != "id", -size, subject.way == "order", subject.start - subject.end


def _written(index: KnowledgeIndex, cut: Sequence[Token], text: str) -> Iterator[Subject]:
    """Yield the ids, and the names as they are written, the longest first."""
    for place, token in enumerate(cut):
        position = _by_id(index, token.word) if any(map(str.isdigit, token.word)) else None
        if position is not None:
            yield Subject(token.text, (position,), "id", place, place + 1)
    exact, phrases = gazetteer(index).exact, asking_phrases(cut)
    for start, end in _runs(cut, 1):
        entries = exact.get(tuple(token.stem for token in cut[start:end]))
        if entries and end - start == 1:
            meant = start not in phrases and _is_name(index, cut, start, entries, text)
            entries = entries if meant else None
        if entries and not _is_meant(index, cut[start:end], entries):
            entries = None  # "the file created" is no "File Creation"
        if not entries and end - start == _JOINED:
            entries = exact.get(_joined(cut[start:end]))
        if entries:
            yield _subject(index, cut[start:end], entries, start)


def _by_id(index: KnowledgeIndex, word: str) -> int | None:
    """Return the position of an entry by its id, or of what stands in place of a retired one."""
    position = index.position(word)
    instead = facts.replaced().get(word.upper()) if position is None else None
    return index.position(instead[0]) if instead else position


def _is_meant(index: KnowledgeIndex, run: Sequence[Token], entries: Ways) -> bool:
    """Tell whether words are meant as a name; those of data in another form are everyday words."""
    said, written = " ".join(token.word for token in run), gazetteer(index).written
    everyday = {index.entries[p].kind for p in entries} <= {"data component", "data source"}
    return not everyday or any(said in written[p] for p in entries)


def _joined(run: Sequence[Token]) -> tuple[str, ...]:
    """Return the key of words that may be one in a name, as in "muddy water"; () for others."""
    words = [token.word for token in run]
    return () if _FRAMING.intersection(words) or "s" in words else (stem("".join(words)),)


def _runs(cut: Sequence[Token], least: int) -> Iterator[tuple[int, int]]:
    """Yield where runs of tokens start and end, the longest first."""
    for size in range(min(LONGEST, len(cut)), least - 1, -1):
        for start in range(len(cut) - size + 1):
            yield start, start + size


def _unordered(index: KnowledgeIndex, cut: Sequence[Token]) -> Iterator[Subject]:
    """Yield names whose words stand in another order, or with framing words between."""
    unordered = gazetteer(index).unordered
    for start, end in _runs(cut, 2):
        run = cut[start:end]
        key = content(run)
        if {run[0].word, run[-1].word} & _FRAMING or end - start - len(key) > _BETWEEN:
            continue
        if all(token.base in known_words() for token in run):
            continue  # "which malware targets …" asks, and names no "Targeted Malware"
        entries = unordered.get(key)
        if entries and not {index.entries[p].kind for p in entries} <= _SENTENCES:
            yield _subject(index, run, entries, start)


def _subject(index: KnowledgeIndex, run: Sequence[Token], entries: Ways, start: int) -> Subject:
    said = " ".join(token.text for token in run)
    written = gazetteer(index).written
    # What has the name itself, such as the tool Tor, comes before the technique that is called so.
    proper = any(w == "name" and index.entries[p].kind in PROPER for p, w in entries.items())

    def rank(position: int) -> tuple[bool, bool, int, int]:
        as_written = said.lower() in written[position]
        kind = index.entries[position].kind
        order = (*_ORDER, kind).index(kind)  # one of no order comes last
        return not as_written, proper and entries[position] == "alias", order, position

    way = min(entries.values(), key=WAYS.index)
    return Subject(said, tuple(sorted(entries, key=rank)), way, start, start + len(run))


def _is_name(
    index: KnowledgeIndex, cut: Sequence[Token], place: int, entries: Ways, text: str
) -> bool:
    """Tell whether a single word is meant as a name, not as an everyday word."""
    token, names = cut[place], gazetteer(index)
    kinds = {index.entries[p].kind for p in entries}
    forms = {token.word, token.base, token.stem}  # its stem has no letter doubled at the end
    if kinds <= PROPER:
        forms = {token.word} if token.word != token.base else forms  # "wipers" are no "Wiper"
    as_written = any(forms & names.written[p] for p in entries)
    if token.base in _KINDS and len(cut) > 1:
        return False
    if _is_part_of_another(index, cut, place) or _is_of_the_language(cut, place):
        return False
    if not as_written and _is_verb_of(token, (n for p in entries for n in names.written[p])):
        return False
    if kinds <= _BESIDE or "alias" in entries.values():
        return as_written if "alias" in entries.values() else len(cut) == 1
    if kinds <= PROPER and not as_written:
        return False  # proper names have no other forms
    others = {other.base for other in cut if other.word not in _FRAMING} - known_words()
    alone = len(cut) == 1 or (others <= {token.base} and not kinds <= PROPER)
    written = _is_shouted(cut, place) or (kinds <= PROPER and _is_written_as_name(cut, place))
    return alone or written or _is_no_everyday_word(index, cut, place, text)


def _is_verb_of(token: Token, names: Iterable[str]) -> bool:
    """Tell whether a word says what one of its stem does: "serve" is not the name "Server"."""
    alike = [name for name in names if stem(name) == token.stem]
    agents = bool(alike) and all(name.endswith(_AGENT) for name in alike)
    return agents and not token.word.endswith(_AGENT)


def _is_of_the_language(cut: Sequence[Token], place: int) -> bool:
    """Tell whether a word asks for something, or is a common one of another language."""
    token = cut[place]
    capital = place > 0 and token.text[0].isupper()
    return token.word in (common_words() if capital else asking_words() | common_words())


def _is_no_everyday_word(
    index: KnowledgeIndex, cut: Sequence[Token], place: int, text: str
) -> bool:
    token = cut[place]
    if not text and place and {cut[place - 1].word, cut[place - 1].base} & _USING:
        return True
    capital = place > 0 and token.text != token.word
    rare = len(token.word) > _SHORT and index.rarity([token.stem]) >= _RARE
    return (capital or rare) and (not text or is_certain(token.word, text))


def _is_shouted(cut: Sequence[Token], place: int) -> bool:
    """Tell whether a word alone is in capitals, as some vendors write the names they give."""
    text = cut[place].text
    return text.isupper() and len(text) > _SHORT and not all(t.text.isupper() for t in cut[:2])


def _is_written_as_name(cut: Sequence[Token], place: int) -> bool:
    """Tell whether a word has a capital in a sentence of which most words have none."""
    capitals = sum(token.text[0].isupper() for token in cut[1:])
    return place > 0 and cut[place].text[0].isupper() and capitals <= len(cut) / 2


def _is_part_of_another(index: KnowledgeIndex, cut: Sequence[Token], place: int) -> bool:
    """Tell whether a capitalised word beside another that nothing knows is part of its name."""
    beside = [cut[i] for i in (place - 1, place + 1) if 0 <= i < len(cut)]
    return cut[place].text[0].isupper() and any(
        token.text[0].isupper() and is_unknown(index, token) for token in beside
    )


@cache
def _products() -> frozenset[str]:
    parts = read_lexicon("aliases.toml")["products"]
    return frozenset(name.lower() for names in parts.values() for name in names)


def stand_ins(index: KnowledgeIndex, subjects: Iterable[Subject]) -> list[str]:
    """Say of products that are no entries which entry is meant in their place."""
    return [
        f"{subject.said} is no entry of its own here; it counts among"
        f" {index.label(subject.positions[0])}."
        for subject in subjects
        if subject.way == "alias" and subject.said.lower() in _products()
    ]


@cache
def _otherwise() -> Phrases:
    return Phrases(read_lexicon("aliases.toml")["otherwise"])


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
    parts = gazetteer(index).parts
    for place, token in enumerate(cut):
        known = token.word in _FRAMING | _EVERYDAY or token.base in known_words()
        known = known or index.rarity([token.stem]) < _RARE  # "cloud" is short for no "Cloud Atlas"
        if not known and len(token.word) > _SHORT and token.word in parts:
            positions = tuple(sorted(parts[token.word]))
            return Subject(token.text, positions, "part", place, place + 1)
    return None


def unknown_name(index: KnowledgeIndex, cut: Sequence[Token]) -> str:
    """Return the capitalised words in a question that nothing knows, as a name; "" for none.

    Words that are known by themselves count too, beside a word such as "group".
    """
    for place, token in enumerate(cut):
        capital = place > 0 and token.text[0].isupper()
        capital = capital and token.word.upper() not in facts.replaced()
        if capital and (is_unknown(index, token) or _is_introduced(cut, place)):
            start = end = place
            while start > 1 and cut[start - 1].text[0].isupper():
                start -= 1
            while end + 1 < len(cut) and cut[end + 1].text[0].isupper():
                end += 1
            return " ".join(t.text for t in cut[start : end + 1])
    return ""


def _is_introduced(cut: Sequence[Token], place: int) -> bool:
    """Tell whether two capitalised words are called a group, a malware or the like."""
    beside = [cut[i].word for i in (place - 1, place + 2) if 0 <= i < len(cut)]
    pair = place + 1 < len(cut) and cut[place + 1].text[0].isupper()
    return pair and not _SIGNS.isdisjoint(beside)


def content_terms(cut: Sequence[Token], taken: Collection[int]) -> list[str]:
    """List the stems of the words that name no subject and frame nothing, each once."""
    left = (token for place, token in enumerate(cut) if place not in taken)
    empty = _FRAMING | common_words()
    return list(dict.fromkeys(token.stem for token in left if token.word not in empty))


def without_views(index: KnowledgeIndex, subjects: list[Subject]) -> list[Subject]:
    """Leave out a view beside a weakness, which restricts it: "parents of CWE-22 in CWE-1003"."""
    known = question_lexicon()["views"]
    entries = [index.entries[subject.positions[0]] for subject in subjects]
    if not any(entry.kind == "weakness" for entry in entries):
        return subjects
    return [s for s, entry in zip(subjects, entries, strict=True) if entry.entry_id not in known]


def is_denied(cut: Sequence[Token], subject: Subject) -> bool:
    """Tell whether what is told is said not to be a weakness: "…, and it's not SQL injection"."""
    article = subject.start > 0 and cut[subject.start - 1].word in ("a", "an", "the")
    start = subject.start - article
    before = [token.word for token in cut[max(0, start - _PAIR) : start]]
    denied = before[-1:] == ["not"] or before in (["is", "no"], ["s", "no"])
    denied = denied or before in (["isn", "t"], ["aren", "t"], ["wasn", "t"])
    told = content_terms(cut, range(subject.start, subject.end))
    return denied and len(told) > _PAIR and cut[0].word not in question_words("yes_no")


_PAIR = 2


def distinct(subjects: Iterable[Subject]) -> list[Subject]:
    """Keep one subject for each entry, that which names it by its id first."""
    kept: list[Subject] = []
    for subject in sorted(subjects, key=lambda s: s.way != "id"):
        if not any(set(subject.positions) & set(other.positions[:1]) for other in kept):
            kept.append(subject)
    return sorted(kept, key=lambda s: s.start)
