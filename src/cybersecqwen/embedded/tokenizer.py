r"""Read a vulnerability description as the classifier does: cleaned, cut into words, numbered.

What a text may bring along is taken out first: HTML tags and entities, control and zero-width
characters, full-width and other compatibility forms. Every word keeps its place in the text as
it was given, so that evidence can be shown there.

>>> words("SQL injection in Foo&nbsp;1.2.3 via <b>id</b>")
['sql', 'injection', 'in', 'foo', '0', 'via', 'id']
>>> read = tokens("An X\u200bSS flaw")
>>> read.words, read.spans([0, 1, 2])
(['an', 'xss', 'flaw'], [(0, 2), (3, 7), (8, 12)])

Words and n-grams are numbered by a vocabulary that is a few sorted arrays. A bigram is known by
the numbers of its two words and a trigram by that of its first bigram and its last word, so that
no n-gram is kept or built as a string: a vocabulary of 100,000 n-grams takes half a megabyte, and
a batch of texts is looked up by a few calls of numpy.

>>> vocabulary = Vocabulary(("sql", "injection"), np.array([1]), np.array([], np.int64))
>>> vocabulary.grid([["sql", "injection"], ["injection"]])[0].tolist()
[[0, 2, -1], [1, -1, -1], [-1, -1, -1], [1, -1, -1], [-1, -1, -1]]
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

LONGEST = 20_000  # characters that are read; the longest CVE description has some 4,000
LONG = 300  # words; one description in a hundred has more
_NONE = -1  # the number of what the vocabulary does not hold

# A run of letters with the digits behind it ("log4", "sha256"), any number or version, or a
# run of other letters than a to z.
_WORD = re.compile(r"([a-z]++[0-9]*+|[0-9]++(?:\.\w++)*+|[^\W\d_a-z]++)")
NUMBER = "0"  # stands for all numbers and versions: which one it is says nothing on the weakness
_BEHIND_DIGITS = ":"  # words that begin with a digit stand before it, all others behind

# Tags that lay a page out. Others, such as <script> and <img>, are what a flaw is about.
_TAG = (
    r"/?(?:html|head|body|main|article|section|div|span|p|br|hr|a|b|i|u|em|strong|small|code|pre|"
    r"tt|ul|ol|li|dl|dt|dd|h[1-6]|table|thead|tbody|tr|th|td|blockquote|sub|sup|font|style)"
    r"(?:\s[^<>]{0,500})?/?>|!--.{0,2000}?-->"
)
_ENTITY = r"(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});"
# It begins with one of two characters, so that the others are passed over fast.
_MARKUP = re.compile(f"[<&](?:(?<=<)(?P<tag>{_TAG})|(?<=&){_ENTITY})", re.DOTALL | re.IGNORECASE)
# Control, format, surrogate, private use, and marks that join the letter before.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Mn", "Me"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and patterns that show nothing


class Tokens(NamedTuple):
    """The words of a text, and what their places are found by."""

    words: list[str]
    text: str  # as it was given, as far as it is read
    pieces: list[str]  # of the clean text: every other one is a word, the first is none

    def spans(self, wanted: Sequence[int]) -> list[tuple[int, int]]:
        """Return the start and end of some of the words in the text, by rising position."""
        places = self._places(wanted)
        if _keeps_places(self.text):
            return places
        origin = _origin(self.text)
        return [(origin[start], origin[end - 1] + 1) for start, end in places]

    def _places(self, wanted: Sequence[int]) -> list[tuple[int, int]]:
        start = read = 0
        places = []
        for position in wanted:
            piece = 2 * position + 1
            start += sum(map(len, self.pieces[read:piece]))
            places.append((start, start + len(self.pieces[piece])))
            read = piece
        return places


def tokens(text: str) -> Tokens:
    """Cut a text into words, as `words` does, and keep what their places are found by."""
    text = text[:LONGEST]
    pieces = _WORD.split(text.lower() if _is_plain(text) else _clean(text))
    cut = [NUMBER if word < _BEHIND_DIGITS else word for word in pieces[1::2]]
    return Tokens(cut, text, pieces)


def words(text: str) -> list[str]:
    """Cut a text into lower-case words, every number being `NUMBER`."""
    return tokens(text).words


def without_markup(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text piece by piece with places: a tag is a space, an entity its character."""
    position = 0
    for match in _MARKUP.finditer(text):
        yield position, text[position : match.start()]
        yield match.start(), " " if match["tag"] else html.unescape(match.group())[:1]
        position = match.end()
    yield position, text[position:]


