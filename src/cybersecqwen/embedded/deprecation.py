"""Say whether an entry is in force or retired, and what stands in place of a retired one.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> status(understand(index, "what happened to CWE-516"), index.position("CWE-516"))
['CWE-516 is deprecated in CWE, and CWE-385 Covert Timing Channel stands in its place.']
>>> gone(understand(index, "severity of CAPEC-570"))
'CAPEC-570 is deprecated in CAPEC, and nothing stands in its place'

What stands in whose place is in aliases.toml: CWE and CAPEC say it in their descriptions alone.
"""

from __future__ import annotations

from cybersecqwen.embedded import facts
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.question import Question


def status(question: Question, position: int) -> list[str]:
    """Say whether an entry is in force, retired, or has replaced the id by which it is named."""
    index, entry = question.index, question.index.entries[position]
    if entry.kind in PROPER:
        return []  # that a group is still around is another matter
    label, base = index.label(position), facts.base(entry.entry_id)
    said = next((s.said for s in question.subjects if position in s.positions), "").upper()
    if said in entry.aliases and facts.is_former_id(said):
        return [f"{said} was replaced by {label}.", *facts.summary(index, position)[:1]]
    if said != entry.entry_id and said in facts.replaced():
        return facts.summary(index, position)[:1]  # that it is retired is said anyway
    status = [index.label(target) for target in index.related(position, "status")]
    gone = [word.lower() for word in status if word in ("Deprecated", "Obsolete")]
    if gone:
        plain = f"{label} is {gone[0]} in {base}, and is not to be used any more."
        return facts.replacement(index, entry.entry_id) or [plain]
    draft = f", with the status {status[0]}" if status else ""
    return [f"{label} is in force in {base}{draft}: it is not deprecated."]


def gone(question: Question) -> str:
    """Say that an id which a question names is retired, and nothing stands in its place; or ""."""
    ids = [token.text.upper() for token in question.cut]
    retired = [i for i in ids if i in facts.replaced() and question.index.position(i) is None]
    if not retired or question.subjects:
        return ""
    return " ".join(facts.replacement(question.index, retired[0])).rstrip(".")


def told_instead(question: Question) -> list[str]:
    """Say which ids of a question are retired, and which entries the answer is about instead."""
    index = question.index
    entries = {s.said.upper(): index.entries[s.positions[0]].entry_id for s in question.subjects}
    ids = dict.fromkeys((*entries, *(token.text.upper() for token in question.cut)))
    return [
        text for old in ids if entries.get(old) != old for text in facts.replacement(index, old)
    ]
