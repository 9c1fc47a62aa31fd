r"""Text of others, made fit to look at: what does not show is named, and evidence is marked.

>>> shown("pass\u200bword")
'pass⟨U+200B⟩word'
>>> [(piece.text, piece.weight) for piece in pieces("SQL injection", [Span(0, 3, "SQL", 0.7)])]
[('SQL', 0.7), (' injection', 0.0)]

Nothing here writes markup: a template does, and escapes what it writes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cybersecqwen.records import Span

# Letters and marks that are drawn as nothing.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)


class Piece(NamedTuple):
    """Some characters of a text; `hidden` names the one that does not show."""

    text: str
    weight: float = 0.0  # of the evidence that it is part of
    hidden: str = ""


def shown(text: str) -> str:
    """Return a text in which what does not show is written by its number."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(f"⟨{_code(char)}⟩" if _hides(char) else char for char in text)


def _hides(char: str) -> bool:
    """Tell whether a character does not show, or turns the direction of those behind it."""
    if char in "\n\r\t" or char.isprintable():
        return char in _BLANK
    return unicodedata.category(char) != "Zs"


def _code(char: str) -> str:
    return f"U+{ord(char):04X}"


def pieces(text: str, evidence: Iterable[Span]) -> Iterator[Piece]:
    """Cut a text where evidence begins and ends, and at each character that does not show."""
    at = 0
    for span in sorted(evidence):
        start, end = max(span.start, at), min(span.end, len(text))
        if start >= end:
            continue
        yield from _visible(text[at:start], 0.0)
        yield from _visible(text[start:end], span.weight)
        at = end
    yield from _visible(text[at:], 0.0)


def _visible(text: str, weight: float) -> Iterator[Piece]:
    begun = 0
    for at, char in enumerate(text):
        if _hides(char):
            if begun < at:
                yield Piece(text[begun:at], weight)
            name = unicodedata.name(char, "a character that does not show")
            yield Piece(_code(char), weight, name)
            begun = at + 1
    if begun < len(text):
        yield Piece(text[begun:], weight)


def hidden(text: str) -> int:
    """Count the characters that do not show."""
    return 0 if text.isprintable() and text.isascii() else sum(map(_hides, text))
