"""Read past how a question is put politely, to what it asks.

>>> without_courtesy("Hello, could you tell me what T1059 is?")
'what T1059 is?'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded.lexicon import question_lexicon


def without_courtesy(text: str) -> str:
    """Return the question without its polite opening; one asked by "if" begins with "whether".

    >>> without_courtesy("Hi, could you please compare APT28 with APT29?")
    'compare APT28 with APT29?'
    >>> without_courtesy("I was wondering if Turla uses Carbon")
    'whether Turla uses Carbon'
    >>> without_courtesy("Our vendor claims that FIN7 never used REvil. Is that true?")
    'whether FIN7 never used REvil'
    >>> without_courtesy("Can you escape from a container?")
    'Can you escape from a container?'
    """
    patterns, rest, indirect = _patterns(), text, False
    if asked := _CLAIM.fullmatch(text):
        return f"whether {asked['claim']}"
    while match := patterns.opinion.match(rest) or patterns.opening.match(rest):
        indirect = match.re is patterns.opinion
        rest = rest[match.end() :]
    opened = rest != text
    if opened and (match := patterns.indirect.match(rest)):
        indirect, rest = True, rest[match.end() :]
    if not rest.strip(" ?!."):
        return text
    return f"whether {rest}" if indirect else rest


# What somebody says, and whether it is true. Few signs are read, for runs of them take long.
_CLAIM = re.compile(
    r"(?:(?:(?:my|our|an?|the|some|one)\b[\w\s]{0,30}?|someone|somebody|people|i|he|she|they)\s+"
    r"(?:claim|claims|claimed|says?|said|insists?|insisted|thinks?|thought|believes?|believed|swears?"
    r"|argues?|assumes?|assumed|heard|read|told (?:me|us))\s+(?:that\s+)?)?"
    r"(?P<claim>.+?)(?:[.,;:!?-]{0,3}\s+(?:is|was|are) (?:he|she|that|this|it|they)"
    r" (?:right|true|correct|so|the case)|[.,;:!?-]\s*true(?: or false)?)\W*",
    re.I | re.S,
)


class _Patterns(NamedTuple):
    opinion: re.Pattern[str]
    opening: re.Pattern[str]
    indirect: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    """Compile what makes the rest a question of yes or no, other openings, and "if"."""
    words = question_lexicon()["courtesy"]
    asking = rf"{_any(words['requests'])}(?:\s+please|\s+kindly)?(?=\s+{_any(words['verbs'])})"
    telling = rf"{_any(words['telling'])}(?!\s+(?:about|of|more)\b)"
    opening = rf"(?:{asking}|{telling}|{_any(words['greetings'])})"
    bare = (_any(words["opinions"]), opening, "(?:if|whether)")
    return _Patterns(*(re.compile(rf"\W{{0,9}}{one}[\s,.:;!\-…]*", re.IGNORECASE) for one in bare))


def _any(phrases: Iterable[str]) -> str:
    longest = sorted(phrases, key=len, reverse=True)
    return rf"(?:{'|'.join(re.escape(phrase) for phrase in longest)})\b"
