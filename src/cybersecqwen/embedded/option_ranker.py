"""Rank the options of a multiple-choice question by the knowledge index, and answer with the best.

>>> index = KnowledgeIndex.load()
>>> options = ("To escalate privileges", "To print", "To cool a reactor")
>>> answer_multiple_choice(index, "Why exploit CVE flaws?", options).answer
'A'
>>> context = QuestionContext(index, "Which CWE is about deserialization of untrusted data?")
>>> features = context.features(("CWE-502", "CWE-79"))
>>> bool(features[0, 0] > features[1, 0])
True

Every option gets the same features, which tell how well the passages that fit the question
hold the option too; a linear model weighs how far each is above or below the best other
option. So the place of an option never counts.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.artifacts import FOLDER, verified
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.terms import terms, words
from cybersecqwen.errors import InputError
from cybersecqwen.records import Answer, Evidence

Features = NDArray[np.float64]
Scores = NDArray[np.float32]

RANKER = FOLDER / "ranker.json"
MOST = len(string.ascii_uppercase)
_NEGATED = re.compile(r"\b(?:not|except|least|never|incorrect|false)\b", re.IGNORECASE)
_EVIDENCE = 3

FEATURES = (
    # The best passage: its score for the question plus that for the option, for the option's
    # words that the question has not, and for those that no other option has either.
    "sum",
    "sum new",
    "sum own",
    # The same as geometric means, so that a passage has to score for both,
    "product",
    "product new",
    "product own",
    # and as shares of what a passage with every word would score.
    "share",
    "share new",
    "share own",
    # Shares of the option's new and own words that stand anywhere about the entry that the
    # question is about.
    "entry words",
    "entry own words",
    # The option's form: its words, and the shares that the question or other options have too.
    "length",
    "question words",
    "common words",
    "empty",
    "none of them",
    "all of them",
)
_NONE = re.compile(r"\bnone of the|^\W*none\W*$|\bnot mentioned\b", re.IGNORECASE)
_ALL = re.compile(r"\ball of the|\ball the above|\bboth ", re.IGNORECASE)
_TINY = 1e-6
COVERED = 0.45  # share of the words, by rarity, from which a passage is about a question


class Ranker(NamedTuple):
    """The linear model: a weight for each feature, other ones where the question negates."""

    plain: tuple[float, ...]
    negated: tuple[float, ...]
    scales: tuple[float, ...]


@cache
def load_ranker(path: Path = RANKER) -> Ranker:
    """Load the weights that ship, checked against their certificate.

    Raises InputError when they are damaged, or not for these features.
    """
    rows = json.loads(verified(path.parent, path.name))
    if tuple(rows["features"]) != FEATURES:
        raise InputError("its features are not those of this version", where=path)
    return Ranker(tuple(rows["plain"]), tuple(rows["negated"]), tuple(rows["scales"]))


def answer_multiple_choice(
    index: KnowledgeIndex, question: str, options: Sequence[str], *, ranker: Ranker | None = None
) -> Answer:
    """Choose among 2 to 26 options; `answer` is the letter of the place of the one chosen.

    Where nothing supports any option `covered` is false and the answer is the best guess.
    Raises InputError when there are too few or too many options.
    """
    if not 2 <= len(options) <= MOST:
        raise InputError(f"{len(options)} options", tip=f"give 2 to {MOST}")
    context = QuestionContext(index, question)
    ranker = ranker or load_ranker()
    weights = ranker.negated if is_negated(question) else ranker.plain
    values = contrast(context.features(options)) / np.array(ranker.scales) @ np.array(weights)
    chances = np.exp(values - values.max())
    chances /= chances.sum()
    # Equal options are told apart by their text: the order they are given in means nothing.
    choice = min(range(len(options)), key=lambda i: (-round(float(values[i]), 9), options[i]))
    return Answer(
        answer=string.ascii_uppercase[choice],
        confidence=round(float(chances[choice]), 4),
        covered=context.covered(options[choice]),
        evidence=context.evidence(options[choice], _EVIDENCE),
        choice=choice,
        scores=tuple(round(float(chance), 4) for chance in chances),
    )


def is_negated(question: str) -> bool:
    """Tell whether the question asks for the option that does not hold."""
    return _NEGATED.search(question) is not None


def contrast(features: Features) -> Features:
    """Return each feature's distance to the best of the other options; shape as given."""
    ordered = np.sort(features, axis=0)
    best, second = ordered[-1], ordered[-2]
    distances: Features = np.where(features >= best, features - second, features - best)
    return distances


