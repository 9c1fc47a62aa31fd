"""Choose the passages that an answer rests on.

    for evidence in evidence_for(question, positions):
        print(evidence.section, evidence.score)

They are about the entries that the answer names, and hold words of the question.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cybersecqwen.embedded import facts, statements
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.terms import terms
from cybersecqwen.records import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 5  # passages of an answer
_TINY = 1e-6
_LONGEST = 2_000  # characters whose words the evidence is chosen by
# The sections that tell of what is asked for, beside that of its own name and the facts.
_SECTIONS = {
    "detection": ("detection logs", "log sources"),
    "technique": ("procedure",),
    "group": ("procedure",),
    "software": ("procedure",),
    "campaign": ("procedure",),
    "attribution": ("procedure",),
    "phase": ("introduction",),
    "alias": ("alternate term",),
    "vulnerability": ("observed example",),
}


def evidence_for(question: Question, positions: Sequence[int]) -> tuple[Evidence, ...]:
    """Return the passages about the entries that hold most of the question's words.

    Those come first that say what is asked for, or that are about two entries at once.
    """
    index = question.index
    asked = list(dict.fromkeys(terms(question.text[:_LONGEST])))
    asked += [index.entries[position].entry_id.lower() for position in positions]
    scores = index.scores(asked) * index.about(list(positions))
    most = index.rarity(asked) + _TINY
    first = index.best(scores * _is_telling(question, positions), MOST, most=most)
    rest = [one for one in index.best(scores, 2 * MOST, most=most) if one not in first]
    return (*first, *rest)[:MOST]


def _is_telling(question: Question, positions: Sequence[int]) -> NDArray[np.bool_]:
    """Mark the passages that say what is asked for; shape (passages,)."""
    index, asked = question.index, question.request.asked
    marked = np.zeros(len(index), dtype=np.bool_)
    if len(positions) == 2:
        marked = index.about(positions[:1]) & index.about(positions[1:])
    if not marked.any() and asked != "definition":
        found = (path for p in positions for path, _ in statements.paths(index, asked, p))
        names = {f"facts: {relation}" for path in found for relation in facts.relations(path)}
        names |= {asked, *_SECTIONS.get(asked, ())}
        marked = _in_sections(index, names) & index.about(positions)
    return marked if marked.any() else _in_sections(index, {"definition", "description"})


def _in_sections(index: KnowledgeIndex, names: Collection[str]) -> NDArray[np.bool_]:
    numbers = [number for number, name in enumerate(index.sections) if name in names]
    return np.isin(index.passage_section, numbers)
