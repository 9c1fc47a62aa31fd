"""All questions about CVE records, by kind and topic.

makers = vulnerability_drafts(QuestionWriter(records, facts, catalogue, random.Random(42)))
next(makers["consequence", "effect", False]())     # an open question, answered by the text
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cybersecqwen.synthesis import statements, weaknesses
from cybersecqwen.synthesis.asking import QuestionWriter
from cybersecqwen.synthesis.pair import Draft
from cybersecqwen.synthesis.record_facts import RecordFacts

_Topic = Callable[[RecordFacts, QuestionWriter], Draft | None]

# By kind, topic, and whether it gives options.
TOPICS: dict[tuple[str, str, bool], _Topic] = {
    ("weakness", "weakness of a record", True): weaknesses.weakness_choice,
    ("weakness", "weakness of a record", False): weaknesses.weakness,
    ("weakness", "label", False): weaknesses.label,
    ("consequence", "effect", True): statements.effect_choice,
    ("consequence", "effect", False): statements.effect,
    ("mitigation", "fix", True): statements.fix_choice,
    ("mitigation", "fix", False): statements.fix,
    ("cvss", "vector", False): statements.vector,
    ("component", "component", True): statements.component_choice,
    ("component", "component", False): statements.component,
    ("component", "product", True): statements.product_choice,
    ("component", "product", False): statements.product,
}
# Turns that a topic has before another of its kind comes: records carry more of the pairs.
TURNS = {"weakness of a record": 3, "effect": 4, "fix": 2}


def vulnerability_drafts(
    asking: QuestionWriter,
) -> dict[tuple[str, str, bool], Callable[[], Iterator[Draft]]]:
    """Give a maker of drafts for each topic, over all records in a drawn order."""

    def over(topic: _Topic) -> Callable[[], Iterator[Draft]]:
        def drafts() -> Iterator[Draft]:
            drawn = asking.rng.sample(asking.records, len(asking.records))
            return (draft for record in drawn if (draft := topic(record, asking)))

        return drafts

    return {key: over(topic) for key, topic in TOPICS.items()}
