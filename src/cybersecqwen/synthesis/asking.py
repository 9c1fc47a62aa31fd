"""What every question about a CVE record draws on: the records, the catalogue, and one random
generator.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cybersecqwen.corpus.rationale import Phrases
from cybersecqwen.records import Weakness
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.record_facts import RecordFacts
from cybersecqwen.synthesis.wording import framed, say

_COMMON = 60  # weaknesses that wrong options are drawn from, the most frequent of the cohort
_DRAWN = 12  # names that are looked at for three which a text does not hold


@dataclass(frozen=True)
class QuestionWriter:
    """Puts questions about records, in drawn words and with options drawn from other records."""

    records: Sequence[RecordFacts]
    base: FactBase
    catalogue: Mapping[str, Weakness]
    rng: random.Random

    def say(self, wordings: Sequence[str], **values: str) -> str:
        """Fill one of the wordings."""
        return say(self.rng, wordings, **values)

    def open(self, record: RecordFacts, asks: Sequence[str], **values: str) -> str:
        """Put an open question beside the description."""
        return self._framed(record, self.say(asks, **values), inline=False)

    def choice(self, record: RecordFacts, asks: Sequence[str], **values: str) -> str:
        """Put a multiple choice behind or before the description, in one line."""
        return self._framed(record, self.say(asks, **values), inline=True)

    def _framed(self, record: RecordFacts, ask: str, *, inline: bool) -> str:
        return framed(self.rng, ask, record.text, record.cve_id, inline=inline)

    def absent(self, record: RecordFacts, names: Sequence[str]) -> list[str]:
        """Draw up to three names that a description does not hold."""
        text = record.text.casefold()
        drawn = self.rng.sample(names, min(_DRAWN, len(names)))
        return [name for name in drawn if name.casefold() not in text][:3]

    @cached_property
    def _labelled(self) -> list[tuple[str, str]]:
        return [(record.text, record.cwe) for record in self.records if record.cwe]

    @cached_property
    def phrases(self) -> Phrases:
        """The words that speak for each weakness, learned from these records."""
        return Phrases.learn(self._labelled, self.catalogue) if self._labelled else Phrases({})

    @cached_property
    def common(self) -> list[str]:
        """The most frequent weaknesses of these records."""
        return [cwe for cwe, _ in Counter(cwe for _, cwe in self._labelled).most_common(_COMMON)]

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """The names of parts by what they are: functions, files, parameters."""
        found: dict[str, set[str]] = defaultdict(set)
        for record in self.records:
            if record.component:
                found[record.component.noun].add(record.component.name)
        return {noun: sorted(names) for noun, names in found.items()}

    @cached_property
    def products(self) -> list[str]:
        """The products that these records name."""
        return sorted({record.fix.product for record in self.records if record.fix})
