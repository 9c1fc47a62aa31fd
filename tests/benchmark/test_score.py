"""Scores by hand, and nothing unasked or unanswered is scored."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.benchmark.score import score_trial, summarise
from cybersecqwen.benchmark.statistics import mean, spread, wilson
from cybersecqwen.errors import InputError
from cybersecqwen.records import Item, Response

CARD = PROTOCOLS["model-card"]
ITEMS = tuple(Item("cti-rcm", i, "", gold) for i, gold in enumerate(["CWE-79", "CWE-89", "CWE-20"]))


def responses(*texts: str, trial: int = 0) -> list[Response]:
    return [Response(i, trial, text) for i, text in enumerate(texts)]


def test_an_unparseable_answer_is_wrong_and_stays_in_the_denominator() -> None:
    scores = score_trial(CARD, ITEMS, responses("CWE-79", "CWE-79", "no idea"), trial=0)
    assert (scores.n, scores.correct, scores.parseable) == (3, 1, 2)
    assert scores.strict_accuracy == pytest.approx(1 / 3)
    assert scores.parseable_rate == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (responses("CWE-79", "CWE-89"), "1 items have no response, the first is 2"),
        ([*responses("a", "b", "c"), Response(1, 0, "b")], "two responses to item 1"),
        ([*responses("a", "b", "c"), Response(9, 0, "b")], "a response to item 9"),
        (responses("a", "b", "c", trial=3), "a response of trial 3"),
    ],
)
def test_missing_duplicate_and_unknown_answers_are_named(
    given: list[Response], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score_trial(CARD, ITEMS, given, trial=0)


def test_trials_are_put_together_with_the_protocols_spread() -> None:
    trials = [
        score_trial(CARD, ITEMS, responses("CWE-79", "CWE-89", text, trial=trial), trial=trial)
        for trial, text in enumerate(["CWE-20", "", "CWE-20"])
    ]
    summary = summarise(CARD, trials)
    values = [1.0, 2 / 3, 1.0]
    assert summary["strict_accuracy"]["mean"] == pytest.approx(statistics.mean(values))
    assert summary["strict_accuracy"]["std"] == pytest.approx(statistics.stdev(values))
    assert [row["seed"] for row in summary["trials"]] == [42, 43, 44]
    assert summary["items"] == 3


def test_one_trial_has_no_spread() -> None:
    assert spread([0.5], ddof=1) is None
    assert spread([0.5], ddof=0) == 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_mean_and_spread_are_the_standard_librarys(values: list[float]) -> None:
    assert mean(values) == pytest.approx(statistics.mean(values))
    assert spread(values, ddof=1) == pytest.approx(statistics.stdev(values), abs=1e-7)
    assert spread(values, ddof=0) == pytest.approx(statistics.pstdev(values), abs=1e-7)


def test_the_item_level_interval_is_wilsons() -> None:
    # Solve |p - share| = z * sqrt(p (1 - p) / n) for p, which is what the interval is.
    n, share, z = 1000, 0.6664, statistics.NormalDist().inv_cdf(0.975)
    for bound in wilson(share, n):
        assert abs(bound - share) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n))
    assert wilson(0.0, 40)[0] == 0
    assert wilson(1.0, 40)[1] == 1
