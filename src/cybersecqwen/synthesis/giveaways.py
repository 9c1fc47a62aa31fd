"""How far a multiple choice can be answered without knowing the answer.

    giveaways(pairs)["guesses"]["overlap"]      # 0.251, where chance is 0.25

Each measure is a way of guessing that reads no fact: the option that shares the most words with the
question, or the fewest; one that stands in it; the longest, the shortest; the one that is right
most often in other pairs of its topic; the commonest letter. Where several options are equal, each
counts as a part of a guess, so that nothing to go by gives chance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from statistics import fmean

from cybersecqwen.contamination import normalised
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.files import Json
from cybersecqwen.synthesis.pair import LETTERS, Pair

CHANCE = 1 / len(LETTERS)
# The option that is taken, by the name of the guess.
GUESSES = {
    "overlap": "shares the most words with the question",
    "least_overlap": "shares the fewest",
    "copied": "stands in the question",
    "longest": "is the longest",
    "shortest": "is the shortest",
    "prior": "was right most often in other pairs of its topic",
    "letter": "stands at the commonest letter",
}
_STEM = 5  # letters: "authorise" shares a word with "authorization"
_UNKNOWN = 4  # times that an option is taken to have been shown, and right by chance

Scores = Callable[[Pair], Sequence[float]]  # of the options, the right one first


@lru_cache(maxsize=1 << 14)
def stems(text: str) -> frozenset[str]:
    """Return the beginnings of the words of a text; numbers and words that tell nothing are out."""
    words = (word for word in normalised(text).split() if word not in STOP_WORDS)
    return frozenset(word[:_STEM] for word in words if not word.isdigit())


def giveaways(pairs: Iterable[Pair]) -> Json:
    """Return the share of multiple choices that each way of guessing answers, all and by topic."""
    choices = [pair for pair in pairs if pair.options]
    by_topic = defaultdict(list)
    for pair in choices:
        by_topic[pair.draft.topic].append(pair)
    return {
        "chance": CHANCE,
        "choices": len(choices),
        "guesses": _measured(choices),
        "by_topic": {
            topic: {"choices": len(of)} | _measured(of) for topic, of in sorted(by_topic.items())
        },
    }


def _measured(choices: Sequence[Pair]) -> Json:
    shares = {name: _share(choices, scores) for name, scores in _SCORES.items()}
    letters = Counter(pair.letter for pair in choices)
    shares["prior"] = _prior_share(choices)
    shares["letter"] = max(letters.values(), default=0) / max(len(choices), 1)
    return {name: round(share, 4) for name, share in shares.items()}


def _overlaps(pair: Pair) -> list[float]:
    asked = stems(pair.draft.question)
    return [len(asked & stems(option)) for option in pair.draft.options]


def _copies(pair: Pair) -> list[float]:
    asked = f" {normalised(pair.draft.question)} "
    return [f" {normalised(option)} " in asked for option in pair.draft.options]


def _lengths(pair: Pair) -> list[float]:
    return [len(option) for option in pair.draft.options]


_SCORES: dict[str, Scores] = {
    "overlap": _overlaps,
    "least_overlap": lambda pair: [-score for score in _overlaps(pair)],
    "copied": _copies,
    "longest": _lengths,
    "shortest": lambda pair: [-score for score in _lengths(pair)],
}


def _share(choices: Sequence[Pair], scores: Scores) -> float:
    return fmean([_credit(scores(pair)) for pair in choices] or [CHANCE])


def _credit(scores: Sequence[float]) -> float:
    """Return the chance that a guess at the highest score is the first."""
    best = max(scores)
    return (scores[0] == best) / sum(score == best for score in scores)


def _prior_share(choices: Sequence[Pair]) -> float:
    """Guess the option that was right most often where it was shown, in the other half of pairs."""
    halves = choices[::2], choices[1::2]
    known = [_Priors(half) for half in halves]
    guessed = [_credit(known[1 - n].rates(pair)) for n in (0, 1) for pair in halves[n]]
    return fmean(guessed or [CHANCE])


class _Priors:
    """How often each option of a topic was right among the times that it was shown."""

    def __init__(self, choices: Iterable[Pair]) -> None:
        self._shown: Counter[tuple[str, str]] = Counter()
        self._right: Counter[tuple[str, str]] = Counter()
        for pair in choices:
            self._shown.update((pair.draft.topic, option) for option in pair.options)
            self._right[pair.draft.topic, pair.draft.options[0]] += 1

    def rates(self, pair: Pair) -> list[float]:
        """Return the rate of each option, the right one first, chance where it is unknown."""
        keys = [(pair.draft.topic, option) for option in pair.draft.options]
        # Rounded: a difference by one of many pairs is no knowledge.
        return [
            round((self._right[key] + CHANCE * _UNKNOWN) / (self._shown[key] + _UNKNOWN), 1)
            for key in keys
        ]
