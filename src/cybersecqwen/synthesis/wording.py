"""Put a question into one of several wordings, so that no template stands for thousands of pairs.

>>> say(random.Random(1), ("Which tactic is {it}?", "What does {it} serve?"), it="T1055")
'Which tactic is T1055?'
"""

from __future__ import annotations

import random
from collections.abc import Sequence

# Before a question about knowledge: who asks, or what for. Most questions come without.
_LEADS = (
    "For a detection engineering review: ",
    "While writing up an incident, an analyst asks: ",
    "From a threat model: ",
    "A SOC playbook needs an answer to this. ",
    "For the weekly threat briefing: ",
    "During tabletop preparation this came up: ",
    "As part of a gap assessment: ",
    "A junior analyst would like to know: ",
    "For the risk register: ",
    "Before the control review: ",
)
_LED = 0.3  # share of the questions with a lead

# A question beside the description it is about, on lines of their own and in one.
_FRAMES = (
    "{ask}\n\nCVE description: {text}",
    "{text}\n\n{ask}",
    "Vulnerability description:\n{text}\n\n{ask}",
    "{ask}\n\n{text}",
    "Read this advisory and answer the question.\n\n{text}\n\n{ask}",
    "Triage note: {text}\n\nQuestion: {ask}",
    "{cve_id} is described as follows. {text}\n\n{ask}",
    "A scanner reports {cve_id}: {text}\n\n{ask}",
    "Ticket: {cve_id}\nDescription: {text}\nTask: {ask}",
    "{ask} The record of {cve_id} reads: {text}",
)
_INLINE = (
    "{ask} Description: {text}",
    "{text} {ask}",
    "A CVE record reads: {text} {ask}",
    "Consider {cve_id}: {text} {ask}",
    "Given this vulnerability: {text} {ask}",
    "{ask} The record reads: {text}",
    "During triage, an analyst reads: {text} {ask}",
    "An advisory states: {text} {ask}",
)


def say(rng: random.Random, wordings: Sequence[str], **values: str) -> str:
    """Fill one of the wordings, drawn at random."""
    return rng.choice(wordings).format(**values)


def lead(rng: random.Random, question: str) -> str:
    """Put who asks before some of the questions."""
    return f"{rng.choice(_LEADS)}{question}" if rng.random() < _LED else question


def framed(rng: random.Random, ask: str, text: str, cve_id: str, *, inline: bool) -> str:
    """Put a question beside the description that it is about."""
    frame = rng.choice(_INLINE if inline else _FRAMES)
    return frame.format(
        ask=ask, text=text if text.endswith((".", "!")) else f"{text}.", cve_id=cve_id
    )


def listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence.

    >>> listed(["A", "B", "C"])
    'A, B and C'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
