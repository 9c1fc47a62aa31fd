"""Argue for a CWE from the text itself, in the model card's answer form.

The corpus writes the completions to learn with it and the embedded model its answers: what
the text says, where it lies, how it is reached and what it leads to, and last the bare id.

>>> weakness = Weakness("CWE-79", "Cross-site Scripting", "weakness")
>>> print(rationale("A script flaw in Foo.", weakness, "script"))
The description reports "script flaw in Foo". This corresponds to CWE-79, Cross-site Scripting.
<BLANKLINE>
CWE-79
"""

from __future__ import annotations

import re

from cybersecqwen.records import Weakness

# Words that tell nothing about a weakness, wherever they stand.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    a an and any are as at be been before by can could due earlier for from has have in into is
    it its may might not of on or other prior some such than that the then there these this
    through to up used user users using version versions via was were when where which while
    will with within without allow allows attacker attackers vulnerability vulnerabilities issue
    issues affected affects product exists
    """,
    )
)

_WHERE = re.compile(
    r"\b(?:in|of) (?:the )?((?:`[^`]{2,60}`|[\w.:/$-]{2,60}(?:\(\))?) "
    r"(?:function|method|component|module|plugin|parameter|endpoint|driver|handler|library|page|"
    r"subsystem|parser|interface|service|script|field))\b"
    r"|\bin ((?:[\w-]+/)*[\w-]+\.(?:c|cc|cpp|h|go|php|py|js|java|rb|asp|aspx|jsp|cgi|so|dll|sys))\b"
)
_VIA = re.compile(r"\bvia ((?:a |an |the )?[^,.;()]{3,70})")
_IMPACT = re.compile(
    r"\b((?:allow(?:s|ed|ing)?|enabl(?:es|ed|ing)|could|can be|may|might|lead(?:s|ing)? to|"
    r"result(?:s|ed|ing)? in|caus(?:es|ed|ing)|lets) "
    r"[^.;]{0,80}?\b(?:execut|obtain|gain|caus|bypass|read|writ|inject|disclos|escalat|access|"
    r"crash|overwrit|modif|delet|upload|hijack|impersonat|steal|perform|trigger|conduct|denial|"
    r"arbitrary code|information|privilege)(?:[^.;]|\.(?=\S)){2,90})(?=[\s.;]|$)"
)


def rationale(
    description: str, weakness: Weakness, quote: str, *, better: Weakness | None = None
) -> str:
    """Write an answer whose last line is the CWE id alone.

    `quote` is the part of the description that speaks for the weakness; where it is "", the
    opening words are quoted. `better` is the neighbour to name where MITRE does not want the
    weakness mapped to.
    """
    sentences = [_evidence(description, quote)]
    impact = _first(_IMPACT, description)
    if impact:
        sentences.append(f'The stated consequence: "{impact.rstrip(",")}".')
    sentences.append(f"This corresponds to {weakness.cwe_id}, {weakness.name}.")
    if better:
        sentences.append(f"MITRE advises against this entry; {better.cwe_id}, {better.name}, fits")
        sentences.append("better where it applies.")
    elif weakness.usage == "Discouraged":
        sentences.append("The entry is broad: MITRE prefers a more specific one where it fits.")
    return f"{' '.join(sentences)}\n\n{weakness.cwe_id}"


def _evidence(description: str, quote: str) -> str:
    """Say what in the text points to the weakness, where it lies and how it is reached."""
    quote = _widen(description, quote)
    # Without a telling phrase the opening words of the record are the evidence there is.
    quote = quote or " ".join(description.split(None, 10)[:10]).rstrip(".,;:")
    where, via = _first(_WHERE, description), _first(_VIA, description)
    sentence = f'The description reports "{quote}"'
    if where and where.lower() not in quote.lower():
        sentence += f" in {where}"
    if via and via.lower() not in quote.lower():
        sentence += f", reached via {via}"
    return f"{sentence}."


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return " ".join(next(filter(None, match.groups())).split()) if match else ""


# Up to three words and their spaces, right before a place or right after one.
_BEFORE = re.compile(r"(?:[\w/'-]+ ){0,3}\Z")
_AFTER = re.compile(r"(?: [\w/'-]+){0,3}")
_REACH = 200  # characters in which the three words before are looked for


def _widen(description: str, phrase: str) -> str:
    """Add up to three words on either side of a one-word phrase, within its clause."""
    if not phrase or " " in phrase:
        return phrase
    words = [phrase]
    start = _find_word(description, phrase)
    if start >= 0:
        before = _BEFORE.search(description[max(0, start - _REACH) : start])
        after = _AFTER.match(description, start + len(phrase))
        words = [
            *(before.group().split() if before else ()),
            phrase,
            *(after.group().split() if after else ()),
        ]
    while words and (words[0].lower() in STOP_WORDS or words[0].isdigit()):
        words = words[1:]
    while words and words[-1].lower() in STOP_WORDS:
        words = words[:-1]
    return " ".join(words) or phrase


def _find_word(text: str, word: str) -> int:
    r"""Find a word between \b borders, -1 where there is none; one regex a word costs too much."""
    start = text.find(word)
    while start >= 0 and not (_border(text, start) and _border(text, start + len(word))):
        start = text.find(word, start + 1)
    return start


def _border(text: str, at: int) -> bool:
    before = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
    after = at < len(text) and (text[at].isalnum() or text[at] == "_")
    return before != after
