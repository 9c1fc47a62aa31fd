"""Questions about what a feed's passages say: what an entry is, and how a weakness is mitigated.

    makers = passage_drafts(facts, random.Random(42))
    next(makers["mitigation", "measure", True]())

The index that ships holds no text, so these need the feeds themselves. Execution flows and
examples are not asked about: they tell how to attack.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cybersecqwen.records import Fact
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.pair import Draft
from cybersecqwen.synthesis.wording import lead, say

Maker = Callable[[], Iterator[Draft]]

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")
_PHASE = re.compile(r"^(?:[A-Z][\w /-]{3,60}): (?=[A-Z])")
_WHOLE = re.compile(r"^(?!.*\[REF-).*\.$")  # ends, and sends nobody to a reference
_SHORTEST, _LONGEST = 7, 45  # words of a sentence that stands for a passage
_DEFINED = ("technique", "weakness", "attack pattern", "mitigation")


@dataclass(frozen=True, slots=True)
class _Said:
    """The sentence of an entry's passage that is asked about, and the whole passage."""

    entry_id: str
    sentence: str
    passage: str


def passage_drafts(base: FactBase, rng: random.Random) -> dict[tuple[str, str, bool], Maker]:
    """Give a maker of drafts by kind, topic and whether it makes multiple choices."""
    defined = _said(base, "description", _DEFINED, named=False)
    measures = _said(base, "mitigation", ("weakness", "attack pattern"), named=True)

    def over(
        make: Callable[[FactBase, _Said, Sequence[_Said], random.Random], Draft | None],
        said: Sequence[_Said],
        kinds: tuple[str, ...] = _DEFINED,
    ) -> Maker:
        fitting = [one for one in said if base.entries[one.entry_id].kind in kinds]

        def drafts() -> Iterator[Draft]:
            drawn = rng.sample(fitting, len(fitting))
            return (draft for one in drawn if (draft := make(base, one, said, rng)))

        return drafts

    return {
        ("technique", "definition", True): over(_which, defined, ("technique", "attack pattern")),
        ("technique", "definition", False): over(_what, defined, ("technique", "attack pattern")),
        ("weakness", "definition", True): over(_which, defined, ("weakness",)),
        ("weakness", "definition", False): over(_what, defined, ("weakness",)),
        ("mitigation", "definition", True): over(_which, defined, ("mitigation",)),
        ("mitigation", "measure", True): over(_measure_choice, measures),
        ("mitigation", "measure", False): over(_measure, measures),
    }


def _said(base: FactBase, section: str, kinds: tuple[str, ...], *, named: bool) -> list[_Said]:
    """Take the first sentence of each passage; a definition must not name its own entry."""
    found = []
    for entry_id in base.of_kind(*kinds):
        passages = base.passages.get((entry_id, section), ())
        for passage in passages if named else passages[:1]:
            sentence = _SENTENCE.split(_PHASE.sub("", passage))[0]
            fits = _SHORTEST <= len(sentence.split()) <= _LONGEST and _WHOLE.search(sentence)
            if fits and (named or not _names(sentence, base.entries[entry_id].name)):
                found.append(_Said(entry_id, sentence, passage))
    return found


def _names(sentence: str, name: str) -> bool:
    return name.casefold() in sentence.casefold()


def _kind(base: FactBase, said: _Said) -> str:
    return base.entries[said.entry_id].kind


def _which(
    base: FactBase, said: _Said, others: Sequence[_Said], rng: random.Random
) -> Draft | None:
    """Ask which entry a sentence defines; the wrong options are of one kind, neighbours first."""
    right, kind = said.entry_id, _kind(base, said)
    kin = base.kin(right)
    same = [o.entry_id for o in others if _kind(base, o) == kind and o.entry_id not in kin]
    places = {*base.targets.get((right, "tactic"), ()), *base.targets.get((right, "part of"), ())}
    near = [
        one
        for one in same
        if places
        & {*base.targets.get((one, "tactic"), ()), *base.targets.get((one, "part of"), ())}
    ]
    names = {base.label(right).casefold()}
    wrong: list[str] = []
    for one in [*rng.sample(near, min(2, len(near))), *rng.sample(same, min(9, len(same)))]:
        if base.label(one).casefold() not in names and len(wrong) < 3:
            names.add(base.label(one).casefold())
            wrong.append(one)
    if len(wrong) < 3:
        return None
    label = base.label if rng.random() < 0.5 else base.name
    values = {"kind": kind, "text": said.sentence, "name": base.name(right)}
    return Draft(
        kind={"weakness": "weakness", "mitigation": "mitigation"}.get(kind, "technique"),
        topic="definition",
        subject=right,
        question=say(rng, _WHICH_ASKS, **values),
        answer=say(rng, _WHICH_REASONS, **values),
        grounding=(base.quote(right, "description", said.passage),),
        support=(label(right),),
        options=(label(right), *map(label, wrong)),
        facts=(Fact(right, "description", said.sentence),),
    )


