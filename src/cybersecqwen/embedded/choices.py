"""Answer a multiple-choice question from the knowledge index.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> options = ("To escalate privileges", "To print", "To cool a reactor")
>>> answer = answer_multiple_choice(KnowledgeIndex.load(), "Why exploit CVE flaws?", options)
>>> answer.answer
'A'

Every option gets the same features, which tell how well the passages that fit the question
hold the option too; a linear model weighs how far each is above or below the best other
option. So the place of an option never counts.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cybersecqwen.embedded.artifacts import FOLDER, verified
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.options import FEATURES, Asked
from cybersecqwen.errors import InputError
from cybersecqwen.records import Answer

if TYPE_CHECKING:
    from cybersecqwen.embedded.options import Features

RANKER = FOLDER / "ranker.json"
MOST = len(string.ascii_uppercase)
_NEGATED = re.compile(r"\b(?:not|except|least|never|incorrect|false)\b", re.IGNORECASE)
_EVIDENCE = 3


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
    import numpy as np

    if not 2 <= len(options) <= MOST:
        raise InputError(f"{len(options)} options", tip=f"give 2 to {MOST}")
    asked = Asked(index, question)
    ranker = ranker or load_ranker()
    weights = ranker.negated if is_negated(question) else ranker.plain
    values = contrast(asked.features(options)) / np.array(ranker.scales) @ np.array(weights)
    chances = np.exp(values - values.max())
    chances /= chances.sum()
    # Equal options are told apart by their text: the order they are given in means nothing.
    choice = min(range(len(options)), key=lambda i: (-round(float(values[i]), 9), options[i]))
    return Answer(
        answer=string.ascii_uppercase[choice],
        confidence=round(float(chances[choice]), 4),
        covered=asked.covered(options[choice]),
        evidence=asked.evidence(options[choice], _EVIDENCE),
        choice=choice,
        scores=tuple(round(float(chance), 4) for chance in chances),
    )


def is_negated(question: str) -> bool:
    """Tell whether the question asks for the option that does not hold."""
    return _NEGATED.search(question) is not None


def contrast(features: Features) -> Features:
    """Give each feature's distance to the best of the other options; shape as given."""
    import numpy as np

    ordered = np.sort(features, axis=0)
    best, second = ordered[-1], ordered[-2]
    distances: Features = np.where(features >= best, features - second, features - best)
    return distances
