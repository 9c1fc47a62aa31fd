"""Read a text as the rules of contamination do: folded words, each with a number.

>>> tokens("XSS in Foo 1.2")
('xss', 'in', 'foo', '1', '2')
>>> lexicon = Lexicon()
>>> list(lexicon.encode("Foo, FOO and foo"))
[1, 1, 2, 1]
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W_]+")
# Cutting ASCII by a table takes a quarter of the time that the expression takes.
_CUT = {code: " " for code in range(128) if not chr(code).isalnum()}
# A version, a count, a date: what may differ between a text and its copy. T1548, CWE-79's
# parts and log4j name something, so letters in front are few and of versions.
_NUMBER = re.compile(r"(?:v|rc|sp|r|b|u)?\d.*")

_PIECE = 1_000_000  # characters whose words are objects at once
BOUNDARY = 0  # the number that no word has: it stands between texts


def tokens(text: str) -> tuple[str, ...]:
    """Split a text into case-folded words of letters and digits (Unicode NFKC)."""
    return tuple(word.casefold() for word in _WORD.findall(composed(text)))


def normalised(text: str) -> str:
    """Fold case, punctuation and white space: texts that read the same become equal."""
    return " ".join(tokens(text))


def is_number(word: str) -> bool:
    """Say whether a folded word is a number or a version, and no name.

    >>> [is_number(word) for word in ("12", "v2", "4a", "t1548", "log4j")]
    [True, True, True, False, False]
    """
    return _NUMBER.fullmatch(word) is not None


def worded(words: Iterable[str]) -> tuple[str, ...]:
    """Leave out numbers and versions, which break every n-gram of a copy that has others."""
    return tuple(word for word in words if not is_number(word))


def composed(text: str) -> str:
    """Give a text in NFKC; ASCII is that already."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


class Lexicon(dict[str, int]):
    """Numbers for words, from 1 in the order of their first sight; one for all cases of a word."""

    def __init__(self) -> None:
        super().__init__()
        self._folded: dict[str, int] = {}
        self.numeric = bytearray(1)  # by number: 1 for what `is_number` is true of

    def __missing__(self, word: str) -> int:
        folded = word.casefold()
        number = self._folded.get(folded)
        if number is None:
            number = self._folded[folded] = len(self.numeric)
            self.numeric.append(is_number(folded))
        self[word] = number
        return number

    def encode(self, text: str) -> array[int]:
        """Give the number of each of a text's words."""
        numbers = array("i")
        for piece in _pieces(text):
            numbers.extend(map(self.__getitem__, _cut(piece)))
        return numbers


def _cut(text: str) -> list[str]:
    return text.translate(_CUT).split() if text.isascii() else _WORD.findall(composed(text))


def _pieces(text: str) -> Iterator[str]:
    """Cut a very long text at blanks: its words as objects would take ten times its size."""
    start = 0
    while len(text) - start > _PIECE:
        end = text.find(" ", start + _PIECE)
        if end < 0:
            break
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def word_spans(text: str) -> list[tuple[int, int]]:
    """Give the start and end of each of `tokens` in the text as it was given."""
    if composed(text) == text:
        return [match.span() for match in _WORD.finditer(text)]
    clusters = list(_clusters(text))
    origin = [start for start, form in clusters for _ in form]
    ends = [start for start, _ in clusters[1:]] + [len(text)]
    end_of = [end for end, (_, form) in zip(ends, clusters, strict=True) for _ in form]
    joined = "".join(form for _, form in clusters)
    return [(origin[m.start()], end_of[m.end() - 1]) for m in _WORD.finditer(joined)]


def _clusters(text: str) -> Iterable[tuple[int, str]]:
    """Cut a text before each character that starts a new one, and compose each piece."""
    starts = [i for i, c in enumerate(text) if i == 0 or not unicodedata.combining(c)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield start, composed(text[start:end])