def _what(base: FactBase, said: _Said, _: Sequence[_Said], rng: random.Random) -> Draft:
    """Ask what an entry is; the answer is its description's own opening."""
    kind = _kind(base, said)
    return Draft(
        kind="weakness" if kind == "weakness" else "technique",
        topic="definition",
        subject=said.entry_id,
        question=lead(rng, say(rng, _WHAT_ASKS, name=base.name(said.entry_id), kind=kind)),
        answer=said.sentence,
        grounding=(base.quote(said.entry_id, "description", said.passage),),
        support=(said.sentence,),
        facts=(Fact(said.entry_id, "description", said.sentence),),
    )


def _measure(base: FactBase, said: _Said, _: Sequence[_Said], rng: random.Random) -> Draft:
    """Ask how a weakness or pattern is mitigated; the answer is one measure of its list."""
    name = base.name(said.entry_id)
    return Draft(
        kind="mitigation",
        topic="measure",
        subject=said.entry_id,
        question=lead(rng, say(rng, _MEASURE_ASKS, name=name)),
        answer=say(rng, _MEASURE_ANSWERS, name=name, text=said.sentence),
        grounding=(base.quote(said.entry_id, "mitigation", said.passage),),
        support=(said.sentence,),
        facts=(Fact(said.entry_id, "mitigation", said.sentence),),
    )


def _measure_choice(
    base: FactBase, said: _Said, others: Sequence[_Said], rng: random.Random
) -> Draft | None:
    """Ask which measure is listed; a wrong one is of an entry that is no kin, and not listed."""
    right, kin = said.entry_id, base.kin(said.entry_id)
    listed = {
        _SENTENCE.split(p)[0] for one in kin for p in base.passages.get((one, "mitigation"), ())
    }
    drawn = rng.sample(others, min(40, len(others)))
    wrong = [
        o.sentence
        for o in drawn
        if o.entry_id not in kin and not any(o.sentence in text for text in listed)
    ]
    wrong = list(dict.fromkeys(wrong))[:3]
    if len(wrong) < 3 or said.sentence in wrong:
        return None
    name = base.name(right)
    return Draft(
        kind="mitigation",
        topic="measure",
        subject=right,
        question=lead(rng, say(rng, _MEASURE_CHOICES, name=name)),
        answer=say(rng, _MEASURE_REASONS, name=name),
        grounding=(base.quote(right, "mitigation", said.passage),),
        support=(said.sentence,),
        options=(said.sentence, *wrong),
        facts=(Fact(right, "mitigation", said.sentence),),
    )


_WHICH_ASKS = (
    'Which {kind} is described as follows? "{text}"',
    '"{text}" Of which {kind} is this the description?',
    'A report quotes this: "{text}" Which {kind} is meant?',
    'Match the description to its {kind}: "{text}"',
    'Which of these does the following sentence define? "{text}"',
)
_WHICH_REASONS = (
    "The description is that of {name}.",
    "It opens the description of {name}.",
    "{name} is described in these words.",
)
_WHAT_ASKS = (
    "What is {name}?",
    "Explain {name} in a sentence.",
    "How is {name} described?",
    "A colleague asks about {name}. What is it?",
    "Define {name} for a glossary.",
)
_MEASURE_ASKS = (
    "How can {name} be prevented or contained?",
    "Name a measure against {name}.",
    "What should developers or operators do about {name}?",
    "{name} was found in a review. Which mitigation is on record?",
    "Give one potential mitigation of {name}.",
)
_MEASURE_ANSWERS = (
    "{text}",
    "A listed mitigation of {name}: {text}",
    "On record against {name}: {text}",
)
_MEASURE_CHOICES = (
    "Which of these is a listed mitigation of {name}?",
    "Which measure does the entry of {name} list?",
    "{name} has to be dealt with. Which measure is on record for it?",
    "Which measure is on record against {name}?",
)
_MEASURE_REASONS = (
    "This measure is listed for {name}.",
    "It stands among the mitigations of {name}; the others belong to other entries.",
)
