"""The names under which vulnerabilities are known, found in a text also where misspelled.

>>> [name.cves[0] for name in find_nicknames("Is printnightmere worse than Zerologon?")]
['CVE-2021-34527', 'CVE-2020-1472']
>>> find_nicknames("the ghost in the machine")
[]
>>> nickname_of("CVE-2019-0708")
'BlueKeep'
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("nicknames.toml")
_WORD = re.compile(r"[^\W_]+")
# What shows that an everyday word is the name of a vulnerability.
_SIGN = re.compile(r"\b(?:cves?|vuln\w*|bugs?|flaws?|patch\w*|exploit\w*)\b", re.IGNORECASE)
_LONGEST = 5  # words of a name
_LOOKED_AT = 60  # words of a text
_LEAST = 7  # letters of a name that may be misspelled
_DIGITS = 2  # of such a name: the number of a bulletin is not misspelled but another
_ALIKE = 87.0  # of 100, from which on a name is one that is misspelled
_ALIKE_IN_WORDS = 90.0  # the same of several words, for "entry in" is no name


class Nickname(NamedTuple):
    """A name, what it stands for in our own words, and its CVEs, none where it has none."""

    name: str
    meaning: str
    cves: tuple[str, ...]


def find_nicknames(text: str) -> list[Nickname]:
    """List the names that stand in a text in their order, each once."""
    return take_nicknames(text)[0]


def take_nicknames(text: str) -> tuple[list[Nickname], str]:
    """Return the names in a text, and the text without them, for they are read as nothing else."""
    words = [(match[0], *match.span()) for match in islice(_WORD.finditer(text), _LOOKED_AT)]
    names: dict[str, Nickname] = {}
    rest, end, start = "", 0, 0
    while start < len(words):
        following = [word for word, _, _ in words[start : start + _LONGEST]]
        size, name = _longest(following, text)
        if name:
            names.setdefault(name.name, name)
            rest += text[end : words[start][1]]
            end = words[start + size - 1][2]
        start += size
    return list(names.values()), rest + text[end:]


def nickname_of(cve_id: str) -> str:
    """Return the name of a CVE, "" where it has none; of two names the first in the file."""
    return _by_cve().get(cve_id, "")


@cache
def _by_cve() -> dict[str, str]:
    return {one.cves[0]: one.name for one in reversed(_names().values()) if one.cves}


def _longest(words: list[str], text: str) -> tuple[int, Nickname | None]:
    """Return the longest run of words that is a name and its length, or 1 and None."""
    grams = _grams(words)
    for size, gram in grams:
        name = _names().get(gram)
        if name and _is_meant(name, text):
            return size, name
    for size, gram in grams:
        name = _misspelled(gram, words=size) if len(gram) >= _LEAST else None
        if name:
            return size, name
    return 1, None


def _grams(words: list[str]) -> list[tuple[int, str]]:
    """List what the first words make together, the longest first."""
    sizes = range(min(_LONGEST, len(words)), 0, -1)
    return [(size, _squeezed("".join(words[:size]))) for size in sizes]


def _is_meant(name: Nickname, text: str) -> bool:
    if name.name in _table()["everyday"]:
        word = re.escape(name.name)
        beside = rf"{word}\W+(?:\w+\W+)?{_SIGN.pattern}|{_SIGN.pattern}\W+(?:\w+\W+)?{word}\b"
        written = re.search(rf"\b{word}\b", text)
        return bool(written or re.search(rf"\b(?:{beside})", text, re.IGNORECASE))
    return name.name not in _ambiguous() or bool(_SIGN.search(text))


@lru_cache(maxsize=1 << 14)
def _misspelled(gram: str, *, words: int) -> Nickname | None:
    from rapidfuzz import fuzz, process

    alike = _ALIKE if words == 1 else _ALIKE_IN_WORDS
    best = process.extractOne(gram, _misspellable(), scorer=fuzz.ratio, score_cutoff=alike)
    if best is None or best[0][0] != gram[0] or best[0][-1].isdigit() != gram[-1].isdigit():
        return None
    return _names()[best[0]]


@cache
def _misspellable() -> list[str]:
    return [
        squeezed
        for squeezed, name in _names().items()
        if len(squeezed) >= _LEAST
        and name.name not in _ambiguous()
        and sum(map(str.isdigit, squeezed)) <= _DIGITS
    ]


def _squeezed(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


@cache
def _names() -> dict[str, Nickname]:
    return {
        _squeezed(name): Nickname(name, meaning, tuple(cves))
        for name, (meaning, *cves) in _table()["names"].items()
    }


@cache
def _ambiguous() -> frozenset[str]:
    return frozenset([*_table()["everyday"], *_table()["elsewhere"]])


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
