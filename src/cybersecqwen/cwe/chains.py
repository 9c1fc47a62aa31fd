"""Weaknesses that lead to each other: an integer overflow to a heap overflow.

>>> chain([("CWE-122", 0.5), ("CWE-190", 0.3), ("CWE-20", 0.1)])
('CWE-190', 'CWE-122')
>>> chain([("CWE-79", 0.9), ("CWE-190", 0.01)])
()

Which can, is told by MITRE: its analysts' chains, and the relation CanPrecede of the catalogue.
`benchmarks/chains.py` collects the pairs, and measures the chains that are named.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

LINKS = Path(__file__).with_name("chains.json")
_MOST = 4  # candidates that are looked at
_LIKELY = 0.12  # share from which on a text tells of a weakness


def chain(ranked: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    """Return the likeliest two of the ranked weaknesses that one leads to the other, cause first.

    One of them is the first of `ranked`, (CWE, share), best first; () where there are none.
    """
    if len(ranked) < 2 or ranked[1][1] < _LIKELY:
        return ()
    first, links = ranked[0][0], _links()
    for other, share in ranked[1:_MOST]:
        if share >= _LIKELY:
            if (first, other) in links:
                return first, other
            if (other, first) in links:
                return other, first
    return ()


@cache
def _links() -> frozenset[tuple[str, str]]:
    pairs = json.loads(LINKS.read_text(encoding="utf-8"))
    return frozenset((cause, effect) for cause, effects in pairs.items() for effect in effects)
