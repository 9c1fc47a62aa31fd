"""How sure an answer is, by the way its subject was linked and what was said of it."""

from __future__ import annotations

_BY_WAY = {
    "id": 0.95,
    "name": 0.93,
    "alias": 0.9,
    "order": 0.85,
    "fuzzy": 0.85,
    "part": 0.7,
    "situation": 0.6,
}


def confidence(way: str, mode: str, score: float | None = None) -> float:
    """Return the probability that an answer answers its question."""
    sure = _BY_WAY[way]
    if mode in ("instead", "none"):
        sure *= 0.7
    if score is not None:
        sure = min(0.9, 0.25 + 0.4 * score)
    return round(sure, 4)
