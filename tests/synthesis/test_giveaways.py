"""Guessing is measured as it works, and no way of guessing answers the pairs above chance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cybersecqwen.config import load_recipe
from cybersecqwen.synthesis.build import SynthesisInputs, build
from cybersecqwen.synthesis.giveaways import CHANCE, GUESSES, giveaways
from cybersecqwen.synthesis.pair import Draft, arranged

PAIRS = 600
SEEN = 12  # choices of a topic of which a share says something


def guesses(*drafts: Draft) -> dict[str, float]:
    measured: dict[str, float] = giveaways([arranged(one, 0) for one in drafts])["guesses"]
    return measured


def test_each_guess_is_seen_where_it_works(draft: Callable[..., Draft]) -> None:
    options = ("red apples and pears", "blue", "black", "white")
    found = guesses(
        *[draft(question=f"Which {n} red apples and pears?", options=options) for n in range(4)]
    )
    assert found.keys() == GUESSES.keys()
    assert found | {"shortest": 0, "least_overlap": 0} == dict.fromkeys(GUESSES, 1) | {
        "shortest": 0,
        "least_overlap": 0,
    }


def test_nothing_to_go_by_is_chance(draft: Callable[..., Draft]) -> None:
    options = ("one", "two", "six", "ten")
    found = guesses(draft(question="Which number is it?", options=options))
    assert found == dict.fromkeys(GUESSES, CHANCE) | {"letter": 1}
    assert giveaways([])["guesses"]["overlap"] == CHANCE


def test_no_guess_answers_the_pairs_above_chance(
    sources: Callable[..., SynthesisInputs], tmp_path: Path
) -> None:
    settings = (f"synthesis.pairs={PAIRS}", "training.max_length=2048", "synthesis.choices=1")
    measured = build(load_recipe("smoke", overrides=settings), sources(), tmp_path)["giveaways"]
    assert measured["choices"] > 0.8 * PAIRS
    assert max(measured["guesses"].values()) < limit(measured["choices"]), measured["guesses"]
    topics = {t: of for t, of in measured["by_topic"].items() if of["choices"] >= SEEN}
    assert len(topics) >= 10
    for topic, of in topics.items():
        found = {name: of[name] for name in ("overlap", "copied", "prior")}
        assert max(found.values()) < limit(of["choices"]), (topic, found)


def limit(choices: int) -> float:
    """Return what chance exceeds once in 700 times."""
    return CHANCE + 3 * float((CHANCE * (1 - CHANCE) / choices) ** 0.5)
