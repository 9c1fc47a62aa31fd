"""The CVE records that are asked about: one of each text, with a label only where it is certain.

records = collect_records(vulnerabilities, recipe.corpus, catalogue, held_out=frozenset())
records[0].text, records[0].cwe, records[0].fix
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from cybersecqwen.config import Corpus
from cybersecqwen.contamination import normalised
from cybersecqwen.corpus.cohort import in_cohort, select
from cybersecqwen.records import Dropped, Vulnerability, Weakness
from cybersecqwen.synthesis.extraction import (
    Component,
    Effect,
    Fix,
    component,
    effect,
    fixed_in,
)
from cybersecqwen.synthesis.pair import CVE_TEXT, Grounding

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
        """Give the description, as the record states it."""
        return (Grounding(CVE_TEXT, self.cve_id, self.text),)

    def label(self) -> Grounding:
        """State the label, who gave it, and how MITRE wants the entry used."""
        if self.weakness is None:
            return Grounding("CWE label", self.cve_id, "")
        source, of = self.label_source.upper().replace("_", "-"), self.weakness
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
    by_text: dict[str, list[RecordFacts]] = defaultdict(list)
    for vulnerability in vulnerabilities:
        if not in_cohort(vulnerability, corpus):
            continue
        outcome = select(vulnerability, corpus, catalogue)
        if isinstance(outcome, Dropped) and outcome.reason in _UNFIT:
            continue
        text = " ".join(vulnerability.description.split())
        found = RecordFacts(vulnerability, text)
        if not isinstance(outcome, Dropped) and _labels(vulnerability, catalogue) == {outcome.cwe}:
            found = RecordFacts(vulnerability, text, catalogue[outcome.cwe], outcome.label_source)
        by_text[normalised(text)].append(found)
    firsts = [_first(same) for text, same in by_text.items() if text not in held_out]
    return sorted(firsts, key=lambda record: record.cve_id)


def _labels(vulnerability: Vulnerability, catalogue: Mapping[str, Weakness]) -> set[str]:
    given = {*vulnerability.cwe_nvd, *vulnerability.cwe_cna, *vulnerability.cwe_cisa_adp}
    return {label for label in given if label in catalogue}


def _first(same: list[RecordFacts]) -> RecordFacts:
    first = min(same, key=lambda record: record.cve_id)
    agreed = len({record.cwe for record in same}) == 1
    return first if agreed else RecordFacts(first.vulnerability, first.text)
