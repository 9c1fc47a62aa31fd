"""How varied the questions are, so that one template is seen for what it is.

`distinct_n` is the share of n-grams of words that differ (Li et al. 2016, arXiv:1510.03055); an
opening is the first four words of a question. The description that a question is about is left
out: it would make every template look varied.

>>> diversity(["Which tactic is it now?", "Which tactic is it then?"])["commonest_opening"]
1.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cybersecqwen.contamination import tokens
from cybersecqwen.files import Json
from cybersecqwen.synthesis.pair import CVE_TEXT, Pair

_OPENING = 4  # words


def wording(pair: Pair) -> str:
    """Give a question in its own words, without the description that it is about."""
    question = pair.draft.question
    for one in pair.draft.grounding:
        if one.source == CVE_TEXT:
            question = question.replace(one.text, "").replace(one.id, "")
    return question


def diversity(wordings: Iterable[str]) -> Json:
    """Measure questions: distinct n-grams and openings of the questions."""
    asked = [tokens(question) for question in wordings]
    openings = Counter(words[:_OPENING] for words in asked if words)
    most = max(openings.values(), default=0)
    return {
        "questions": len(asked),
        "distinct_2": _distinct(asked, 2),
        "distinct_3": _distinct(asked, 3),
        "openings": len(openings),
        "commonest_opening": round(most / max(len(asked), 1), 4),
    }


def _distinct(texts: Sequence[tuple[str, ...]], n: int) -> float:
    grams = [words[i : i + n] for words in texts for i in range(len(words) - n + 1)]
    return round(len(set(grams)) / max(len(grams), 1), 4)
