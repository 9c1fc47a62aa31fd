"""Say what prevents a weakness or an attack pattern, and in which phase of development.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> fixes(understand(index, "how to fix CWE-601"), index.position("CWE-601"))[0].partition(": ")[0]
"CWE-601 URL Redirection to Untrusted Site ('Open Redirect') is prevented like this"

The words are our own, from the glossary; of CWE's mitigations the strategies are told by phase.
"""

from __future__ import annotations

from functools import cache

from cybersecqwen.embedded import facts
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import Phrases
from cybersecqwen.embedded.question import Question


def fixes(question: Question, position: int) -> list[str]:
    """Say what prevents a weakness, an attack pattern, or what is nearest to it."""
    index = question.index
    fix = index.fix(position)
    if fix:
        told = f"{index.label(position)} is prevented like this: {fix}"
        return [*_in_phases(question, position), told]
    if index.entries[position].kind not in ("weakness", "attack pattern"):
        return []
    for path in (">part of:weakness", ">exploits:weakness"):
        near = [p for p in facts.follow(index, position, path) if index.fix(p)][:2]
        if near:
            says = "is prevented as"
            return [
                f"{index.label(position)} {says} {index.label(p)} is: {index.fix(p)}" for p in near
            ]
    return []


def _in_phases(question: Question, position: int) -> list[str]:
    """Say what mitigates a weakness in the phases of development that a question names."""
    index = question.index
    named = {place for s in question.subjects for place in range(s.start, s.end)}
    phases = list(dict.fromkeys(match.value for match in _phases().find(question.cut, named)))
    if not phases or index.entries[position].kind != "weakness":
        return []
    if "mitigation phase" not in index.relations:
        return ["Nothing here records in which phase a mitigation applies."]
    held = [index.label(target) for target in index.related(position, "mitigation phase")]
    sentences = []
    for phase in phases:
        names = [one.partition(": ")[2] for one in held if one.startswith(f"{phase}: ")]
        by = f"is mitigated by {facts.listed(names)}" if names else "has no mitigation on record"
        sentences.append(f"In the phase {phase}, {index.label(position)} {by}.")
    return sentences


@cache
def _phases() -> Phrases:
    return Phrases(question_lexicon()["phases"])
