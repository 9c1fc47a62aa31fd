"""The words and phrasings that the embedded model knows, read from lexicon.toml.

>>> "attacker" in word_set("flaw")
True
>>> LEXICON["relations"]["uses"]
['uses', 'is used by']
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

LEXICON: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8")
)


def word_set(name: str) -> frozenset[str]:
    """Return one of the lists of words."""
    return frozenset(LEXICON["words"][name].split())
