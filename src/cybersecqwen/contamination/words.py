"""Read texts as the rules of contamination do: folded words, as tuples or as hashes.

>>> tokens("XSS in Foo 1.2")
('xss', 'in', 'foo', '1', '2')
>>> words, row, numeric, _ = encode(["Foo, FOO", "and foo 2"])
>>> len(set(words.tolist())), row.tolist(), numeric.tolist()
(3, [0, 0, 1, 1, 1], [False, False, False, False, True])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cybersecqwen.contamination.hashing import Hashes, Integers, span_hashes

_WORD = re.compile(r"[^\W_]+")
# Unseen within a word: soft hyphens, joiners.
_JOINED = dict.fromkeys((0xAD, 0x200C, 0x200D, 0x2060, 0xFEFF))
_BLANK = ord(" ")
# What each byte of a text becomes: letters of ASCII are folded, all that is no word is a blank,
# and so a text that is not ASCII has to come as words already.
_FOLD = bytes(
    ord(chr(code).lower()) if code > 127 or chr(code).isalnum() else _BLANK for code in range(256)
)
# A version, a count, a date: what may differ between a text and its copy. T1548, CWE-79's
# parts and log4j name something, so letters in front are few and of versions.
_NUMBER = re.compile(r"(?:v|rc|sp|r|b|u)?[0-9].*")
_DIGIT = np.isin(np.arange(256), list(b"0123456789"))
_BEFORE_NUMBER = np.isin(np.arange(256), list(b"vrbu"))

_PIECE = 1 << 22  # bytes hashed at once

Flags = npt.NDArray[np.bool_]


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
    """Return a text in NFKC and without soft hyphens; ASCII is that already."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_JOINED))


class Texts(NamedTuple):
    """The words of several texts, one after another, as 64-bit hashes of what they fold to."""

    words: Hashes
    row: Integers  # the text that each word stands in, by its number from 0
    numeric: Flags  # whether it is a number or a version
    size: int  # how many texts there are

    def of(self, number: int) -> Hashes:
        """Return the words of one text."""
        start, end = np.searchsorted(self.row, (number, number + 1))
        return self.words[start:end]

    def split(self) -> list[Hashes]:
        """Return the words of each text."""
        return np.split(self.words, np.searchsorted(self.row, np.arange(1, self.size)))

    def kept(self, which: Flags) -> Texts:
        """Leave out words."""
        return Texts(self.words[which], self.row[which], self.numeric[which], self.size)

    def worded(self) -> Texts:
        """Leave out numbers and versions."""
        return self.kept(~self.numeric)


def encode(texts: Sequence[str]) -> Texts:
    """Hash the words of texts: the same as `tokens`, without an object for each."""
    parts = [_hashed(numbers, pieces) for numbers, pieces in _pieces(texts)]
    if not parts:
        return Texts(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, bool), len(texts))
    words, row, numeric = (np.concatenate(side) for side in zip(*parts, strict=True))
    return Texts(words, row, numeric, len(texts))


def _pieces(texts: Sequence[str]) -> Iterator[tuple[list[int], list[bytes]]]:
    """Fold texts, with blanks between words, and give some at a time, cut where one is long."""
    numbers: list[int] = []
    pieces: list[bytes] = []
    held = 0
    for number, text in enumerate(texts):
        plain = text if text.isascii() else " ".join(tokens(text))
        data = plain.encode("utf-8", "surrogatepass").translate(_FOLD)
        start = 0
        while start < len(data):
            end = data.find(b" ", start + _PIECE)
            end = len(data) if end < 0 else end
            numbers.append(number)
            pieces.append(data[start:end])
            held += end - start
            start = end
            if held >= _PIECE:
                yield numbers, pieces
                numbers, pieces, held = [], [], 0
    if pieces:
        yield numbers, pieces


def _hashed(numbers: list[int], pieces: list[bytes]) -> tuple[Hashes, Integers, Flags]:
    """Hash the words of pieces of texts; also say whose they are, and which are numbers."""
    letters = np.frombuffer(b" ".join((*pieces, b"  ")), np.uint8)  # one may look two further
    edges = np.flatnonzero(np.diff(letters != _BLANK, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    begins = np.cumsum([0, *(len(piece) + 1 for piece in pieces)])
    owner = np.searchsorted(begins, starts, side="right") - 1
    words = span_hashes(letters, starts, ends)
    return words, np.array(numbers)[owner], _are_numbers(letters, starts)


def _are_numbers(letters: npt.NDArray[np.uint8], starts: Integers) -> Flags:
    """Decide as `is_number` does, by the first letters of each word; blanks follow the last."""
    first, second, third = (letters[starts + i] for i in range(3))
    is_number_like: Flags = _DIGIT[first] | (_BEFORE_NUMBER[first] & _DIGIT[second])
    for a, b in (b"rc", b"sp"):
        is_number_like |= (first == a) & (second == b) & _DIGIT[third]
    return is_number_like


def stands_in(words: Hashes, run: Hashes) -> bool:
    """Say whether a run of words stands in others; an empty one stands in none."""
    haystack, needle = words.tobytes(), run.tobytes()
    place = haystack.find(needle)
    while place % words.itemsize and place >= 0:
        place = haystack.find(needle, place + 1)
    return place >= 0 and bool(needle)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each of `tokens` in the text as it was given."""
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
    starts = [
        i
        for i, c in enumerate(text)
        if i == 0 or not (unicodedata.combining(c) or ord(c) in _JOINED)
    ]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield start, composed(text[start:end])
