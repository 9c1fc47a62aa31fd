r"""Read a vulnerability description as the classifier does: cleaned, cut into words, numbered.

What a text may bring along is taken out first: HTML tags and entities, control and zero-width
characters, full-width and other compatibility forms. Every word keeps its place in the text as
it was given, so that evidence can be shown there.

>>> words("SQL injection in Foo&nbsp;1.2.3 via <b>id</b>")
['sql', 'injection', 'in', 'foo', '0', 'via', 'id']
>>> words("An X\u200bSS flaw"), spans("An X\u200bSS flaw", [0, 1, 2])
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
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

LONGEST = 20_000  # characters that are read; the longest CVE description has some 4,000
LONG = 300  # words; one description in a hundred has more
_NONE = -1  # the number of what the vocabulary does not hold

# A run of letters with the digits behind it ("log4", "sha256"), any number or version, or a
# run of other letters than a to z.
_WORD = re.compile(r"[a-z]+[0-9]*|[0-9]+(?:\.\w+)*|[^\W\d_a-z]+")
_DIGITS = frozenset("0123456789")
NUMBER = "0"  # stands for all numbers and versions: which one it is says nothing on the weakness

# Tags that lay a page out. Others, such as <script> and <img>, are what a flaw is about.
_TAG = (
    r"</?(?:html|head|body|main|article|section|div|span|p|br|hr|a|b|i|u|em|strong|small|code|pre|"
    r"tt|ul|ol|li|dl|dt|dd|h[1-6]|table|thead|tbody|tr|th|td|blockquote|sub|sup|font|style)"
    r"(?:\s[^<>]{0,500})?/?>|<!--.{0,2000}?-->"
)
# Elements whose content a page does not show, by their name or their style.
_HIDDEN = re.compile(
    r"<(?P<name>script|style|template|[a-z][a-z0-9]*+(?=[^<>]*(?:\bhidden\b|display\s*:\s*none|"
    r"font-size\s*:\s*0|opacity\s*:\s*0(?![.\d]))))\b[^<>]*>(?P<inside>.*?)</(?P=name)\s*>",
    re.DOTALL | re.IGNORECASE,
)
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});"
_MARKUP = re.compile(f"({_TAG})|{_ENTITY}", re.DOTALL | re.IGNORECASE)
# Control, format, surrogate, private use, and marks that join the letter before.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Mn", "Me"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and patterns that show nothing


def words(text: str) -> list[str]:
    """Cut a text into lower-case words, every number being `NUMBER`."""
    text = text[:LONGEST]
    cleaned = text.lower() if _is_plain(text) else _clean(text)
    return [NUMBER if word[0] in _DIGITS else word for word in _WORD.findall(cleaned)]


def spans(text: str, wanted: Sequence[int]) -> list[tuple[int, int]]:
    """Return the start and end of some of `words` in the text as given, by rising position."""
    text = text[:LONGEST]
    if not _keeps_places(text):
        cleaned, origin = _cleaned(text)
        return [(origin[a], origin[b - 1] + 1) for a, b in _places(cleaned, wanted)]
    return _places(text.lower() if text.isascii() else _clean(text), wanted)


def _places(cleaned: str, wanted: Sequence[int]) -> list[tuple[int, int]]:
    matches, read, places = _WORD.finditer(cleaned), 0, []
    for position in wanted:  # what lies between is passed over by islice, not by Python
        places.append(next(islice(matches, position - read, None)).span())
        read = position + 1
    return places


def without_markup(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text piece by piece with places: a tag is a space, an entity its character."""
    position = 0
    for match in _MARKUP.finditer(text):
        yield position, text[position : match.start()]
        yield match.start(), " " if match[1] else html.unescape(match.group())[:1]
        position = match.end()
    yield position, text[position:]


def shown(text: str) -> str:
    """Blank what a page would not show, so that the places of the rest stay.

    >>> shown("XSS<script>alert(1)</script> in <p hidden>SQL</p>Foo").split()
    ['XSS<script>', '</script>', 'in', '<p', 'hidden>', '</p>Foo']
    """
    return _HIDDEN.sub(_blanked, text) if "<" in text else text


def _blanked(match: re.Match[str]) -> str:
    start, end = match.span("inside")
    before, after = match.string[match.start() : start], match.string[end : match.end()]
    return f"{before}{' ' * (end - start)}{after}"


def plain(text: str) -> str:
    """Return a text as a person reads it, for a rationale to quote and a model to be asked.

    Markup, control and zero-width characters go; letters and line breaks stay.

    >>> plain("SQL injection&#33; in <b>login</b> on <script>")
    'SQL injection! in  login  on <script>'
    """
    if "<" not in text and "&" not in text and text.isprintable():
        return text
    bare = "".join(piece for _, piece in without_markup(text))
    return "".join(char for char in bare if char.isprintable() or char.isspace())


def _is_plain(text: str) -> bool:
    # Nearly every description is: those are spared the walk over their characters.
    return text.isascii() and text.isprintable() and "<" not in text and "&" not in text


def _cleaned(text: str) -> tuple[str, Sequence[int]]:
    """Return the clean text in lower case, and for each of its characters its place in `text`."""
    pieces: list[str] = []
    origin: list[int] = []
    for start, piece in without_markup(text):
        for offset, char in enumerate(piece):
            folded = _FOLDS[ord(char)]
            pieces.append(folded)
            origin.extend([start + offset] * len(folded))
    return "".join(pieces), origin


def _clean(text: str) -> str:
    """Return what `_cleaned` does, without the places."""
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
        number = self._number.get
        # The empty row keeps an n-gram from reaching into the next text.
        flat = chain.from_iterable(chain(map(number, text), (_NONE,)) for text in texts)
        column = np.array([_NONE if n is None else n for n in flat], np.int64)
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
        positions = np.full(len(first), _NONE, np.int64)
        if len(keys):
            known = np.flatnonzero((first >= 0) & (last >= 0))
            wanted = first[known] * len(self.words) + last[known]
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hit = keys[place] == wanted
            positions[known[hit]] = place[hit]
        return positions


def _once(rows: Ints) -> None:
    """Strike out what stood before, in place."""
    flat = rows.reshape(-1)
    repeated = np.ones(len(flat), bool)
    repeated[np.unique(flat, return_index=True)[1]] = False
    flat[repeated] = _NONE
