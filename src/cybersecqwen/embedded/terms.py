"""Cut text into the terms that the knowledge index counts.

A term is a word in lower case without its ending, or an id as it stands. Words that
frame a question say nothing about its subject and are left out.

>>> terms("Which technique does MITRE ATT&CK describe as dumping credentials (T1003.001)?")
['techniqu', 'dump', 'credent', 't1003.001']
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.embedded.lexicon import LEXICON, word_set

_WORD = re.compile(r"[a-z]+-\d+|[a-z]{1,3}\d{4}(?:\.\d{3})?|[^\W_]+")
_FRAMING = word_set("framing")
_ENDINGS: dict[str, int] = LEXICON["endings"]  # and the letters to stay in front of each


def words(text: str) -> list[str]:
    """Cut a text into words and ids in lower case."""
    return _WORD.findall(text.lower())


def terms(text: str) -> list[str]:
    """Cut a text into terms in their order, repeated as often as they stand there."""
    return [stem(word) for word in words(text) if word not in _FRAMING]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Fold the endings of one word, so that "dumping", "dumped" and "dumps" are one term.

    A word with a digit stays as it is: it is an id, a version or a file name.
    """
    if len(word) < 4 or not word.isalpha():
        return word
    word = _without_ending(singular(word))
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]  # running
    if len(word) > 3 and word[-1] in "eiy":
        word = word[:-1]  # modify, modified
    # escalate, escalating and escalation, but not data or format
    return word[:-2] if word.endswith("at") and len(word) > 5 else word


def singular(word: str) -> str:
    """Cut the ending of a plural, or of a verb in the third person."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _without_ending(word: str) -> str:
    for ending, least in _ENDINGS.items():
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)]
    return word


def hashed(texts: Iterable[str]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each text, by which the index knows its terms and names."""
    return np.fromiter((zlib.crc32(text.encode()) for text in texts), dtype=np.uint32)
