"""The CVE records that are asked about, and what their descriptions state in so many words.

    records = collect_records(vulnerabilities, recipe.corpus, catalogue, held_out=frozenset())
    records[0].text, records[0].cwe, records[0].fix

There is one record of each text, with a label only where it is certain. Each pattern takes only
what is written plainly, and leaves any other description alone.

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cybersecqwen.config import Corpus
from cybersecqwen.corpus.cohort import by_text, select
from cybersecqwen.cwe.label import GIVERS
from cybersecqwen.records import Dropped, Vulnerability, Weakness
from cybersecqwen.synthesis.pair import CVE_TEXT, Grounding
from cybersecqwen.synthesis.wording import read_templates

_UNFIT = {"bad-cve-id", "no-publication-date", "rejected", "no-english-text", "too-short"}


@dataclass(frozen=True)
class RecordFacts:
    """A record to ask about: its text on one line, and its label where it has one to trust."""

    vulnerability: Vulnerability
    text: str
    weakness: Weakness | None = None
    label_source: str = ""

    @property
    def cwe(self) -> str:
        """The id of the label, "" where there is none."""
        return self.weakness.cwe_id if self.weakness else ""

    @property
    def cve_id(self) -> str:
        """The id of the record."""
        return self.vulnerability.cve_id

    def grounding(self) -> tuple[Grounding, ...]:
        """Return the description, as the record states it."""
        return (Grounding(CVE_TEXT, self.cve_id, self.text),)

    def label(self) -> Grounding:
        """State the label, who gave it, and how MITRE wants the entry used."""
        if self.weakness is None:
            return Grounding("CWE label", self.cve_id, "")
        source, of = GIVERS[self.label_source], self.weakness
        about = f"{of.abstraction}, mapping {of.usage}".strip(", ")
        text = f"{self.cve_id}; CWE by {source}: {of.cwe_id} {of.name} ({about})"
        return Grounding("CWE label", self.cve_id, text)

    @cached_property
    def component(self) -> Component | None:
        """The part that the description names."""
        return component(self.text)

    @cached_property
    def fix(self) -> Fix | None:
        """The version before which a product is affected."""
        return fixed_in(self.text)

    @cached_property
    def effect(self) -> Effect | None:
        """The class of consequences that the description states."""
        return effect(self.text)


def collect_records(
    vulnerabilities: Iterable[Vulnerability],
    corpus: Corpus,
    catalogue: Mapping[str, Weakness],
    *,
    held_out: frozenset[str],
) -> list[RecordFacts]:
    """List the cohort's records, one of each text, by CVE id; none whose text is in `held_out`.

    A label counts where no source gives the record, or another of the same text, a further one.
    """
    records = []
    for vulnerability in vulnerabilities:
        outcome = select(vulnerability, corpus, catalogue)
        if outcome is None or (isinstance(outcome, Dropped) and outcome.reason in _UNFIT):
            continue
        text = " ".join(vulnerability.description.split())
        record = RecordFacts(vulnerability, text)
        if not isinstance(outcome, Dropped) and _labels(vulnerability, catalogue) == {outcome.cwe}:
            record = RecordFacts(vulnerability, text, catalogue[outcome.cwe], outcome.label_source)
        records.append(record)
    groups = by_text(records, lambda record: record.text)
    firsts = [_first(same) for text, same in groups.items() if text not in held_out]
    return sorted(firsts, key=lambda record: record.cve_id)


def _labels(vulnerability: Vulnerability, catalogue: Mapping[str, Weakness]) -> set[str]:
    given = {*vulnerability.cwe_nvd, *vulnerability.cwe_cna, *vulnerability.cwe_cisa_adp}
    return {label for label in given if label in catalogue}


def _first(same: list[RecordFacts]) -> RecordFacts:
    first = min(same, key=lambda record: record.cve_id)
    agreed = len({record.cwe for record in same}) == 1
    return first if agreed else RecordFacts(first.vulnerability, first.text)


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
    name: re.compile("|".join(patterns), re.IGNORECASE)
    for name, patterns in read_templates("effects.toml").items()
}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"`])")
_DENIED = re.compile(r"\b(?:prevent|avoid|mitigat|block)\w*\b|\b(?:not|no longer|instead of)\b")
_LONGEST = 45  # words of a sentence that is quoted


def component(text: str) -> Component | None:
    """Find the one part that a description names; None where it names none or several."""
    components = {
        Component(noun, quoted or name)
        for quoted, name, noun in _COMPONENT.findall(text)
        if quoted or (_LOOKS_NAMED.search(name) and not _VERB.fullmatch(name))
    }
    files = (name for name in _FILE.findall(text) if not _LIBRARY.fullmatch(name))
    components |= {Component("file", name) for name in files}
    return components.pop() if len(components) == 1 else None


def fixed_in(text: str) -> Fix | None:
    """Find product and version where exactly one "before" limits what is affected."""
    match = _BEFORE.search(text)
    if match is None or len(_LIMIT.findall(text)) != 1:
        return None
    if text[: match.start()].rstrip().endswith(_MID_NAME):
        return None
    if _AND_MORE.match(text, match.end()):
        return None
    name, noun, version = match.groups()
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
    names = effects(text)
    if len(names) != 1:
        return None
    name = names.pop()
    sentence = next(s for s in _SENTENCE.split(text) if EFFECTS[name].search(s))
    told = (
        len(sentence.split()) <= _LONGEST and not _DENIED.search(sentence) and '"' not in sentence
    )
    return Effect(name, sentence) if told else None
