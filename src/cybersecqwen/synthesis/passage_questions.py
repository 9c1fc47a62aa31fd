"""Questions about what a feed's passages say: what an entry is, and how a weakness is mitigated.

    makers = passage_drafts(base, random.Random(42))
    next(makers["mitigation", "measure", True]())

The index that ships holds no text, so these need the feeds themselves. Execution flows and
examples are not asked about: they tell how to attack.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cybersecqwen.records import Fact
from cybersecqwen.synthesis.distractors import Distractors
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.pair import Draft, Maker, Makers
from cybersecqwen.synthesis.wording import load_templates, say

_WORDS = load_templates("passages.toml")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")
_PHASE = re.compile(r"^(?:[A-Z][\w ,/-]{3,60}): (?=[A-Z])")
_WHOLE = re.compile(r"^(?!.*\[REF-).*\.$")  # ends, and sends nobody to a reference
_SHORTEST, _LONGEST = 7, 45  # words of a sentence that stands for a passage
_DEFINED = ("technique", "weakness", "attack pattern", "mitigation")
_KINDS = {"weakness": "weakness", "mitigation": "mitigation"}  # of pairs, by kind of entry


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage of an entry, and the sentence of it that is asked about."""

    entry_id: str
    kind: str  # of the entry
    section: str
    sentence: str
    text: str


def passage_drafts(base: FactBase, rng: random.Random) -> Makers:
    """Make drafts by kind, topic and whether they are multiple choices."""
    definitions = _passages(base, "description", _DEFINED, named=False)
    measures = _passages(base, "mitigation", ("weakness", "attack pattern"), named=True)
    writer = _PassageWriter(base, rng)

    def over(
        write: Callable[[_Passage, Sequence[_Passage]], Draft | None],
        passages: Sequence[_Passage],
        *kinds: str,
    ) -> Maker:
        fitting = [one for one in passages if one.kind in kinds]

        def drafts() -> Iterator[Draft]:
            drawn = rng.sample(fitting, len(fitting))
            return (draft for one in drawn if (draft := write(one, passages)))

        return drafts

    def what(one: _Passage, _: Sequence[_Passage]) -> Draft:
        """Ask for the definition of an entry, or a measure; the answer is the passage's own."""
        topic = "measure" if one.section == "mitigation" else "definition"
        return writer.draft(one, topic, "open")

    which = writer.definition_choice
    techniques = ("technique", "attack pattern")
    return {
        ("technique", "definition", True): over(which, definitions, *techniques),
        ("technique", "definition", False): over(what, definitions, *techniques),
        ("weakness", "definition", True): over(which, definitions, "weakness"),
        ("weakness", "definition", False): over(what, definitions, "weakness"),
        ("mitigation", "definition", True): over(which, definitions, "mitigation"),
        ("mitigation", "measure", True): over(writer.measure_choice, measures, *_DEFINED),
        ("mitigation", "measure", False): over(what, measures, *_DEFINED),
    }


def _passages(
    base: FactBase, section: str, kinds: tuple[str, ...], *, named: bool
) -> list[_Passage]:
    """Take the first sentence of each passage; a definition must not name its own entry."""
    passages = []
    for entry_id in base.of_kind(*kinds):
        entry = base.entries[entry_id]
        texts = base.passages.get((entry_id, section), ())
        for text in texts if named else texts[:1]:
            sentence = _SENTENCE.split(_PHASE.sub("", text))[0]
            fits = _SHORTEST <= len(sentence.split()) <= _LONGEST and _WHOLE.search(sentence)
            if fits and (named or entry.name.casefold() not in sentence.casefold()):
                passages.append(_Passage(entry_id, entry.kind, section, sentence, text))
    return passages


@dataclass(frozen=True)
class _PassageWriter:
    base: FactBase
    rng: random.Random

    @cached_property
    def _entries(self) -> Distractors:
        return Distractors(self.rng)

    @cached_property
    def _measures(self) -> Distractors:
        return Distractors(self.rng)

    def definition_choice(self, one: _Passage, others: Sequence[_Passage]) -> Draft | None:
        """Ask which entry a sentence defines; wrong options are of its kind, neighbours first."""
        base, right = self.base, one.entry_id
        kin, places = base.kin(right), {*base.places(right)}
        taken = base.label(right).casefold()
        wrong = [
            other.entry_id
            for other in others
            if other.kind == one.kind
            and other.entry_id not in kin
            and base.label(other.entry_id).casefold() != taken
        ]
        label = base.label if self.rng.random() < 0.5 else base.name
        draft = self.draft(one, "definition", "choice")
        drawn = self._entries.draw(
            draft.question,
            right,
            wrong,
            label,
            near=lambda entry_id: bool(places & {*base.places(entry_id)}),
        )
        options = tuple(map(label, (right, *drawn)))
        return replace(draft, support=options[:1], options=options) if drawn else None

    def measure_choice(self, one: _Passage, others: Sequence[_Passage]) -> Draft | None:
        """Ask which measure is listed; a wrong one is of an entry that is no kin, and unlisted."""
        kin, texts = self.base.kin(one.entry_id), self.base.passages
        listed = {
            _SENTENCE.split(text)[0]
            for entry_id in kin
            for text in texts.get((entry_id, "mitigation"), ())
        }
        unlisted = [
            other.sentence
            for other in others
            if other.entry_id not in kin and not any(other.sentence in text for text in listed)
        ]
        draft = self.draft(one, "measure", "choice")
        wrong = self._measures.draw(draft.question, one.sentence, unlisted)
        return replace(draft, options=(one.sentence, *wrong)) if wrong else None

    def draft(self, one: _Passage, topic: str, style: str) -> Draft:
        """Write a question about a passage; of a multiple choice the options are still missing."""
        words, rng, name = _WORDS[topic][style], self.rng, self.base.name(one.entry_id)
        question = say(rng, words["question"], name=name, kind=one.kind, text=one.sentence)
        return Draft(
            kind=_KINDS.get(one.kind, "technique") if topic == "definition" else "mitigation",
            topic=topic,
            subject=one.entry_id,
            question=question,
            answer=say(rng, words["answer"], name=name, text=one.sentence),
            grounding=(self.base.quote(one.entry_id, one.section, one.text),),
            support=(one.sentence,),
            facts=(Fact(one.entry_id, one.section, one.sentence),),
        )
