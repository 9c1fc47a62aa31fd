"""An item's overlap is the share of its n-grams that a corpus holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cybersecqwen.corpus.overlap import overlap, training_texts
from cybersecqwen.errors import InputError
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


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"description": "d", "prompt": "p", "completion": "c"}, "d"),
        ({"prompt": "p", "completion": "c"}, "p c"),
        ({"prompt": "p", "response": "r"}, "p r"),
        ({"text": "t"}, "t"),
        ({"messages": [{"role": "user", "content": "q"}, {"content": "a"}]}, "q a"),
    ],
)
def test_training_files_are_read_in_their_usual_forms(
    row: dict[str, object], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert list(training_texts(path)) == [text]


def test_a_row_without_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "t"}\n{"label": "CWE-79"}\n')
    with pytest.raises(InputError, match=r"train\.jsonl:2: no text to compare"):
        list(training_texts(path))
