"""The card that travels with synthetic pairs: what they are made of, refused for, and how varied.

`distinct_n` is the share of n-grams of words that differ (Li et al. 2016, arXiv:1510.03055); an
opening is the first four words of a question. The description that a question is about is left
out: it would make every template look varied.

>>> diversity(["Which tactic is it now?", "Which tactic is it then?"])["commonest_opening"]
1.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from cybersecqwen.config import Recipe
from cybersecqwen.contamination import tokens
from cybersecqwen.files import Json
from cybersecqwen.synthesis.pair import CVE_TEXT, Pair
from cybersecqwen.synthesis.wording import fill, load_text

_OPENING = 4  # words
_CARD = load_text(
    "card.md",
    "name train validation choices made_by records knowledge kinds topics rules items tasks "
    "rejected letters diversity",
)


def synthesis_card(recipe: Recipe, certificate: Json) -> str:
    """Render DATASET_CARD.md for the pairs of a recipe."""
    counts, items = certificate["counts"], certificate["benchmark_items"]
    return fill(
        _CARD,
        name=recipe.name,
        train=f"{counts['train']:,}",
        validation=f"{counts['validation']:,}",
        choices=f"{counts['forms'].get('choice', 0):,}",
        made_by=_made_by(certificate),
        records=f"{counts['records']:,}",
        knowledge=", ".join(certificate["knowledge"].values()),
        kinds=_table(("kind", "pairs"), counts["kinds"]),
        topics=_table(("topic", "pairs"), counts["topics"]),
        rules=", ".join(certificate["rules"]),
        items=f"{sum(items.values()):,}",
        tasks=", ".join(items),
        rejected=_table(("rejected as", "pairs"), counts["rejected"]),
        letters=_letters(certificate),
        diversity=_diversity_rows(certificate["diversity"]),
    )


def bare_question(pair: Pair) -> str:
    """Return a question in its own words, without the description that it is about."""
    question = pair.draft.question
    for one in pair.draft.grounding:
        if one.source == CVE_TEXT:
            question = question.replace(one.text, "").replace(one.id, "")
    return question


def diversity(wordings: Iterable[str]) -> Json:
    """Measure questions: distinct n-grams and openings of the questions."""
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


def _made_by(certificate: Json) -> str:
    teacher = certificate["teacher"]
    return f"the teacher {teacher['model']}" if teacher else "rules, from facts; no model was asked"


def _letters(certificate: Json) -> str:
    return "; ".join(
        f"{part} " + ", ".join(f"{letter} {count}" for letter, count in letters.items())
        for part, letters in certificate["letters"].items()
        if letters
    )


def _diversity_rows(by_kind: Mapping[str, Json]) -> str:
    return "\n".join(
        f"| {kind} | {of['questions']:,} | {of['distinct_2']:.3f} | {of['distinct_3']:.3f} "
        f"| {of['openings']:,} | {of['commonest_opening']:.3f} |"
        for kind, of in by_kind.items()
    )


def _table(head: tuple[str, str], rows: Mapping[str, int]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---:|"]
    return "\n".join(lines + [f"| {name} | {value:,} |" for name, value in rows.items()])
