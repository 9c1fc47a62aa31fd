"""What the searches find is what comparing every text with every item finds."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.passages import Passages
from cybersecqwen.contamination.similarity import Similarity
from cybersecqwen.contamination.words import encode
from cybersecqwen.records import Item

RNG = random.Random(42)
WORDS = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "lmnprstx"]


def drawn(length: int) -> list[str]:
    """Draw words as a language has them: few often, most seldom."""
    return [WORDS[int(len(WORDS) * RNG.random() ** 2)] for _ in range(length)]


def changed(words: list[str], count: int) -> list[str]:
    words = words.copy()
    for _ in range(count):
        words[RNG.randrange(len(words))] = RNG.choice([*WORDS, "unheard", "unseen"])
    return words


def items() -> tuple[Item, ...]:
    texts = [drawn(RNG.randrange(8, 40)) for _ in range(40)]
    texts += [changed(text, 3) for text in texts[:20]]
    return tuple(Item("cti-rcm", i, "", "", text=" ".join(t)) for i, t in enumerate(texts))


ITEMS = items()
COUNTS = Counter(word for item in ITEMS for word in set(item.text.split()))
PASSAGES = Passages({"cti-rcm": ITEMS})
TEXTS = [
    " ".join(changed(item.text.split(), RNG.randrange(12)))
    for item in ITEMS
    for _ in range(4)
    if RNG.random() < 0.9
]


def plain_similarity(text: str, item: Item) -> float:
    """Compare two texts by their sets of words; the ends that the item has not are left off."""
    words, own = text.split(), set(item.text.split())
    inside = [i for i, word in enumerate(words) if word in own]
    if not inside:
        return 0.0
    said = set(words[inside[0] : inside[-1] + 1])
    return sum(map(weight, said & own)) / sum(map(weight, said | own))


def weight(word: str) -> float:
    return math.log((len(ITEMS) + 2) / (COUNTS[word] + 1))


@pytest.fixture(scope="module")
def plain() -> dict[tuple[str, int], float]:
    pairs = [(text, item) for text in TEXTS[:120] for item in ITEMS]
    return {
        (text, item.index): plain_similarity(text, item)
        for text, item in pairs
        if len(text.split()) <= len(item.text.split())
    }


@pytest.mark.parametrize("least", [0.95, 0.8, 0.6, 0.4])
@pytest.mark.parametrize("order", [1, -1])
def test_the_search_finds_what_all_pairs_give(
    least: float, order: int, plain: dict[tuple[str, int], float]
) -> None:
    texts = TEXTS[:120][::order]
    similar = {
        (texts[text], passage): score
        for text, passage, score in Similarity(PASSAGES, least).find(encode(texts))
        if (texts[text], passage) in plain
    }
    expected = {pair: score for pair, score in plain.items() if score >= least}
    assert len(expected) > 5
    assert similar == pytest.approx(expected)


def test_what_one_search_finds_does_not_depend_on_the_first_texts() -> None:
    def asked(first: list[str]) -> set[tuple[int, int]]:
        similarity = Similarity(PASSAGES, 0.6)
        list(similarity.find(encode(first)))  # chooses the words that passages are posted under
        return {(text, passage) for text, passage, _ in similarity.find(encode(TEXTS))}

    assert asked(TEXTS[:1]) == asked(TEXTS[::-1]) == asked(["nothing of the kind"])


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


@pytest.mark.parametrize("n", [1, 3, 7])
def test_containment_is_that_of_the_sets_of_ngrams_in_both_directions(n: int) -> None:
    texts = [*TEXTS, *(f"{t} {t} {t}" for t in TEXTS[:20]), *(t[:60] for t in TEXTS[:20])]
    texts += [" ".join(drawn(90)) + " " + t for t in TEXTS[:20]] + ["", "one"]
    index = Grams(PASSAGES.texts, n)
    shares = {(t, p): share for t, p, share in index.containment(encode(texts), 0.3)}
    expected = {}
    for t, text in enumerate(texts):
        for item in ITEMS:
            ours, theirs = grams(text, n), grams(item.text, n)
            if ours & theirs:
                share = len(ours & theirs) / min(len(ours), len(theirs))
                if share >= 0.3:
                    expected[t, item.index] = share
    assert len(expected) > 50
    assert shares == pytest.approx(expected)
