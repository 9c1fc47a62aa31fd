"""An item's overlap is the share of its n-grams that a corpus holds."""

from __future__ import annotations

from cybersecqwen.contamination.overlap import overlap
from cybersecqwen.records import Item


def item(text: str, *options: str) -> Item:
    return Item("cti-rcm", 0, "", "", text=text, options=options)


def test_overlap_is_counted_by_hand() -> None:
    items = [item("a b c d e"), item("a b"), item("x y", "z w"), item("a b c a b c")]
    texts = ["zero A, b c D", "b c d zero", "y z w"]
    # abc bcd cde; too short; xyz yzw; abc bca cab
    assert overlap(items, texts, n=3) == [2 / 3, None, 1 / 2, 1 / 3]
    assert overlap(items[:1], [], n=3) == [0.0]
    assert overlap(items[:1], ["a b c d e"] * 2, n=3) == [1.0]
