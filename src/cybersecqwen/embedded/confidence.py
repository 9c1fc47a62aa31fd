"""How sure an answer is: the share of right answers among those that were found the same way.

>>> confidence(Basis("name")) > confidence(Basis("fuzzy")) > confidence(Basis("part"))
True

The shares are in confidence.toml, which benchmarks/confidence.py measures and writes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from cybersecqwen.embedded.lexicon import read_lexicon


class Basis(NamedTuple):
    """What an answer rests on: how its subject was linked, and how far the question is read."""

    way: str = ""  # as in linking.WAYS
    said: str = (
        "asked"  # or "none" where nothing is recorded, "instead" where something else is told
    )
    score: float = 0.0  # of a situation: how well the description fits the entry
    unread: int = 0  # words of the question that neither name nor ask for anything


UNKNOWN = Basis()


@cache
def _table() -> dict[str, Any]:
    return read_lexicon("confidence.toml")


def confidence(basis: Basis) -> float:
    """Return the probability that an answer answers its question."""
    table = _table()
    if basis.way == "situation":
        scores, shares = zip(*table["situation"], strict=True)
        sure = float(np.interp(basis.score, scores, shares))
    else:
        unread = min(basis.unread, len(table["unread"]) - 1)
        sure = float(table["ways"][basis.way]) * float(table["unread"][unread])
    return round(sure * float(table["said"][basis.said]), 4)
