"""The card that travels with synthetic pairs: what they are made of, and how varied they are.

`distinct_n` is the share of n-grams of words that differ (Li et al. 2016, arXiv:1510.03055); an
opening is the first four words of a question. The description that a question is about is left
out: it would make every template look varied.

>>> diversity(["Which tactic is it now?", "Which tactic is it then?"])["commonest_opening"]
1.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cybersecqwen import templates
from cybersecqwen.contamination import tokens
from cybersecqwen.files import Json
from cybersecqwen.synthesis.giveaways import GUESSES
from cybersecqwen.synthesis.pair import CVE_TEXT, Pair

_OPENING = 4  # words


def synthesis_card(certificate: Json) -> str:
    """Render DATASET_CARD.md for the pairs that a certificate is about."""
    values = {"letters": letters_text(certificate), "guesses": GUESSES}
    return templates.render("synthesis/pair_card.md.jinja", **certificate | values)


def letters_text(certificate: Json, spec: str = "") -> str:
    """Write how often the right option stands at each letter, by the file of the pairs."""
    return "; ".join(
        f"{part} " + ", ".join(f"{letter} {count:{spec}}" for letter, count in letters.items())
        for part, letters in certificate["letters"].items()
        if letters
    )


def bare_question(pair: Pair) -> str:
    """Return a question in its own words, without the description that it is about."""
    question = pair.draft.question
    for one in pair.draft.grounding:
        if one.source == CVE_TEXT:
            question = question.replace(one.text, "").replace(one.id, "")
    return question


def diversity(wordings: Iterable[str]) -> Json:
    """Measure how varied questions are, by their distinct n-grams and their openings."""
    questions = [tokens(question) for question in wordings]
    openings = Counter(words[:_OPENING] for words in questions if words)
    most = max(openings.values(), default=0)
    return {
        "questions": len(questions),
        "distinct_2": _distinct(questions, 2),
        "distinct_3": _distinct(questions, 3),
        "openings": len(openings),
        "commonest_opening": round(most / max(len(questions), 1), 4),
    }


def _distinct(texts: Sequence[tuple[str, ...]], n: int) -> float:
    grams = [words[i : i + n] for words in texts for i in range(len(words) - n + 1)]
    return round(len(set(grams)) / max(len(grams), 1), 4)
