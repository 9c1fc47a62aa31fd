"""The pieces of JSON that a classification is written from make what `json.dumps` makes of it."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.analyst.classification import (
    Candidate,
    Classification,
    FeedLabel,
    as_row,
    classify,
)
from cybersecqwen.analyst.classification_json import encode
from cybersecqwen.analyst.labels import RecordLabel
from cybersecqwen.records import Grounding, Refusal, Span

# What JSON escapes, what it leaves, and nothing, which is null in most places.
TEXT = st.sampled_from(["", '"', "\\", "\n", "\x1f", "\u2028", "é", "漏洞", "CWE-79"]) | st.text(
    max_size=5
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
SHARE = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.0001, 1e-07])
RESULTS = st.builds(
    Classification,
    id=TEXT | st.integers(),
    candidates=st.lists(st.builds(Candidate, TEXT, TEXT, SHARE, TEXT, TEXT, TEXT), max_size=3).map(
        tuple
    ),
    abstain=st.booleans(),
    reason=TEXT,
    rationale=TEXT,
    evidence=st.lists(
        st.builds(Span, st.integers(0, 9), st.integers(0, 9), TEXT, SHARE), max_size=3
    ).map(tuple),
    labels=st.lists(st.builds(RecordLabel, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT), max_size=2).map(
        tuple
    ),
    difference=TEXT,
    feed_label=st.none() | st.builds(FeedLabel, TEXT, TEXT, SHARE, TEXT),
    chain=TEXTS,
    missing=TEXTS,
    grounding=st.none() | st.just(Grounding("model", 2, 1, (Refusal("a", "b"),))),
)


@settings(max_examples=300, deadline=None)
@given(RESULTS)
def test_it_is_what_json_makes_of_the_row(result: Classification) -> None:
    assert encode(result) == json.dumps(as_row(result), ensure_ascii=False)


def test_it_is_so_for_what_the_embedded_model_answers() -> None:
    texts = ["SQL injection in Foo 1.2.", 'A "use after free" leads to a crash.', "", "A cake."]
    for result in classify(texts, threshold=0):
        assert encode(result) == json.dumps(as_row(result), ensure_ascii=False)
