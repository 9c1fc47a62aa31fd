"""The area under the curve by its definition, and texts that are told apart or not."""

from __future__ import annotations

import numpy as np
import pytest

from cybersecqwen.analyst.drift.vocabulary import (
    area,
    telling_apart,
    telling_words,
    vocabulary,
    words_of,
)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    source = np.random.default_rng(0)
    for _ in range(20):
        truth = np.array([0, 1, *source.integers(2, size=28)])
        scores = source.integers(8, size=30)
        pairs = [
            float(one > zero) + (one == zero) / 2
            for one in scores[truth == 1]
            for zero in scores[truth == 0]
        ]
        assert area(truth, scores) == pytest.approx(np.mean(pairs))


def texts(number: int, words: list[str], seed: int) -> list[frozenset[str]]:
    source = np.random.default_rng(seed)
    return [frozenset(source.choice(words, size=8)) for _ in range(number)]


def test_texts_of_the_same_words_are_not_told_apart_and_those_of_others_are() -> None:
    common = [f"word{n}" for n in range(60)]
    before, same = texts(200, common, 1), texts(150, common, 2)
    told = telling_apart(before, same)
    assert abs(told.value - 0.5) < 3 * told.noise
    new = [text | {"gateway", "the"} if n % 3 else text for n, text in enumerate(same)]
    assert telling_apart(before, new).value > 0.5 + 6 * told.noise
    assert telling_words(before, new)[0] == "gateway"


def test_words_are_cut_as_for_the_classifier_and_rare_ones_do_not_count() -> None:
    assert words_of("XSS in <b>Foo</b> 1.2.3, in FOO") == {"xss", "in", "foo"}
    assert vocabulary([frozenset("ab"), frozenset("a")], [frozenset("ac")]) == ["a"]