def plain(text: str) -> str:
    """Return a text as a person reads it, for a rationale to quote and a model to be asked.

    Markup, control and zero-width characters go; letters and line breaks stay.

    >>> plain("SQL injection&#33; in <b>login</b> on <script>")
    'SQL injection! in  login  on <script>'
    """
    if "<" not in text and "&" not in text and text.isprintable():
        return text
    bare = "".join([piece for _, piece in without_markup(text)])
    for char in set(bare):
        if not (char.isprintable() or char.isspace()):
            bare = bare.replace(char, "")
    return bare


def _is_plain(text: str) -> bool:
    # Nearly every description is: those are spared the walk over their characters.
    return text.isascii() and text.isprintable() and "<" not in text and "&" not in text


def _origin(text: str) -> Sequence[int]:
    """Return for each character of the clean text its place in `text`."""
    origin: list[int] = []
    for start, piece in without_markup(text):
        if piece.isascii():  # each of its characters stays one
            origin += range(start, start + len(piece))
        else:
            for place, char in enumerate(piece, start=start):
                origin += [place] * len(_FOLDS[ord(char)])
    return origin


def _clean(text: str) -> str:
    """Return the clean text in lower case."""
    if "<" not in text and "&" not in text:
        return text.translate(_FOLDS)
    return "".join([piece.translate(_FOLDS) for _, piece in without_markup(text)])


def _keeps_places(text: str) -> bool:
    """Tell whether every character stays one character when the text is cleaned."""
    if "<" in text or "&" in text:
        return False
    return text.isascii() or all(len(_FOLDS[ord(char)]) == 1 for char in set(text))


class _Folds(dict[int, str]):
    """What each character is read as, by its number; computed when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


_FOLDS = _Folds()


def _fold(char: str) -> str:
    if char.isascii():
        return char.lower() if char.isprintable() else " "
    if unicodedata.category(char) in _UNSEEN or char in _BLANK:
        return ""  # nothing to see, so nothing between the letters around it
    return unicodedata.normalize("NFKC", char).lower()


class Vocabulary:
    """Words, bigrams and trigrams, numbered in this order.

    `bigrams` are sorted keys, first word times the number of words plus second word.
    `trigrams` are sorted keys, number of the bigram (from 0) times the number of words plus last
    word.
    """

    def __init__(self, words: Sequence[str], bigrams: Ints, trigrams: Ints) -> None:
        self.words = words
        self.bigrams = bigrams
        self.trigrams = trigrams
        self._number = {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        """Count all words and n-grams."""
        return len(self.words) + len(self.bigrams) + len(self.trigrams)

    def grid(self, texts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
        """Find the number of what begins at each word: word, bigram, trigram; -1 where unknown.

        In a text of more than LONG words each of them counts once, at its first place: no
        repetition can drown the rest.

        Returns the grid, of shape (words + one empty row after each text, 3), and the text
        that each of its rows belongs to.
        """
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        numbers: list[int] = []
        for text in texts:
            numbers += map(self._number.get, text, repeat(_NONE))
            numbers.append(_NONE)  # keeps an n-gram from reaching into the next text
        column = np.array(numbers, np.int64)
        grid = np.full((len(column), 3), _NONE, np.int64)
        grid[:, 0] = column
        bigrams = self.follow(self.bigrams, column[:-1], column[1:])
        grid[:-1, 1] = np.where(bigrams < 0, _NONE, bigrams + len(self.words))
        if len(column) > 2:
            trigrams = self.follow(self.trigrams, bigrams[:-1], column[2:])
            offset = len(self.words) + len(self.bigrams)
            grid[:-2, 2] = np.where(trigrams < 0, _NONE, trigrams + offset)
        begin = 0
        for length in lengths.tolist():
            if length > LONG:
                _once(grid[begin : begin + length])
            begin += length
        return grid, np.repeat(np.arange(len(texts)), lengths)

    def follow(self, keys: Ints, first: Ints, last: Ints) -> Ints:
        """Find where `first` is followed by `last`: the position among the keys, or -1."""
        places = np.full(len(first), _NONE, np.int64)
        if not len(keys):
            return places
        known = np.flatnonzero((first >= 0) & (last >= 0))
        wanted = first[known] * len(self.words) + last[known]
        place = np.searchsorted(keys, wanted)
        places[known] = np.where(keys.take(place, mode="clip") == wanted, place, _NONE)
        return places


def _once(rows: Ints) -> None:
    """Strike out what stood before, in place."""
    flat = rows.reshape(-1)
    repeated = np.ones(len(flat), bool)
    repeated[np.unique(flat, return_index=True)[1]] = False
    flat[repeated] = _NONE
