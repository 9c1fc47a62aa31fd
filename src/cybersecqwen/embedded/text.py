r"""Read a vulnerability description as the classifier does: cleaned, cut into words.

What a text may bring along is taken out first: HTML tags and entities, control and zero-width
characters, full-width and other compatibility forms. Every word keeps its place in the text as
it was given, so that evidence can be shown there.

>>> words("SQL injection in Foo&nbsp;1.2.3 via <b>id</b>")
['sql', 'injection', 'in', 'foo', '0', 'via', 'id']
>>> words("An X\u200bSS flaw"), spans("An X\u200bSS flaw", 9)
(['an', 'xss', 'flaw'], [(0, 2), (3, 7), (8, 12)])
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

LONGEST = 20_000  # characters that are read; the longest CVE description has some 4,000

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
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});"
_MARKUP = re.compile(f"({_TAG})|{_ENTITY}", re.DOTALL | re.IGNORECASE)
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})  # control, format, surrogate, private use


def words(text: str) -> list[str]:
    """Cut a text into lower-case words, every number being `NUMBER`."""
    text = text[:LONGEST]
    cleaned = text.lower() if _is_plain(text) else _cleaned(text)[0]
    return [NUMBER if word[0] in _DIGITS else word for word in _WORD.findall(cleaned)]


def spans(text: str, count: int) -> list[tuple[int, int]]:
    """Give the start and end of the first `count` of `words` in the text as given."""
    text = text[:LONGEST]
    if _is_plain(text):
        return [match.span() for match in islice(_WORD.finditer(text.lower()), count)]
    cleaned, origin = _cleaned(text)
    return [
        (origin[match.start()], origin[match.end() - 1] + 1)
        for match in islice(_WORD.finditer(cleaned), count)
    ]


def without_markup(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text piece by piece with places: a tag is a space, an entity its character."""
    position = 0
    for match in _MARKUP.finditer(text):
        yield position, text[position : match.start()]
        yield match.start(), " " if match[1] else html.unescape(match.group())[:1]
        position = match.end()
    yield position, text[position:]


def _is_plain(text: str) -> bool:
    # Nearly every description is: those are spared the walk over their characters.
    return text.isascii() and text.isprintable() and "<" not in text and "&" not in text


def _cleaned(text: str) -> tuple[str, Sequence[int]]:
    """Give the clean text in lower case, and for each of its characters its place in `text`."""
    pieces: list[str] = []
    origin: list[int] = []
    for start, piece in without_markup(text):
        for offset, char in enumerate(piece):
            folded = _fold(char)
            pieces.append(folded)
            origin.extend([start + offset] * len(folded))
    return "".join(pieces), origin


@lru_cache(maxsize=1 << 16)
def _fold(char: str) -> str:
    if char.isascii():
        return char.lower() if char.isprintable() else " "
    if unicodedata.category(char) in _UNSEEN:
        return ""  # nothing to see, so nothing between the letters around it
    return unicodedata.normalize("NFKC", char).lower()
