"""Two likely weaknesses are a chain where MITRE saw one lead to the other."""

from __future__ import annotations

import json

import pytest

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.chains import LINKS, chain


@pytest.mark.parametrize(
    ("ranked", "expected"),
    [
        ([("CWE-190", 0.6), ("CWE-122", 0.3)], ("CWE-190", "CWE-122")),
        ([("CWE-122", 0.6), ("CWE-190", 0.3)], ("CWE-190", "CWE-122")),  # the cause is first
        ([("CWE-416", 0.5), ("CWE-79", 0.2), ("CWE-362", 0.2)], ("CWE-362", "CWE-416")),
        ([("CWE-190", 0.9), ("CWE-122", 0.05)], ()),  # unlikely
        ([("CWE-79", 0.5), ("CWE-89", 0.5)], ()),  # neither leads to the other
        ([("CWE-787", 0.5), ("CWE-125", 0.3)], ()),  # a chain in one record alone
        ([("CWE-787", 0.5), ("CWE-20", 0.3)], ("CWE-20", "CWE-787")),  # discouraged, yet a cause
        ([("CWE-190", 0.9)], ()),
        ([], ()),
    ],
)
def test_the_likeliest_pair_is_named(
    ranked: list[tuple[str, float]], expected: tuple[str, ...]
) -> None:
    assert chain(ranked) == expected


def test_every_link_is_of_the_catalogue() -> None:
    links = json.loads(LINKS.read_text())
    assert len(links) > 100
    ids = {cwe for cause, effects in links.items() for cwe in (cause, *effects)}
    assert ids <= load_catalogue().keys()
    assert all(cause not in effects for cause, effects in links.items())
