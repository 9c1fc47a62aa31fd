"""What a question denies: the word that does it, right before the condition that is denied.

>>> take_denial("foo cves that are not rated")
('foo cves that are', True)
>>> take_denial("foo cves without a patch in")[1]
False
>>> denials_left("foo cves not from acme | in 2024")
('not from acme',)

Pieces of a text are parted by "|", over which no denial reaches.
"""

from __future__ import annotations

import re
from functools import cache

from cybersecqwen.analyst.vulnerabilities.wording import folded, pattern, table

_NAMED = 4  # words by which what is denied is named


def take_denial(before: str, *, absent: bool = False) -> tuple[str, bool]:
    """Take a denial off the end of what stands before a condition: the rest, and whether one was.

    With `absent`, "no" and "missing" deny as well, as they do of an entry in a list.
    """
    text = folded_pieces(before)
    match = _denial(absent).search(text)
    return (text[: match.start()].rstrip(), True) if match else (before, False)


@cache
def _denial(absent: bool) -> re.Pattern[str]:
    words = table()["queries"]
    denials = [*words["negation"], *(words["absence"] if absent else ())]
    between = "|".join(words["between"])
    return re.compile(rf"(?<!\w)(?:{'|'.join(denials)})(?: (?:{between}))* ?$")


def denials_left(text: str) -> tuple[str, ...]:
    """List what is denied in a text of which all conditions that were understood are taken."""
    found = []
    for piece in text.split("|"):
        if match := pattern("queries", "negation").search(piece):
            words = piece[match.end() :].split()[:_NAMED]
            found.append(" ".join([match[0], *words]))
    return tuple(found)


def folded_pieces(text: str) -> str:
    """Write the words of each piece in lower case with one space between them."""
    return " | ".join(map(folded, text.split("|")))
