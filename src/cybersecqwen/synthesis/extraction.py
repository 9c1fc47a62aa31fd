"""What a description states in so many words: the component, the product, the fix, the effect.

Each pattern takes only what is written plainly; a description in which it is not is left alone.

>>> text = "Foo Server before 2.4.1 allows remote attackers to execute arbitrary code."
>>> fixed_in(text)
Fix(product='Foo Server', version='2.4.1')
>>> effect(text).name
'code execution'
>>> component("SQL injection in the get_user() function of Foo.")
Component(noun='function', name='get_user()')
"""

from __future__ import annotations

import re
from typing import NamedTuple

_QUOTED = r"`([^`]{2,60})`"
_NOUNS = (
    "function|method|parameter|component|module|endpoint|driver|handler|library|page|"
    "subsystem|parser|service|script|field"
)
# A name has to look like one: "the affected component" names nothing.
_CODE = r"([A-Za-z][\w.:/$-]{1,58}(?:\(\))?)"
_COMPONENT = re.compile(rf"\b(?:in|of|via|through) (?:the )?(?:{_QUOTED}|{_CODE}) ({_NOUNS})\b")
_VERB = re.compile(r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS")
_LOOKS_NAMED = re.compile(r"[_\d/:$.()]|[a-z][A-Z]|^[A-Z]{2,}$")
_FILE = re.compile(
    r"\b(?:in|via|through) ((?:[\w-]+/)*[\w-]+"
    r"\.(?:c|cc|cpp|h|go|php|py|js|java|rb|aspx?|jsp|cgi))\b"
    r"(?! (?:before|prior|through|version)| \d)"
)

_LIBRARY = re.compile(r"[A-Z]\w*\.js")  # Node.js is a product

_NAME = r"([A-Z][\w.+/'-]*(?:[ -](?:[A-Z0-9][\w.+/'-]*|for|of|and|de|by|&|-))*?)"
_VERSION = r"([vV]?\d+(?:\.\d+)+(?:[-.]?\w+)*)"
_BEFORE = re.compile(
    rf"(?:^|(?<=[a-z)][.] )|\b(?:in|of|the|In|The) ){_NAME},? ?"
    rf"(plugin |theme |library |module |app |extension )?"
    rf"(?:versions? |v\.?)?(?:before|prior to|earlier than) (?:versions? |v\.?)?{_VERSION}"
)
_LIMIT = re.compile(r"\b(?:before|prior to|earlier than)\b", re.IGNORECASE)
_OPENING = re.compile(r"^(?:The|In|On|An?|All|Some|For|With|Multiple)(?: |$)")
_NO_NAME = re.compile(
    r"[.] |^$| All$|^(?:But|If|When|This|It|Versions?)\b|[.:,]$| Versions?$| v?\d[\w]*\.[\w.]*$"
)
_MID_NAME = ("-", "–", "—", "“", "”", "&")  # before a "The" that goes on with a name
_AND_MORE = re.compile(r"\s*(?:,|/|,? and|,? or|&)\s*(?:in )?(?:versions? |before |v)?\d")


class Component(NamedTuple):
    """A part that a description names, and what kind of part it says it is."""

    noun: str
    name: str


class Fix(NamedTuple):
    """A product, and the version before which it is affected."""

    product: str
    version: str


class Effect(NamedTuple):
    """A class of consequences, and the sentence that states it."""

    name: str
    sentence: str


EFFECTS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "code execution": r"\b(?:execut\w*|run\w*) (?:of )?(?:(?!SQL)\w+ ){0,2}(?:code|commands?)\b"
        r"|\b(?:code|command) execution\b|\bRCE\b",
        "denial of service": r"\bdenial[- ]of[- ]services?\b|\bDoS\b|\bcrash(?:es|ed|ing)?\b"
        r"|\b(?:memory|resource|CPU|stack) (?:consumption|exhaustion)\b|\bunresponsive\b"
        r"|\binfinite loop\b",
        "information disclosure": r"\b(?:information|memory|data) (?:disclosure|leak\w*|exposure)\b"
        r"|\b(?:disclos|leak|expos)\w* (?:of )?(?:\w+ ){0,2}(?:information|data|memory|"
        r"credentials|contents?)\b|\b(?:obtain|read|access|steal)\w* (?:\w+ ){0,2}"
        r"(?:sensitive (?:information|data)|credentials)\b|\bread\w* arbitrary files?\b",
        "privilege escalation": r"\bprivilege escalation\b|\bescalat\w+ (?:of )?(?:\w+ ){0,2}"
        r"privileges?\b|\belevation of privileges?\b|\bgain\w* (?:\w+ ){0,2}(?:privileges?|root)\b",
        "script in a victim's browser": r"\bcross[- ]site scripting\b|\bXSS\b"
        r"|\b(?:inject|execut)\w* (?:\w+ ){0,2}(?:web script|HTML|JavaScript)\b",
        "security bypass": r"\bbypass\w*\b",
        "tampering with files or data": r"\b(?:overwrit|delet|modif|upload|tamper)\w* (?:\w+ ){0,2}"
        r"(?:files?|data|records?|settings?|database)\b"
        r"|\barbitrary file (?:upload|write|deletion|overwrite)\b",
        "manipulation of database queries": r"\bSQL (?:injection|commands?|quer\w+)\b",
        "requests forged in another's name": r"\b(?:cross[- ]site|server[- ]side) request forgery\b"
        r"|\bCSRF\b|\bSSRF\b",
    }.items()
}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"`])")
_DENIED = re.compile(r"\b(?:prevent|avoid|mitigat|block)\w*\b|\b(?:not|no longer|instead of)\b")
_LONGEST = 45  # words of a sentence that is quoted


def component(text: str) -> Component | None:
    """Find the one part that a description names; None where it names none or several."""
    found = {
        Component(noun, quoted or name)
        for quoted, name, noun in _COMPONENT.findall(text)
        if quoted or (_LOOKS_NAMED.search(name) and not _VERB.fullmatch(name))
    }
    files = (name for name in _FILE.findall(text) if not _LIBRARY.fullmatch(name))
    found |= {Component("file", name) for name in files}
    return found.pop() if len(found) == 1 else None


def fixed_in(text: str) -> Fix | None:
    """Find product and version where exactly one "before" limits what is affected."""
    found = _BEFORE.search(text)
    if found is None or len(_LIMIT.findall(text)) != 1:
        return None
    if text[: found.start()].rstrip().endswith(_MID_NAME):
        return None
    if _AND_MORE.match(text, found.end()):
        return None
    name, noun, version = found.groups()
    name = _OPENING.sub("", name)
    if _NO_NAME.search(name):
        return None
    if name.endswith("WordPress") and name != "WordPress" and noun:
        return Fix(f"{name} {noun.strip()}", version)
    return None if noun or not name[:1].isupper() else Fix(name, version)


def effects(text: str) -> set[str]:
    """Name every class of consequences that a description states or hints at."""
    return {name for name, pattern in EFFECTS.items() if pattern.search(text)}


def effect(text: str) -> Effect | None:
    """Find the one class of consequences that a description states, in a sentence to quote."""
    found = effects(text)
    if len(found) != 1:
        return None
    name = found.pop()
    sentence = next(s for s in _SENTENCE.split(text) if EFFECTS[name].search(s))
    told = (
        len(sentence.split()) <= _LONGEST and not _DENIED.search(sentence) and '"' not in sentence
    )
    return Effect(name, sentence) if told else None
