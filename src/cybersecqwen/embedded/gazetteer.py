"""The names and aliases of an index's entries, and what a misspelled word of a question stands for.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.phrases import tokens
>>> index = KnowledgeIndex.load()
>>> cut, places = correct_spelling(index, tokens("what is mimikats"))
>>> [token.text for token in cut], places
(['what', 'is', 'mimikatz'], {2})

The aliases of aliases.toml count beside those of the index.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import read_lexicon, word_set
from cybersecqwen.embedded.phrases import Token, tokens
from cybersecqwen.embedded.request import asking_words, known_words
from cybersecqwen.records import Entry

LONGEST = 20  # tokens of a name
PROPER = frozenset({"malware", "tool", "group", "campaign"})  # kinds that have proper names
_ALIKE = 0.8  # share of the letters from which a word that nothing knows is taken for another
_NEAR = 8  # words that are compared where several are as near
_LEAST = 5  # letters of such a word
_MOST = 12  # such words of a question; beyond, it is in another language
_FRAMING = word_set("framing") | {"our", "my", "your", "his", "her", "us"}
_PART = re.compile(r"\(([^()]+)\)|'([^']+)'")
_ACRONYM = 3  # letters that a name in brackets has more than
_KIND_ENDINGS = (
    *(" group", " team", " gang", " ransomware", " malware", " compromise"),
    *(" stealer", " rat", " wiper", " loader", " backdoor", " worm"),
)
_VERSIONED = re.compile(r"[A-Za-z]+ [A-Za-z]+ [A-Z]\d")  # "Brute Ratel C4"
_QUOTING = frozenset({"weakness", "attack pattern", "category"})  # kinds whose names hold others

Ways = dict[int, str]  # the way in which a name is an entry's, by the entry's position


class Gazetteer:
    """The names of an index by their stems, in their order and in any order."""

    def __init__(self, index: KnowledgeIndex) -> None:
        self.exact: dict[tuple[str, ...], Ways] = defaultdict(dict)
        self.unordered: dict[tuple[str, ...], Ways] = defaultdict(dict)
        self.parts: dict[str, set[int]] = defaultdict(set)  # words of proper names
        self.written: dict[int, set[str]] = defaultdict(set)  # in lower case
        same: dict[tuple[str, str], list[int]] = defaultdict(list)
        for position, entry in enumerate(index.entries):
            same[entry.kind, entry.name].append(position)
        for entry_id, names in _aliases().items():
            called = index.entry(entry_id)
            # An enterprise technique has its like by the same name in the other domains.
            for position in same[called.kind, called.name] if called else ():
                self._add(position, names, "alias")
        for position, entry in enumerate(index.entries):
            self._add(position, _variants(entry), "name")
            if entry.kind in PROPER:
                for token in tokens(" ".join((entry.name, *entry.aliases))):
                    self.parts[token.word].add(position)

    def _add(self, position: int, names: Iterable[str], way: str) -> None:
        for name in dict.fromkeys(names):  # most variants are the name itself
            cut = tokens(name)
            self.written[position].add(" ".join(token.word for token in cut))
            key = tuple(token.stem for token in cut)
            if 0 < len(key) <= LONGEST and (len(key) > 1 or len(name) > 2 or way == "alias"):
                self.exact[key].setdefault(position, way)
            key = content(cut)
            if len(key) > 1:
                self.unordered[key].setdefault(position, "order")

    @cached_property
    def words(self) -> dict[str, int]:
        """Count in how many names each longer word is; those by which questions ask count too."""
        names = (name for names in self.written.values() for name in names)
        counts = Counter(word for name in names for word in name.split() if len(word) >= _LEAST)
        counts.update(asking_words())
        return dict(sorted(counts.items()))


@cache
def gazetteer(index: KnowledgeIndex) -> Gazetteer:
    """Return the names of an index, made once."""
    return Gazetteer(index)


@cache
def _aliases() -> dict[str, list[str]]:
    parts, aliases = read_lexicon("aliases.toml"), defaultdict[str, list[str]](list)
    for part in ("attack", "products", "cwe", "foreign", "capec"):
        for entry_id, names in parts[part].items():
            aliases[entry_id] += names
    return aliases


def _variants(entry: Entry) -> Iterator[str]:
    """Yield names whole, without what stands in brackets, and what is another name there."""
    for name in (entry.name, *entry.aliases):
        yield name
        yield name.partition(" (")[0]
        if entry.kind in PROPER and name.lower().endswith(_KIND_ENDINGS):
            yield name.rpartition(" ")[0]
        if entry.kind in PROPER and _VERSIONED.fullmatch(name):
            yield name.rpartition(" ")[0]
        if entry.kind in _QUOTING:
            for bracketed, quoted in _PART.findall(name):
                if len(bracketed) > _ACRONYM or " " in quoted:
                    yield bracketed or quoted


def content(cut: Sequence[Token]) -> tuple[str, ...]:
    """Return the stems of the words that frame nothing, in alphabetical order."""
    return tuple(sorted(token.stem for token in cut if token.word not in _FRAMING))


def is_unknown(index: KnowledgeIndex, token: Token) -> bool:
    """Tell whether neither the index nor the lexicon knows a word."""
    return (
        len(token.word) > _ACRONYM
        and token.word not in _FRAMING
        and token.base not in known_words()
        and index.postings([token.stem])[0] is None
        and (token.stem,) not in gazetteer(index).exact
    )


def correct_spelling(index: KnowledgeIndex, cut: Sequence[Token]) -> tuple[list[Token], set[int]]:
    """Write words that nothing knows as those they are nearest to, and say where.

    Those with a digit stay: APT28 is not APT29; and "initialised" is not "uninitialised".
    """
    words = list(cut)
    unknown = [
        place
        for place, token in enumerate(cut)
        if len(token.word) >= _LEAST and token.word.isalpha() and is_unknown(index, token)
    ]
    places: set[int] = set()
    for place, token in enumerate(cut):
        doubled = _SINGLE.sub(r"\1\1\2", token.word)
        if doubled != token.word and _is_doubled(gazetteer(index), token.word, doubled):
            words[place] = tokens(doubled)[0]
            places.add(place)
    for place in unknown if len(unknown) <= _MOST else []:
        word = _nearest(gazetteer(index), cut[place].word)
        if word:
            shown = word.capitalize() if cut[place].text[0].isupper() else word
            words[place] = tokens(shown)[0]
            places.add(place)
    return words, places


_SINGLE = re.compile(r"([bdgmnprt])(ing|ed|er|ers)$")  # "keyloging"


def _is_doubled(names: Gazetteer, word: str, doubled: str) -> bool:
    """Tell whether a word is a name's with a letter that should be there twice."""
    return word not in names.words and doubled in names.words and len(word) >= _LEAST


@lru_cache(maxsize=4096)  # a question is looked through more than once
def _nearest(names: Gazetteer, word: str) -> str:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    if word in names.words:
        return ""
    others = [other for other in names.words if f"un{word}" != other and word != f"un{other}"]
    matches = process.extract(
        word, others, scorer=OSA.normalized_similarity, score_cutoff=_ALIKE, limit=_NEAR
    )
    best = [near for near, score, _ in matches if score == matches[0][1]]
    return max(best, key=lambda near: (near[0] == word[0], names.words[near]), default="")
