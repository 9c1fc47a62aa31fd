"""The words and phrasings that the embedded model knows, read from the TOML files beside it.

>>> "attacker" in word_set("flaw")
True
>>> LEXICON["relations"]["uses"]
['uses', 'is used by']
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any


def read_lexicon(name: str) -> dict[str, Any]:
    """Read one of the TOML files, such as "aliases.toml"."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


LEXICON: dict[str, Any] = read_lexicon("lexicon.toml")


@cache
def question_lexicon() -> dict[str, Any]:
    """Read how questions are worded."""
    return read_lexicon("questions.toml")


def word_set(name: str) -> frozenset[str]:
    """Return one of the lists of words."""
    return frozenset(LEXICON["words"][name].split())
