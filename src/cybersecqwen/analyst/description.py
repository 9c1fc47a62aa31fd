"""Rate a description: which of the things are told by which a weakness is decided.

>>> missing("Remote attackers can run code.", ["remote", "attackers", "can", "run", "code"])
('product', 'cause')

The words of each thing are in `description.toml`; where one of them stands it counts as told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cybersecqwen.embedded.tokenizer import NUMBER

THINGS = ("product", "component", "cause", "attack", "impact")


def missing(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """List which of THINGS a text does not tell; `words` are its own, in lower case.

    A product is a version, or a word with a capital letter behind the first.
    """
    things = tuple(
        [thing for thing, telling in _telling().items() if telling.isdisjoint(words)],
    )
    named = NUMBER in words or text[1:] != text[1:].lower()
    return things if named else ("product", *things)


@cache
def _telling() -> dict[str, frozenset[str]]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {thing: frozenset(table[thing].split()) for thing in THINGS[1:]}


def rating(lacking: Sequence[str]) -> str:
    """Return "poor" where the cause is missing, "partial" where anything is, else "sufficient"."""
    return "poor" if "cause" in lacking else "partial" if lacking else "sufficient"
