"""Questions about what a CVE record says: its weakness, its effect, its fix, its component.

    records = reported(vulnerabilities, recipe.corpus, catalogue, held_out=frozenset())
    makers = vulnerability_drafts(records, facts, random.Random(42))
    next(makers["effect", False]())          # an open question, answered by a sentence of the text

An answer says no more than the record and the catalogue do. A wrong option is one that neither
says, and that no word of the description speaks for.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cybersecqwen.config import Corpus
from cybersecqwen.corpus.cohort import in_cohort, select
from cybersecqwen.corpus.contamination import normalised
from cybersecqwen.corpus.rationale import Phrases
from cybersecqwen.corpus.synthesis.facts import FactBase
from cybersecqwen.corpus.synthesis.pair import Draft, Grounding
from cybersecqwen.corpus.synthesis.phrasing import framed, say
from cybersecqwen.corpus.synthesis.stated import (
    EFFECTS,
    Component,
    Effect,
    Fix,
    component,
    effect,
    effects,
    fixed_in,
)
from cybersecqwen.corpus.synthesis.vectors import read_vector
from cybersecqwen.rationale import STOP_WORDS, rationale
from cybersecqwen.records import Dropped, Vulnerability, Weakness

Maker = Callable[[], Iterator[Draft]]

_UNFIT = {"bad-cve-id", "no-publication-date", "rejected", "no-english-text", "too-short"}
_TELLING = 5  # phrases that speak for a weakness without sharing a word with its name
_PARTS = re.compile(r"\w+")
_RELATED = ("part of", "peer", "can precede", "requires", "starts with")


@dataclass(frozen=True)
class Reported:
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
        return (Grounding("CVE description", self.cve_id, self.text),)

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


def reported(
    vulnerabilities: Iterable[Vulnerability],
    corpus: Corpus,
    catalogue: Mapping[str, Weakness],
    *,
    held_out: frozenset[str],
) -> list[Reported]:
    """List the cohort's records, one of each text, by CVE id; none whose text is in `held_out`.

    A label counts where no source gives the record, or another of the same text, a further one.
    """
    by_text: dict[str, list[Reported]] = defaultdict(list)
    for vulnerability in vulnerabilities:
        if not in_cohort(vulnerability, corpus):
            continue
        outcome = select(vulnerability, corpus, catalogue)
        if isinstance(outcome, Dropped) and outcome.reason in _UNFIT:
            continue
        text = " ".join(vulnerability.description.split())
        found = Reported(vulnerability, text)
        if not isinstance(outcome, Dropped) and _labels(vulnerability, catalogue) == {outcome.cwe}:
            found = Reported(vulnerability, text, catalogue[outcome.cwe], outcome.label_source)
        by_text[normalised(text)].append(found)
    firsts = [_first(same) for text, same in by_text.items() if text not in held_out]
    return sorted(firsts, key=lambda record: record.cve_id)


def _labels(vulnerability: Vulnerability, catalogue: Mapping[str, Weakness]) -> set[str]:
    given = {*vulnerability.cwe_nvd, *vulnerability.cwe_cna, *vulnerability.cwe_cisa_adp}
    return {label for label in given if label in catalogue}


def _first(same: list[Reported]) -> Reported:
    first = min(same, key=lambda record: record.cve_id)
    agreed = len({record.cwe for record in same}) == 1
    return first if agreed else Reported(first.vulnerability, first.text)


def vulnerability_drafts(
    records: Sequence[Reported],
    base: FactBase,
    catalogue: Mapping[str, Weakness],
    rng: random.Random,
) -> dict[tuple[str, str, bool], Maker]:
    """Give a maker of drafts by kind, topic and whether it makes multiple choices."""
    asker = _Asker(records, base, catalogue, rng)
    return {
        ("weakness", "weakness of a record", True): asker.over(asker.weakness_choice),
        ("weakness", "weakness of a record", False): asker.over(asker.weakness),
        ("weakness", "label", False): asker.over(asker.label),
        ("consequence", "effect", True): asker.over(asker.effect_choice),
        ("consequence", "effect", False): asker.over(asker.effect),
        ("mitigation", "fix", True): asker.over(asker.fix_choice),
        ("mitigation", "fix", False): asker.over(asker.fix),
        ("cvss", "vector", False): asker.over(asker.vector),
        ("component", "component", True): asker.over(asker.component_choice),
        ("component", "component", False): asker.over(asker.component),
        ("component", "product", True): asker.over(asker.product_choice),
        ("component", "product", False): asker.over(asker.product),
    }


class _Asker:
    """Makes one draft of a record at a time; None where the record does not say enough."""

    def __init__(
        self,
        records: Sequence[Reported],
        base: FactBase,
        catalogue: Mapping[str, Weakness],
        rng: random.Random,
    ) -> None:
        self._records, self._base, self._catalogue, self._rng = records, base, catalogue, rng
        labelled = [(r.text, r.cwe) for r in records if r.cwe]
        self._phrases = Phrases.learn(labelled, catalogue) if labelled else Phrases({})
        self._common = [cwe for cwe, _ in Counter(cwe for _, cwe in labelled).most_common(60)]

    def over(self, make: Callable[[Reported], Draft | None]) -> Maker:
        """Run over all records, in a drawn order."""

        def drafts() -> Iterator[Draft]:
            drawn = self._rng.sample(self._records, len(self._records))
            return (draft for draft in map(make, drawn) if draft)

        return drafts

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """Names of parts by what they are, to draw wrong options from."""
        found: dict[str, set[str]] = defaultdict(set)
        for record in self._records:
            if record.component:
                found[record.component.noun].add(record.component.name)
        return {noun: sorted(names) for noun, names in found.items()}

    @cached_property
    def _products(self) -> list[str]:
        return sorted({record.fix.product for record in self._records if record.fix})

    def _ask(self, record: Reported, asks: Sequence[str], *, inline: bool, **values: str) -> str:
        ask = say(self._rng, asks, **values)
        return framed(self._rng, ask, record.text, record.cve_id, inline=inline)

    def _draft(
        self,
        record: Reported,
        kind: str,
        topic: str,
        *,
        asks: Sequence[str],
        answer: str,
        support: tuple[str, ...],
        options: tuple[str, ...] = (),
        grounding: tuple[Grounding, ...] = (),
        **values: str,
    ) -> Draft:
        return Draft(
            kind=kind,
            topic=topic,
            subject=record.cve_id,
            question=self._ask(record, asks, inline=bool(options), **values),
            answer=answer,
            grounding=(*record.grounding(), *grounding),
            support=support,
            options=options,
        )

    def _quote(self, record: Reported) -> str:
        """Find words that say which weakness it is to a reader too; "" where none do."""
        quote = self._phrases.quote(record.text, record.cwe) if record.cwe else ""
        telling = self._phrases.ranked.get(record.cwe, ())[:_TELLING]
        named = _stems(quote) & _stems(self._catalogue[record.cwe].name) if quote else ()
        plain = quote.isupper() or len(_PARTS.findall(quote)) > 1
        return quote if plain and (named or quote.lower() in telling) else ""

    def weakness(self, record: Reported) -> Draft | None:
        """Ask which weakness a description shows, and why."""
        quote = self._quote(record)
        if not quote:
            return None
        weakness = self._catalogue[record.cwe]
        answer = say(
            self._rng, _WEAKNESS_ANSWERS, quote=quote, cwe=weakness.cwe_id, name=weakness.name
        )
        if weakness.usage == "Discouraged":
            answer += " MITRE marks the entry Discouraged for mapping: it is broad."
        return self._draft(
            record,
            "weakness",
            "weakness of a record",
            asks=_WEAKNESS_ASKS,
            answer=answer,
            support=(quote, weakness.cwe_id),
            grounding=(record.label(),),
        )

    def weakness_choice(self, record: Reported) -> Draft | None:
        """Ask which of four weaknesses a description shows."""
        quote, wrong = self._quote(record), self._other_weaknesses(record)
        if not quote or len(wrong) < 3:
            return None
        weakness = self._catalogue[record.cwe]
        if weakness.usage in ("Discouraged", "Prohibited"):
            return None  # a broad entry is not the best of four
        right = f"{weakness.cwe_id} {weakness.name}"
        return self._draft(
            record,
            "weakness",
            "weakness of a record",
            asks=_WEAKNESS_CHOICES,
            answer=say(self._rng, _WEAKNESS_REASONS, quote=quote, right=right),
            support=(right, quote),
            options=(right, *wrong),
            grounding=(record.label(),),
        )

    def _other_weaknesses(self, record: Reported) -> list[str]:
        """Draw weaknesses that are not the label nor related to it, siblings of it first."""
        base, cwe = self._base, record.cwe
        if cwe not in base.entries:
            return []
        related = base.kin(cwe)
        for relation in _RELATED:
            related |= {*base.targets.get((cwe, relation), ())}
            related |= {*base.subjects.get((relation, cwe), ())}
        parents = base.targets.get((cwe, "part of"), ())
        siblings = {s for p in parents for s in base.subjects.get(("part of", p), ())}
        near = [one for one in self._common if one in siblings]
        drawn = self._rng.sample(near, len(near))[:3]
        drawn += self._rng.sample(self._common, len(self._common))
        wrong: list[str] = []
        for one in dict.fromkeys(drawn):
            if one not in related and not self._phrases.quote(record.text, one):
                wrong.append(f"{one} {self._catalogue[one].name}")
            if len(wrong) == 3:
                break
        return wrong

    def label(self, record: Reported) -> Draft | None:
        """Ask in CTI-RCM's own words, with the bare CWE id on the last line."""
        quote = self._quote(record)
        if not quote:
            return None
        answer = rationale(record.text, self._catalogue[record.cwe], quote)
        answer, _, last = answer.rpartition("\n\n")
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

    def effect(self, record: Reported) -> Draft | None:
        """Ask what an attacker can achieve; the answer is a sentence of the text."""
        if not record.effect:
            return None
        name, sentence = record.effect
        return self._draft(
            record,
            "consequence",
            "effect",
            asks=_EFFECT_ASKS,
            answer=say(
                self._rng,
                _EFFECT_ANSWERS,
                name=name,
                Name=_upper(name),
                sentence=sentence.rstrip("."),
            ),
            support=(sentence.rstrip("."),),
        )

    def effect_choice(self, record: Reported) -> Draft | None:
        """Ask which of four consequences a description states."""
        if not record.effect:
            return None
        name, sentence = record.effect
        others = sorted(EFFECTS.keys() - effects(record.text))
        return self._draft(
            record,
            "consequence",
            "effect",
            asks=_EFFECT_CHOICES,
            answer=say(self._rng, _EFFECT_REASONS, name=name, sentence=sentence.rstrip(".")),
            support=(sentence.rstrip("."),),
            options=tuple(map(_upper, (name, *self._rng.sample(others, 3)))),
        )

    def fix(self, record: Reported) -> Draft | None:
        """Ask which version remedies it: the one that the description names as the limit."""
        if not record.fix:
            return None
        product, version = record.fix
        return self._draft(
            record,
            "mitigation",
            "fix",
            asks=_FIX_ASKS,
            answer=say(self._rng, _FIX_ANSWERS, product=product, version=version),
            support=(product, version),
            product=product,
        )

    def fix_choice(self, record: Reported) -> Draft | None:
        """Ask for the first version that is not affected, among others that are or come later."""
        if not record.fix:
            return None
        product, version = record.fix
        wrong = _other_versions(version)
        if len(wrong) < 3 or any(one in record.text for one in wrong):
            return None
        return self._draft(
            record,
            "mitigation",
            "fix",
            asks=_FIX_CHOICES,
            answer=say(self._rng, _FIX_REASONS, product=product, version=version),
            support=(version, product),
            options=(version, *self._rng.sample(wrong, 3)),
            product=product,
        )

    def vector(self, record: Reported) -> Draft | None:
        """Ask in CTI-VSP's own words, with the vector on the last line."""
        reading = read_vector(record.vulnerability.cvss3_vector or "")
        if reading is None or reading.score == "0.0":
            return None
        values = [f"{reading.called(name)}: {reading.means(name)}" for name, _ in reading.metrics]
        answer = "\n".join(f"- {line}." for line in values)
        return Draft(
            kind="cvss",
            topic="vector",
            subject=record.cve_id,
            question=record.text,
            answer=f"{answer}\nBase score {reading.score}, severity {reading.severity}.",
            grounding=(*record.grounding(), reading.grounding()),
            support=(reading.vector, reading.score, reading.severity),
            form="vector",
            last=reading.vector,
        )

    def component(self, record: Reported) -> Draft | None:
        """Ask for the part that a description names."""
        if not record.component:
            return None
        noun, name = record.component
        return self._draft(
            record,
            "component",
            "component",
            asks=_COMPONENT_ASKS,
            answer=say(self._rng, _COMPONENT_ANSWERS, noun=noun, name=name),
            support=(name,),
            noun=noun,
        )

    def component_choice(self, record: Reported) -> Draft | None:
        """Ask which of four parts a description names, all of one sort."""
        if not record.component:
            return None
        noun, name = record.component
        text = record.text.casefold()
        others = [other for other in self._names[noun] if other.casefold() not in text]
        if len(others) < 3:
            return None
        return self._draft(
            record,
            "component",
            "component",
            asks=_COMPONENT_CHOICES,
            answer=say(self._rng, _COMPONENT_ANSWERS, noun=noun, name=name),
            support=(name,),
            options=(name, *self._rng.sample(others, 3)),
            noun=noun,
        )

    def product(self, record: Reported) -> Draft | None:
        """Ask which product is affected, and up to where."""
        if not record.fix:
            return None
        product, version = record.fix
        return self._draft(
            record,
            "component",
            "product",
            asks=_PRODUCT_ASKS,
            answer=say(self._rng, _PRODUCT_ANSWERS, product=product, version=version),
            support=(product, version),
        )

    def product_choice(self, record: Reported) -> Draft | None:
        """Ask which of four products a description is about."""
        if not record.fix or len(self._products) < 4:
            return None
        product, version = record.fix
        text = record.text.casefold()
        drawn = self._rng.sample(self._products, min(12, len(self._products)))
        others = [other for other in drawn if other.casefold() not in text]
        return self._draft(
            record,
            "component",
            "product",
            asks=_PRODUCT_CHOICES,
            answer=say(self._rng, _PRODUCT_ANSWERS, product=product, version=version),
            support=(product, version),
            options=(product, *others[:3]),
        )


