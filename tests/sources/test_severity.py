"""The word for a score in CVSS."""

from __future__ import annotations

import math

import pytest

from cybersecqwen.records import Cvss
from cybersecqwen.sources.severity import severity


@pytest.mark.parametrize(
    ("version", "score", "word"),
    [
        ("3.1", 9.0, "Critical"),
        ("4.0", 0.0, "None"),
        ("2.0", 0.0, "Low"),
        ("3.1", None, ""),
        ("3.1", -1.0, ""),
        ("3.1", math.nan, ""),
    ],
)
def test_a_score_has_a_word_where_it_is_one(version: str, score: float | None, word: str) -> None:
    assert severity(Cvss("nvd", version, "", score)) == word
