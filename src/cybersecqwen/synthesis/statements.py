"""Questions about what a CVE record states: its effect, its fix, its component, its product.

An answer says no more than the description does; a wrong option is one that it does not name.
"""

from __future__ import annotations

from cybersecqwen.synthesis.asking import QuestionWriter
from cybersecqwen.synthesis.cvss import read_vector
from cybersecqwen.synthesis.extraction import EFFECTS, effects
from cybersecqwen.synthesis.pair import Draft
from cybersecqwen.synthesis.record_facts import RecordFacts


def effect(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask what an attacker can achieve; the answer is a sentence of the text."""
    if not record.effect:
        return None
    name, sentence = record.effect
    told = sentence.rstrip(".")
    return Draft(
        kind="consequence",
        topic="effect",
        subject=record.cve_id,
        question=asking.open(record, _EFFECT_ASKS),
        answer=asking.say(_EFFECT_ANSWERS, name=name, Name=_upper(name), sentence=told),
        grounding=record.grounding(),
        support=(told,),
    )


def effect_choice(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which of four consequences a description states."""
    if not record.effect:
        return None
    name, sentence = record.effect
    told = sentence.rstrip(".")
    others = sorted(EFFECTS.keys() - effects(record.text))
    return Draft(
        kind="consequence",
        topic="effect",
        subject=record.cve_id,
        question=asking.choice(record, _EFFECT_CHOICES),
        answer=asking.say(_EFFECT_REASONS, name=name, sentence=told),
        grounding=record.grounding(),
        support=(told,),
        options=tuple(map(_upper, (name, *asking.rng.sample(others, 3)))),
    )


def fix(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which version remedies it: the one that the description names as the limit."""
    if not record.fix:
        return None
    product, version = record.fix
    return Draft(
        kind="mitigation",
        topic="fix",
        subject=record.cve_id,
        question=asking.open(record, _FIX_ASKS, product=product),
        answer=asking.say(_FIX_ANSWERS, product=product, version=version),
        grounding=record.grounding(),
        support=(product, version),
    )


def fix_choice(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask for the first version that is not affected, among others that are or come later."""
    if not record.fix:
        return None
    product, version = record.fix
    wrong = _other_versions(version)
    if len(wrong) < 3 or any(one in record.text for one in wrong):
        return None
    return Draft(
        kind="mitigation",
        topic="fix",
        subject=record.cve_id,
        question=asking.choice(record, _FIX_CHOICES, product=product),
        answer=asking.say(_FIX_REASONS, product=product, version=version),
        grounding=record.grounding(),
        support=(version, product),
        options=(version, *asking.rng.sample(wrong, 3)),
    )


def vector(record: RecordFacts, _: QuestionWriter) -> Draft | None:
    """Ask in CTI-VSP's own words, with the vector on the last line."""
    reading = read_vector(record.vulnerability.cvss3_vector or "")
    if reading is None or reading.score == "0.0":
        return None
    lines = [f"- {reading.called(name)}: {reading.means(name)}." for name, _ in reading.metrics]
    lines.append(f"Base score {reading.score}, severity {reading.severity}.")
    return Draft(
        kind="cvss",
        topic="vector",
        subject=record.cve_id,
        question=record.text,
        answer="\n".join(lines),
        grounding=(*record.grounding(), reading.grounding()),
        support=(reading.vector, reading.score, reading.severity),
        form="vector",
        last=reading.vector,
    )


def component(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask for the part that a description names."""
    if not record.component:
        return None
    noun, name = record.component
    return Draft(
        kind="component",
        topic="component",
        subject=record.cve_id,
        question=asking.open(record, _COMPONENT_ASKS, noun=noun),
        answer=asking.say(_COMPONENT_ANSWERS, noun=noun, name=name),
        grounding=record.grounding(),
        support=(name,),
    )


def component_choice(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which of four parts a description names, all of one sort."""
    if not record.component:
        return None
    noun, name = record.component
    others = asking.absent(record, asking.names[noun])
    if len(others) < 3:
        return None
    return Draft(
        kind="component",
        topic="component",
        subject=record.cve_id,
        question=asking.choice(record, _COMPONENT_CHOICES, noun=noun),
        answer=asking.say(_COMPONENT_ANSWERS, noun=noun, name=name),
        grounding=record.grounding(),
        support=(name,),
        options=(name, *others),
    )


def product(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which product is affected, and up to where."""
    if not record.fix:
        return None
    name, version = record.fix
    return Draft(
        kind="component",
        topic="product",
        subject=record.cve_id,
        question=asking.open(record, _PRODUCT_ASKS),
        answer=asking.say(_PRODUCT_ANSWERS, product=name, version=version),
        grounding=record.grounding(),
        support=(name, version),
    )


def product_choice(record: RecordFacts, asking: QuestionWriter) -> Draft | None:
    """Ask which of four products a description is about."""
    if not record.fix:
        return None
    name, version = record.fix
    others = asking.absent(record, asking.products)
    if len(others) < 3:
        return None
    return Draft(
        kind="component",
        topic="product",
        subject=record.cve_id,
        question=asking.choice(record, _PRODUCT_CHOICES),
        answer=asking.say(_PRODUCT_ANSWERS, product=name, version=version),
        grounding=record.grounding(),
        support=(name, version),
        options=(name, *others),
    )


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
    "A developer asks where to start. Which {noun} is it?",
    "What exactly is vulnerable here? Name the {noun}.",
    "To write a regression test, which {noun} has to be covered?",
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
    "Which of these should the ticket name as the vulnerable {noun}?",
    "A patch has to touch one {noun}. Which one does the text point to?",
)
_PRODUCT_ASKS = (
    "Which product is affected, and in which versions?",
    "What has to be looked for in the inventory?",
    "Name the affected product and the versions concerned.",
    "Which installations are in scope?",
    "What is affected? Give product and versions.",
    "An asset owner asks whether this concerns them. Which product and versions count?",
    "Which software bill of materials entries should raise an alarm?",
    "Fill in the ticket's fields for product and affected versions.",
    "Whom does this concern? Name the product, and up to which version.",
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
    "Which of these does the description name as vulnerable?",
    "Where does this belong in an asset list?",
    "Which entry of a software inventory is concerned?",
)