def _stems(text: str) -> set[str]:
    return {w[:5] for w in _PARTS.findall(text.lower()) if w not in STOP_WORDS}


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _other_versions(version: str) -> list[str]:
    """Make versions like this one, earlier and later; none where its last part is no number."""
    head, _, last = version.rpartition(".")
    if not last.isdigit():
        return []
    number = int(last)
    earlier = [f"{head}.{n}" for n in range(max(0, number - 3), number)]
    return [*earlier, *(f"{head}.{n}" for n in range(number + 1, number + 4))]


_WEAKNESS_ASKS = (
    "Which weakness does this show, and what in the text says so?",
    "What is the root cause, as a CWE entry? Point to the evidence.",
    "Name the CWE behind this vulnerability and quote what speaks for it.",
    "Classify the flaw and say why.",
    "Which CWE should the ticket carry? Justify it from the description.",
    "What kind of programming error lies behind this?",
    "Why was this record mapped to its CWE, and to which one?",
)
_WEAKNESS_ANSWERS = (
    'The words "{quote}" point to {cwe}, {name}.',
    '{cwe}, {name}: the description speaks of "{quote}".',
    'The text reports "{quote}". That is {name}, {cwe}.',
    'The root cause is {name} ({cwe}); the evidence is "{quote}".',
    'It should carry {cwe} ({name}), because it says "{quote}".',
)
_WEAKNESS_CHOICES = (
    "Which weakness lies behind this?",
    "Which CWE entry fits this vulnerability best?",
    "What is the root cause of this vulnerability?",
    "To which of these weaknesses should the record be mapped?",
    "Which of the following describes the flaw?",
    "Which weakness class should triage assign?",
)
_WEAKNESS_REASONS = (
    'The description says "{quote}", which is {right}.',
    '"{quote}" points to {right}.',
    'What the text calls "{quote}" is {right}.',
    'The evidence is "{quote}": {right}.',
)
_EFFECT_ASKS = (
    "What can an attacker achieve with this?",
    "What is the consequence of exploitation, according to the description?",
    "State the impact for the incident ticket.",
    "What does a successful attack lead to?",
    "Why does this matter to the owner of the system?",
    "Summarise the effect, and quote the sentence that states it.",
    "What is at risk?",
)
_EFFECT_ANSWERS = (
    'The stated effect is {name}: "{sentence}".',
    '{Name}. The record says: "{sentence}".',
    'According to the description, "{sentence}". In short: {name}.',
    'It comes down to {name}, as this sentence says: "{sentence}".',
)
_EFFECT_CHOICES = (
    "Which consequence does the description state?",
    "What is the effect of this vulnerability, by its description?",
    "Which impact should be recorded?",
    "Of these consequences, which one does the record name?",
    "What does the description say can happen?",
)
_EFFECT_REASONS = (
    'The record says "{sentence}", which is {name}.',
    'It is stated: "{sentence}". That is {name}.',
    'Only {name} is stated: "{sentence}".',
)
_FIX_ASKS = (
    "What should the owner of the system do?",
    "How is this remedied?",
    "Which version of {product} should be installed?",
    "What is the first step of remediation?",
    "Give the remediation for the patch ticket.",
    "From which version on is {product} not affected?",
)
_FIX_ANSWERS = (
    "Update {product} to {version} or later; the record limits the flaw to versions before it.",
    "Install {product} {version} or a later version. Versions before {version} are affected.",
    "The description names {version} as the limit: every {product} before it is affected, so that "
    "version or a later one is needed.",
    "Bring {product} to version {version} at least, and check which installations are older.",
)
_FIX_CHOICES = (
    "Which is the first version of {product} that is not affected?",
    "To which version must {product} be updated at least?",
    "Which version closes this in {product}?",
    "Below which version is {product} affected?",
)
_FIX_REASONS = (
    "The record limits the flaw in {product} to versions before {version}.",
    "{product} is affected before {version}.",
    "Versions before {version} are affected; {version} is the limit that the record names.",
)
_COMPONENT_ASKS = (
    "Which {noun} is named as affected?",
    "Where in the product does the flaw lie?",
    "Which part of the code or interface should be looked at first?",
    "Name the {noun} that the description points to.",
    "Which {noun} does a reviewer have to open?",
    "Where is the vulnerable spot, as far as the text says?",
)
_COMPONENT_ANSWERS = (
    "The description names the {noun} {name}.",
    "It lies in the {noun} {name}, as far as the text says.",
    "The {noun} to look at is {name}.",
    "{name} is the {noun} that the record points to.",
)
_COMPONENT_CHOICES = (
    "Which {noun} does the description name?",
    "In which {noun} does the flaw lie?",
    "Which {noun} should a reviewer open first?",
    "The vulnerable {noun} is one of these. Which?",
)
_PRODUCT_ASKS = (
    "Which product is affected, and in which versions?",
    "What has to be looked for in the inventory?",
    "Name the affected product and the versions concerned.",
    "Which installations are in scope?",
    "What is affected? Give product and versions.",
    "An asset owner asks whether this concerns them. Which product and versions count?",
)
_PRODUCT_ANSWERS = (
    "Affected: {product} before {version}.",
    "The record names {product}, in versions before {version}.",
    "Look for {product} older than {version}.",
    "It concerns {product}; every version before {version} counts as affected.",
)
_PRODUCT_CHOICES = (
    "Which product is affected?",
    "Which of these products should be looked for in the inventory?",
    "Owners of which product have to act on this?",
    "This record is about one of these products. Which?",
)
