"""A description is rated by what it tells of product, component, cause, attack and impact."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.description import missing, rating
from cybersecqwen.embedded.tokenizer import words

WHOLE = (
    "A heap overflow in the PNG parser of Foo before 1.2 allows remote attackers to execute code "
    "by a crafted image."
)


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        (WHOLE, ()),
        (
            "Unspecified vulnerability in Foo 1.2 has unknown impact.",
            ("component", "cause", "attack", "impact"),
        ),
        ("a heap overflow in the parser lets remote attackers execute code.", ("product",)),
        ("Foo 1.2 crashes when a remote attacker sends a crafted packet to a port.", ("cause",)),
        ("", ("product", "component", "cause", "attack", "impact")),
    ],
)
def test_what_is_not_told_is_named(text: str, lacking: tuple[str, ...]) -> None:
    told = missing(text, words(text))
    if lacking == ("cause",):
        assert "cause" in told
    else:
        assert set(lacking) <= set(told)
        assert text != WHOLE or not told


def test_without_a_cause_a_description_is_poor() -> None:
    assert rating(()) == "sufficient"
    assert rating(("component",)) == "partial"
    assert rating(("component", "cause")) == "poor"
