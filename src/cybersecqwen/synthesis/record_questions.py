"""Questions about CVE records: the weakness, and what the description states of effect and fix.

    makers = record_drafts(QuestionWriter(records, base, catalogue, random.Random(42)))
    next(makers["consequence", "effect", False]())     # an open question, answered by the text

An answer says no more than the description does; a wrong option is one that it does not name. A
label is asked about only where words of the description speak for it to a reader too; a wrong
weakness is no relative of it in the catalogue, and nothing in the text speaks for it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cybersecqwen.corpus.phrases import Phrases
from cybersecqwen.cwe.cause import argue, cause
from cybersecqwen.cwe.rationale import stems
from cybersecqwen.records import Weakness
from cybersecqwen.synthesis.cvss import metric_lines, read_vector
from cybersecqwen.synthesis.distractors import Distractors
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.pair import Draft, Maker, Makers
from cybersecqwen.synthesis.record_facts import EFFECTS, RecordFacts, effects
from cybersecqwen.synthesis.wording import framed, load_templates, say

_WORDS = load_templates("records.toml")
_COMMON = 60  # weaknesses that wrong options are drawn from, the most frequent of the cohort
_TELLING = 5  # phrases that speak for a weakness without sharing a word with its name
_SPEAKING = 15  # phrases by which a wrong weakness might be meant after all
_PARTS = re.compile(r"\w+")
_BROAD = ("Discouraged", "Prohibited")
_RELATED = ("part of", "peer", "can precede", "requires", "starts with")


@dataclass(frozen=True)
class QuestionWriter:
    """Writes questions about records, in drawn words and with options drawn from other records."""

    records: Sequence[RecordFacts]
    base: FactBase
    catalogue: Mapping[str, Weakness]
    rng: random.Random

    def question(self, record: RecordFacts, topic: str, choice: bool, **values: str) -> str:
        """Put a question of a topic, open or a multiple choice, beside the description."""
        ask = say(self.rng, _WORDS[topic][_form(choice)]["question"], **values)
        return framed(self.rng, ask, record.text, record.cve_id, inline=choice)

    def answer(self, topic: str, choice: bool, **values: str) -> str:
        """Answer a question of a topic."""
        return say(self.rng, _WORDS[topic][_form(choice)]["answer"], **values)

    def draft(
        self, record: RecordFacts, topic: str, choice: bool, *support: str, **values: str
    ) -> Draft:
        """Write a question with its answer; of a multiple choice the options are still missing."""
        return Draft(
            kind=_KINDS[topic],
            topic=topic,
            subject=record.cve_id,
            question=self.question(record, topic, choice, **values),
            answer=self.answer(topic, choice, **values),
            grounding=record.grounding(),
            support=support,
        )

    def with_options(self, draft: Draft, right: str, wrong: Iterable[str]) -> Draft | None:
        """Give a draft the right option and three of the wrong ones; None where guessing helps."""
        drawn = self._distractors[draft.topic].draw(draft.question, right, wrong)
        return replace(draft, options=(right, *drawn)) if drawn else None

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
    def _distractors(self) -> dict[str, Distractors]:
        return {topic: Distractors(self.rng) for _, topic, _ in TOPICS}


def _form(choice: bool) -> str:
    return "choice" if choice else "open"


def weakness(record: RecordFacts, writer: QuestionWriter, choice: bool) -> Draft | None:
    """Ask which weakness a description shows, and why; or which of four."""
    quote, of = _quote(record, writer), record.weakness
    if not quote or of is None:
        return None
    topic = "weakness of a record"
    if choice:
        if of.usage in _BROAD:
            return None  # a broad entry is not the best of four
        right = f"{of.cwe_id} {of.name}"
        draft = writer.draft(record, topic, choice, right, quote, quote=quote, right=right)
        draft = replace(draft, grounding=(*draft.grounding, record.label()))
        return writer.with_options(draft, right, _other_weaknesses(record, writer))
    answer = writer.answer(topic, choice, quote=quote, cwe=of.cwe_id, name=of.name)
    if of.usage == "Discouraged":
        answer += say(writer.rng, _WORDS[topic]["open"]["discouraged"])
    return Draft(
        kind="weakness",
        topic=topic,
        subject=record.cve_id,
        question=writer.question(record, topic, choice),
        answer=answer,
        grounding=(*record.grounding(), record.label()),
        support=(quote, of.cwe_id),
    )


def label(record: RecordFacts, writer: QuestionWriter, _choice: bool) -> Draft | None:
    """Ask in CTI-RCM's own words, with the bare CWE id on the last line."""
    quote = _quote(record, writer)
    if not quote or record.weakness is None:
        return None
    answer, _, last = argue(record.text, record.weakness).rpartition("\n\n")
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


