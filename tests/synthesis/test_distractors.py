"""Wrong options are drawn so that neither shared words nor what was right before tells."""

from __future__ import annotations

import random
from collections import Counter

from cybersecqwen.synthesis.distractors import WRONG, Distractors

SHARED = ("red", "old", "big")


def test_the_right_option_shares_the_most_words_in_a_quarter_of_the_questions() -> None:
    rng = random.Random(1)
    names = [
        " ".join((*rng.sample(SHARED, n % 4), f"{chr(97 + n // 26)}{chr(97 + n % 26)}"))
        for n in range(300)
    ]
    distractors = Distractors(rng)
    ranks: Counter[int] = Counter()
    for right in names:
        wrong = distractors.draw(
            "Which big old red beast?", right, [one for one in names if one != right]
        )
        shared = [len({*SHARED} & {*one.split()}) for one in (right, *wrong)]
        if wrong and shared[0]:
            assert len(set(wrong) - {right}) == WRONG
            ranks[sum(own > shared[0] for own in shared[1:])] += 1
    assert ranks.total() > 40
    assert 0.2 <= ranks[0] / ranks.total() <= 0.3
    assert 0.2 <= ranks[3] / ranks.total() <= 0.3


def test_what_was_right_is_wrong_three_times_before_it_is_right_again() -> None:
    distractors = Distractors(random.Random(1))
    options = ("High", "Low", "Medium", "Critical", "None")
    assert distractors.draw("How bad is it?", "High", options[1:])
    for right in options[1:4]:
        assert distractors.draw("How bad is it?", "High", options[1:]) == ()
        wrong = distractors.draw("How bad is it?", right, [o for o in options if o != right])
        assert "High" in wrong
    assert distractors.draw("How bad is it?", "High", options[1:])


def test_an_option_that_stands_in_the_question_is_not_right() -> None:
    distractors = Distractors(random.Random(1))
    assert distractors.draw("What stops a red fox?", "red fox", ("cat", "cow", "hen")) == ()
    assert distractors.draw("What stops it?", "dog", ("cat", "cow")) == ()
