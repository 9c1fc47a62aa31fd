"""The vocabulary finds what a dictionary of strings would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.embedded.tokenizer import LONG, Vocabulary

KNOWN = ("a", "b", "c", "d")
Gram = tuple[str, ...]


def of(bigrams: Sequence[Gram], trigrams: Sequence[Gram]) -> Vocabulary:
    """Make a vocabulary of n-grams given as words; a trigram needs its first two as a bigram."""
    size, number = len(KNOWN), {word: i for i, word in enumerate(KNOWN)}
    keys = sorted(number[a] * size + number[b] for a, b in set(bigrams))
    last = sorted(
        keys.index(number[a] * size + number[b]) * size + number[c]
        for a, b, c in set(trigrams)
        if (a, b) in bigrams
    )
    return Vocabulary(KNOWN, np.array(keys, np.int64), np.array(last, np.int64))


def numbers(bigrams: Sequence[Gram], trigrams: Sequence[Gram]) -> dict[Gram, int]:
    """Number words, bigrams, trigrams, each in alphabetical order."""
    kept = sorted(g for g in set(trigrams) if g[:2] in bigrams)
    grams = [*((word,) for word in KNOWN), *sorted(set(bigrams)), *kept]
    return {gram: number for number, gram in enumerate(grams)}


def naive(grams: dict[Gram, int], text: Sequence[str]) -> list[list[int]]:
    padded = [*text, ""]
    return [
        [grams.get(tuple(padded[i : i + n]), -1) for n in (1, 2, 3)] for i in range(len(padded))
    ]


WORD = st.sampled_from(KNOWN)
TEXTS = st.lists(st.lists(st.sampled_from((*KNOWN, "unknown")), max_size=12), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WORD, WORD)), st.lists(st.tuples(WORD, WORD, WORD)), TEXTS)
def test_the_grid_is_that_of_a_dictionary(
    bigrams: list[Gram], trigrams: list[Gram], texts: list[list[str]]
) -> None:
    grams = numbers(bigrams, trigrams)
    vocabulary = of(bigrams, trigrams)
    grid, row_text = vocabulary.grid(texts)
    assert len(vocabulary) == len(grams)
    assert grid.tolist() == [row for text in texts for row in naive(grams, text)]
    assert row_text.tolist() == [i for i, text in enumerate(texts) for _ in range(len(text) + 1)]


def test_no_ngram_reaches_into_the_next_text() -> None:
    vocabulary = of([("a", "b"), ("b", "c")], [("a", "b", "c")])
    together, _ = vocabulary.grid([["a", "b", "c"]])
    assert (together >= 0).sum() == 6
    for texts in ([["a"], ["b", "c"]], [["a", "b"], ["c"]], [["a"], [], ["b"], ["c"]]):
        grid, _ = vocabulary.grid(texts)
        within = sum(len(text) > 1 for text in texts)
        assert ((grid[:, 1] >= 0).sum(), (grid[:, 2] >= 0).sum()) == (within, 0)


def test_in_a_long_text_each_counts_once_and_at_its_first_place() -> None:
    vocabulary = of([("a", "b"), ("b", "a")], [("a", "b", "a")])
    short, long = ["a", "b"] * (LONG // 2 - 1), ["d", *["a", "b"] * LONG]
    grid, row_text = vocabulary.grid([short, long, short])
    for text in (0, 2):
        of_short = grid[row_text == text]
        assert (of_short[:, 0] >= 0).sum() == len(short)
        assert of_short.tolist() == vocabulary.grid([short])[0].tolist()
    of_long = grid[row_text == 1]
    assert of_long[:4].tolist() == [[3, -1, -1], [0, 4, 6], [1, 5, -1], [-1, -1, -1]]
    assert (of_long[3:] == -1).all()


def test_nothing_is_found_in_nothing() -> None:
    empty = Vocabulary((), np.array([], np.int64), np.array([], np.int64))
    assert empty.grid([])[0].shape == (0, 3)
    assert empty.grid([["a", "b", "c"], []])[0].tolist() == [[-1, -1, -1]] * 5