class _Part(NamedTuple):
    """Some of an option's terms: their scores by passage, their rarity, and the part held."""

    scores: Scores
    mass: float
    held: float  # rarity of the terms that passages about the entry hold


class QuestionContext:
    """The passages and entries of the index that a question is about."""

    def __init__(self, index: KnowledgeIndex, question: str) -> None:
        # The weights are fitted to passages of upstream; our own words on an entry made them worse.
        self.index = index = index.of_sources()
        self.terms = list(dict.fromkeys(terms(question)))
        self.scores = index.scores(self.terms)
        self.mass = index.rarity(self.terms) + _TINY
        self.by_id = index.ids_in(question)
        named = [*self.by_id, *index.names_in(question, strict=True)]
        self.of_entry = index.about([named[0] if named else index.best_entry(self.scores)])

    def features(self, options: Sequence[str]) -> Features:
        """Return the features of every option; shape (options, FEATURES)."""
        cut = [list(dict.fromkeys(terms(option))) for option in options]
        counts = Counter(term for own in cut for term in own)
        rows = [
            [*self._of_words(own, counts), *self._of_form(option, own, counts)]
            for option, own in zip(options, cut, strict=True)
        ]
        return np.array(rows)

    def _of_words(self, own: Sequence[str], counts: Counter[str]) -> list[float]:
        """Compare the option's words with the passages that hold the question's."""
        exact, new, _ = parts = self._parts(own, counts)
        sums = [float((self.scores + part.scores).max()) for part in parts]
        products = [float((self.scores * part.scores).max()) for part in parts]
        shares = [p / part.mass / self.mass for p, part in zip(products, parts, strict=True)]
        return [
            *sums[::-1],
            *(product**0.5 for product in products[::-1]),
            *(share**0.5 for share in shares[::-1]),
            new.held / new.mass,
            exact.held / exact.mass,
        ]

    def _parts(self, own: Sequence[str], counts: Counter[str]) -> list[_Part]:
        """Score the words only this option has, all that the question has not, and all."""
        groups = (
            [term for term in own if term not in self.terms and counts[term] == 1],
            [term for term in own if term not in self.terms and counts[term] > 1],
            [term for term in own if term in self.terms],
        )
        parts, mass, held = [], _TINY, 0.0
        total = self.index.scores(())
        for group in groups:
            total = total.copy()
            rarities = self.index.rarities(group)
            for posting, rarity in zip(self.index.postings(group), rarities, strict=True):
                mass += rarity
                if posting is not None:
                    total[posting[0]] += posting[1]
                    held += rarity if self.of_entry[posting[0]].any() else 0.0
            parts.append(_Part(total, mass, held))
        return parts

    def _of_form(self, option: str, own: Sequence[str], counts: Counter[str]) -> list[float]:
        mass = self.index.rarity(own) + _TINY
        asked = self.index.rarity([term for term in own if term in self.terms])
        common = self.index.rarity([term for term in own if counts[term] > 1])
        return [
            math.log1p(len(words(option))),
            asked / mass,
            common / mass,
            float(not option.strip()),
            float(_NONE.search(option) is not None),
            float(_ALL.search(option) is not None),
        ]

    def evidence(self, option: str, limit: int) -> tuple[Evidence, ...]:
        """Return the passages that hold most of the question and an option together."""
        own = list(dict.fromkeys(terms(option)))
        scores = self.scores + self.index.scores(own)
        return tuple(self.index.best(scores, limit, most=self.mass + self.index.rarity(own)))

    def covered(self, option: str) -> bool:
        """Tell whether the index knows what the question is about.

        It does where the question names an id, or one passage holds enough of the
        question's and the option's words, by rarity.
        """
        if self.by_id:
            return True
        together = list(dict.fromkeys([*self.terms, *terms(option)]))
        mass = self.index.rarity(together) + _TINY
        return float(self.index.scores(together).max()) >= COVERED * mass
