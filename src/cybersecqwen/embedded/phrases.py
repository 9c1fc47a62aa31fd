"""Cut a question into tokens, and find phrases in it, in singular or plural.

>>> phrases = Phrases({"XSS": ["cross-site scripting"], "fix": ["fix"], "缓解": ["缓解"]})
>>> [match.value for match in phrases.find(tokens("How to fix cross site scripting?"))]
['fix', 'XSS']
>>> phrases.contained("如何缓解")
['缓解']
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from cybersecqwen.embedded.terms import singular, stem

_SCRIPT = r"[\u3040-\u30ff\u4e00-\u9fff]"  # those that put no space between words
_UNSPACED = re.compile(_SCRIPT)
_TOKEN = re.compile(
    rf"[a-z]+-\d+|[a-z]{{1,3}}\d{{4}}(?:\.\d{{3}})?|[a-z0-9]+(?={_SCRIPT})|{_SCRIPT}+|[^\W_]+",
    re.IGNORECASE,
)


class Token(NamedTuple):
    """A word of a text: as it is written, in lower case, without a plural's ending, its stem."""

    text: str
    word: str
    base: str
    stem: str


class Match(NamedTuple):
    """What a run of tokens, from `start` to before `end`, means."""

    value: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Cut a text into words and ids."""
    bare = text.isascii() and text.replace(" ", "").isalpha()  # as most names are
    cut = text.split() if bare else _TOKEN.findall(text)
    return [Token(word, *_forms(word.lower())) for word in cut]


@lru_cache(maxsize=1 << 16)
def _forms(word: str) -> tuple[str, str, str]:
    return word, singular(word) if len(word) > 3 else word, stem(word)


def _key(cut: Sequence[Token]) -> tuple[str, ...]:
    return tuple(token.base for token in cut)


class Phrases:
    """Phrases by what they mean; one phrase may mean several things."""

    def __init__(self, meanings: Mapping[str, Iterable[str]]) -> None:
        self._values: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._unspaced: list[tuple[str, str]] = []
        for value, phrases in meanings.items():
            for phrase in phrases:
                if _UNSPACED.search(phrase):
                    self._unspaced.append((phrase, value))
                elif value not in self._values[_key(tokens(phrase))]:
                    self._values[_key(tokens(phrase))].append(value)
        self._longest = max(map(len, self._values), default=0)

    @property
    def words(self) -> set[str]:
        """Return the words of all phrases, without the endings of plurals."""
        return {word for phrase in self._values for word in phrase}

    def find(self, cut: Sequence[Token], taken: Collection[int] = ()) -> list[Match]:
        """Return the phrases in a text that touch no token taken, none within another."""
        matches: list[Match] = []
        reached = 0
        for start in range(len(cut)):
            end = self._end(cut, start, taken)
            if end > reached:
                values = self._values[_key(cut[start:end])]
                matches += [Match(value, start, end) for value in values]
                reached = end
        return matches

    def _end(self, cut: Sequence[Token], start: int, taken: Collection[int]) -> int:
        """Return where the longest phrase that begins at a token ends; 0 for none."""
        for end in range(min(len(cut), start + self._longest), start, -1):
            free = not taken or not any(place in taken for place in range(start, end))
            if free and _key(cut[start:end]) in self._values:
                return end
        return 0

    def contained(self, text: str) -> list[str]:
        """Return what a text means by phrases of scripts that put no space between words."""
        if not _UNSPACED.search(text):
            return []
        return list(dict.fromkeys(value for phrase, value in self._unspaced if phrase in text))
