"""Words are the same whether they are listed, numbered, or pointed at."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cybersecqwen.corpus.contamination import words
from cybersecqwen.corpus.contamination.spans import shared_spans
from cybersecqwen.corpus.contamination.words import (
    Lexicon,
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
def test_equal_words_and_no_others_have_equal_numbers(texts: list[str]) -> None:
    lexicon = Lexicon()
    numbers = [number for text in texts for number in lexicon.encode(text)]
    folded = [word for text in texts for word in tokens(text)]
    pairs = set(zip(numbers, folded, strict=True))
    assert len(pairs) == len(set(numbers)) == len(set(folded))
    assert all(lexicon.numeric[n] == is_number(word) for n, word in pairs)


def test_a_long_text_has_the_words_that_it_has_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "One flaw, in Foo 1.2 (café) of Bar_baz. " * 20
    whole = list(Lexicon().encode(text))
    monkeypatch.setattr(words, "_PIECE", 50)
    assert list(Lexicon().encode(text)) == whole


def test_names_are_words_and_versions_are_numbers() -> None:
    assert worded(tokens("Foo 1.2.3-rc4 and v7 of T1548")) == ("foo", "and", "of", "t1548")


def test_spans_point_at_what_both_texts_say() -> None:
    text, item = "In ﬁrst: Caf\u0065\u0301 allows remote users in.", "the café allows REMOTE users"
    (span,) = shared_spans(text, item)
    assert text[span.start : span.end] == "Caf\u0065\u0301 allows remote users"
    assert item[span.item_start : span.item_end] == "café allows REMOTE users"
    assert shared_spans("nothing alike", item) == []
