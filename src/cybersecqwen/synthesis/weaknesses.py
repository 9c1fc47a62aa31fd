"""Questions about the weakness of a CVE record: which it is, and what in the text says so.

A label is asked about only where words of the description speak for it to a reader too. A wrong
option is no relative of it in the catalogue, and nothing in the text speaks for it.
"""

from __future__ import annotations

import re

from cybersecqwen.rationale import STOP_WORDS, rationale
from cybersecqwen.synthesis.asking import QuestionWriter
from cybersecqwen.synthesis.pair import Draft
from cybersecqwen.synthesis.record_facts import RecordFacts

_TELLING = 5  # phrases that speak for a weakness without sharing a word with its name
_SPEAKING = 15  # phrases by which a wrong weakness might be meant after all
_NEAR = 2  # of the three wrong weaknesses
_PARTS = re.compile(r"\w+")
_BROAD = ("Discouraged", "Prohibited")
_RELATED = ("part of", "peer", "can precede", "requires", "starts with")


def weakness(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which weakness a description shows, and why."""
    quote, of = _quote(record, asking), record.weakness
    if not quote or of is None:
        return None
    answer = asking.say(_ANSWERS, quote=quote, cwe=of.cwe_id, name=of.name)
    if of.usage == "Discouraged":
        answer += " MITRE marks the entry Discouraged for mapping: it is broad."
    return Draft(
        kind="weakness",
        topic="weakness of a record",
        subject=record.cve_id,
        question=asking.open(record, _ASKS),
        answer=answer,
        grounding=(*record.grounding(), record.label()),
        support=(quote, of.cwe_id),
    )


def weakness_choice(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which of four weaknesses a description shows."""
    quote, of = _quote(record, asking), record.weakness
    if not quote or of is None or of.usage in _BROAD:
        return None  # a broad entry is not the best of four
    wrong = _others(record, asking)
    if len(wrong) < 3:
        return None
    right = f"{of.cwe_id} {of.name}"
    return Draft(
        kind="weakness",
        topic="weakness of a record",
        subject=record.cve_id,
        question=asking.choice(record, _CHOICES),
        answer=asking.say(_REASONS, quote=quote, right=right),
        grounding=(*record.grounding(), record.label()),
        support=(right, quote),
        options=(right, *wrong),
    )


def label(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask in CTI-RCM's own words, with the bare CWE id on the last line."""
    quote = _quote(record, asking)
    if not quote or record.weakness is None:
        return None
    answer, _, last = rationale(record.text, record.weakness, quote).rpartition("\n\n")
    return Draft(
        kind="weakness",
        topic="label",
        subject=record.cve_id,
        question=record.text,
        answer=answer,
        grounding=(*record.grounding(), record.label()),
        support=(quote, last),
        form="cwe",
        last=last,
    )


def _quote(record: RecordFacts, asking: QuestionWriter) -> str:
    """Find words that say which weakness it is to a reader too; "" where none do."""
    if record.weakness is None:
        return ""
    quote = asking.phrases.quote(record.text, record.cwe)
    plain = quote.isupper() or len(_PARTS.findall(quote)) > 1
    named = _stems(quote) & _stems(record.weakness.name)
    telling = asking.phrases.ranked.get(record.cwe, ())[:_TELLING]
    return quote if plain and (named or quote.lower() in telling) else ""


def _others(record: RecordFacts, asking: QuestionWriter) -> list[str]:
    """Draw weaknesses that are not related to the label, two of them from its neighbourhood."""
    base, cwe, rng = asking.base, record.cwe, asking.rng
    if cwe not in base.entries:
        return []
    related = base.kin(cwe)
    for relation in _RELATED:
        related |= {*base.targets.get((cwe, relation), ())}
        related |= {*base.subjects.get((relation, cwe), ())}
    text = record.text.lower()
    fitting = [
        one
        for one in asking.common
        # A broad entry may hold the right one.
        if one not in related
        and asking.catalogue[one].usage not in _BROAD
        and not _speaks(one, text, asking)
    ]
    near = [one for one in fitting if _above(one, asking) & _above(cwe, asking)]
    drawn = rng.sample(near, min(_NEAR, len(near))) + rng.sample(fitting, min(4, len(fitting)))
    return [f"{one} {asking.catalogue[one].name}" for one in dict.fromkeys(drawn)][:3]


def _speaks(cwe: str, text: str, asking: QuestionWriter) -> bool:
    """Tell whether one of the most telling phrases of a weakness stands in a text."""
    return any(phrase in text for phrase in asking.phrases.ranked.get(cwe, ())[:_SPEAKING])


def _above(cwe: str, asking: QuestionWriter) -> set[str]:
    """Collect what a weakness is part of, two steps up, but for pillars, which hold everything."""
    found: set[str] = set()
    level = {cwe}
    for _ in range(2):
        level = {p for one in level for p in asking.base.targets.get((one, "part of"), ())}
        found |= level
    entries = (asking.catalogue[one] for one in found if one in asking.catalogue)
    return {e.cwe_id for e in entries if e.kind == "weakness" and e.abstraction != "Pillar"}


def _stems(text: str) -> set[str]:
    return {w[:5] for w in _PARTS.findall(text.lower()) if w not in STOP_WORDS}


_ASKS = (
    "Which weakness does this show, and what in the text says so?",
    "What is the root cause, as a CWE entry? Point to the evidence.",
    "Name the CWE behind this vulnerability and quote what speaks for it.",
    "Classify the flaw and say why.",
    "Which CWE should the ticket carry? Justify it from the description.",
    "What kind of programming error lies behind this?",
    "Why was this record mapped to its CWE, and to which one?",
)
_ANSWERS = (
    'The words "{quote}" point to {cwe}, {name}.',
    '{cwe}, {name}: the description speaks of "{quote}".',
    'The text reports "{quote}". That is {name}, {cwe}.',
    'The root cause is {name} ({cwe}); the evidence is "{quote}".',
    'It should carry {cwe} ({name}), because it says "{quote}".',
)
_CHOICES = (
    "Which weakness lies behind this?",
    "Which CWE entry fits this vulnerability best?",
    "What is the root cause of this vulnerability?",
    "To which of these weaknesses should the record be mapped?",
    "Which of the following describes the flaw?",
    "Which weakness class should triage assign?",
)
_REASONS = (
    'The description says "{quote}", which is {right}.',
    '"{quote}" points to {right}.',
    'What the text calls "{quote}" is {right}.',
    'The evidence is "{quote}": {right}.',
)
