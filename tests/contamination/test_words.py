"""Words are the same whether they are listed, numbered, or pointed at."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cybersecqwen.contamination import words
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.contamination.words import (
    encode,
    is_number,
    normalised,
    tokens,
    word_spans,
    worded,
)

TEXTS = st.text(max_size=80) | st.text("aeiß\u0301\u0300ﬁ½ \u00a0-_1A", max_size=40)


@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    once = tokens(text)
    assert tokens(" ".join(once)) == once
    assert normalised(normalised(text)) == normalised(text)


@given(TEXTS)
@example("ﬁle cafe\u0301 naïve 1½")
def test_a_span_is_given_for_each_word_and_holds_it(text: str) -> None:
    spans, folded = word_spans(text), tokens(text)
    assert len(spans) == len(folded)
    for (start, end), word in zip(spans, folded, strict=True):
        assert word in normalised(text[start:end]).split() or word in normalised(text[start:end])


@given(st.lists(TEXTS, max_size=5))
@example(["v2 vx 3 r1 rc4 rcx sp9 s9 b1 u", "", "T1548 log4j", "42"])
def test_equal_words_and_no_others_have_equal_hashes(texts: list[str]) -> None:
    hashes, row, numeric, size = encode(texts)
    folded = [(number, word) for number, text in enumerate(texts) for word in tokens(text)]
    pairs = set(zip(hashes.tolist(), (word for _, word in folded), strict=True))
    assert len(pairs) == len({h for h, _ in pairs}) == len({w for _, w in pairs})
    assert row.tolist() == [number for number, _ in folded] and size == len(texts)
    assert numeric.tolist() == [is_number(word) for _, word in folded]


@given(st.lists(st.text("ab1 -", max_size=30), min_size=1, max_size=4))
def test_words_are_the_same_whatever_is_hashed_at_once(texts: list[str]) -> None:
    whole = encode(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_PIECE", 5)
        cut = encode(texts)
    assert [side.tolist() for side in cut[:3]] == [side.tolist() for side in whole[:3]]
    assert [own.tolist() for own in cut.split()] == [cut.of(n).tolist() for n in range(len(texts))]


def test_names_are_words_and_versions_are_numbers() -> None:
    assert worded(tokens("Foo 1.2.3-rc4 and v7 of T1548")) == ("foo", "and", "of", "t1548")


def test_spans_point_at_what_both_texts_say() -> None:
    text, item = "In ﬁrst: Caf\u0065\u0301 allows remote users in.", "the café allows REMOTE users"
    (span,) = shared_spans(text, item)
    assert text[span.start : span.end] == "Caf\u0065\u0301 allows remote users"
    assert item[span.item_start : span.item_end] == "café allows REMOTE users"
    assert shared_spans("nothing alike", item) == []