def effect(record: RecordFacts, writer: QuestionWriter, choice: bool) -> Draft | None:
    """Ask what an attacker can achieve, which a sentence of the text says; or which of four."""
    if not record.effect:
        return None
    name, sentence = record.effect.name, record.effect.sentence.rstrip(".")
    values = {"name": name, "Name": _capitalised(name), "sentence": sentence}
    draft = writer.draft(record, "effect", choice, sentence, **values)
    if not choice:
        return draft
    others = map(_capitalised, sorted(EFFECTS.keys() - effects(record.text)))
    return writer.with_options(draft, _capitalised(name), others)


def fix(record: RecordFacts, writer: QuestionWriter, choice: bool) -> Draft | None:
    """Ask which version remedies it, the one named as the limit."""
    if not record.fix:
        return None
    return writer.draft(record, "fix", choice, *record.fix, **record.fix._asdict())


def vector(record: RecordFacts, _writer: QuestionWriter, _choice: bool) -> Draft | None:
    """Ask in CTI-VSP's own words, with the vector on the last line."""
    reading = read_vector(record.vulnerability.cvss3_vector or "")
    if reading is None or reading.score == "0.0":
        return None
    return Draft(
        kind="cvss",
        topic="vector",
        subject=record.cve_id,
        question=record.text,
        answer="\n".join(metric_lines(reading, score=True)),
        grounding=(*record.grounding(), reading.grounding()),
        support=(reading.vector, reading.score, reading.severity),
        form="vector",
        last=reading.vector,
    )


def component(record: RecordFacts, writer: QuestionWriter, choice: bool) -> Draft | None:
    """Ask for the part that a description names."""
    if not record.component:
        return None
    noun, name = record.component
    return writer.draft(record, "component", choice, name, noun=noun, name=name)


def product(record: RecordFacts, writer: QuestionWriter, choice: bool) -> Draft | None:
    """Ask which product is affected, and up to where."""
    if not record.fix:
        return None
    return writer.draft(record, "product", choice, *record.fix, **record.fix._asdict())


Topic = Callable[[RecordFacts, QuestionWriter, bool], Draft | None]

# By kind, topic, and whether it gives options; each writes both forms that stand here.
TOPICS: dict[tuple[str, str, bool], Topic] = {
    ("weakness", "weakness of a record", True): weakness,
    ("weakness", "weakness of a record", False): weakness,
    ("weakness", "label", False): label,
    ("consequence", "effect", True): effect,
    ("consequence", "effect", False): effect,
    ("mitigation", "fix", False): fix,
    ("cvss", "vector", False): vector,
    ("component", "component", False): component,
    ("component", "product", False): product,
}
# Turns that a topic has before another of its kind comes: records carry more of the pairs.
TURNS = {"weakness of a record": 3, "effect": 4, "fix": 2}
_KINDS = {topic: kind for kind, topic, _ in TOPICS}


def record_drafts(writer: QuestionWriter) -> Makers:
    """Make drafts of each topic, over all records in a drawn order."""

    def over(topic: Topic, choice: bool) -> Maker:
        def drafts() -> Iterator[Draft]:
            drawn = writer.rng.sample(writer.records, len(writer.records))
            return (draft for record in drawn if (draft := topic(record, writer, choice)))

        return drafts

    return {key: over(topic, key[2]) for key, topic in TOPICS.items()}


def _quote(record: RecordFacts, writer: QuestionWriter) -> str:
    """Find words that say which weakness it is to a reader too; "" where none do."""
    if record.weakness is None:
        return ""
    name = record.weakness.name
    told = cause(record.text, name)
    if len(_PARTS.findall(told)) > 1 and stems(told) & stems(name):
        return told
    quote = writer.phrases.quote(record.text, record.cwe)
    plain = quote.isupper() or len(_PARTS.findall(quote)) > 1
    telling = writer.phrases.ranked.get(record.cwe, ())[:_TELLING]
    # What follows from a weakness does not say which it is.
    says = stems(quote) & stems(name) or (quote.lower() in telling and not effects(quote))
    return quote if plain and says else ""


def _other_weaknesses(record: RecordFacts, writer: QuestionWriter) -> Iterator[str]:
    """Yield weaknesses that are no relatives of the label, and that the text does not speak for."""
    base, cwe = writer.base, record.cwe
    if cwe not in base.entries:
        return
    related = base.kin(cwe)
    for relation in _RELATED:
        related |= {*base.related(cwe, relation), *base.related(cwe, relation, inverse=True)}
    text = record.text.lower()
    for one in writer.common:
        of = writer.catalogue[one]
        # A broad entry may hold the right one.
        if one not in related and of.usage not in _BROAD and not _speaks(one, text, writer):
            yield f"{one} {of.name}"


def _speaks(cwe: str, text: str, writer: QuestionWriter) -> bool:
    """Tell whether one of the most telling phrases of a weakness stands in a text."""
    return any(phrase in text for phrase in writer.phrases.ranked.get(cwe, ())[:_SPEAKING])


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
