"""Answer a free question from the knowledge index: by its facts, else by its best passages.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> answer_question(index, "In which phase is CWE-502 introduced?").answer
'CWE-502 Deserialization of Untrusted Data is introduced in the phase Architecture and Design \
and Implementation.'
>>> answer_question(index, "What is the capital of France?").covered
False

The sentences are made here of names and facts: no text of upstream is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import LEXICON
from cybersecqwen.embedded.mentions import Mention, is_certain
from cybersecqwen.embedded.option_ranker import COVERED
from cybersecqwen.embedded.terms import terms, words
from cybersecqwen.records import Answer, Entry

NOT_COVERED = "not covered"
ENOUGH = 18.0  # score of a passage that holds several telling words
NAMED = 0.4  # share of the words that a passage about a named entry holds, if that is meant
_FACT = 0.95  # confidence in a fact of an entry that is named by its id
_BY_NAME = 0.9  # ... by its name, which may be another's alias
_DESCRIBED = 0.7  # ... in its description, where the question asks for none of its facts
_FOUND = 0.5  # ... in what a search finds: the closest entry is often not the one that is meant
_TINY = 1e-6
_LISTED = 25  # entries that a sentence names
_EVIDENCE = 5


class _Relation(NamedTuple):
    """How a fact reads, from its subject and from its target."""

    name: str
    forward: str
    inverse: str = ""


_RELATIONS = {name: _Relation(name, *phrases) for name, phrases in LEXICON["relations"].items()}
# Patterns of what a question may ask for, and the relations that answer it.
_ASKED = tuple(
    (re.compile(kind["pattern"], re.IGNORECASE), [_RELATIONS[name] for name in kind["relations"]])
    for kind in LEXICON["questions"]
)
_SUMMARY, _BETWEEN, _COUNTED = (
    [_RELATIONS[name] for name in LEXICON["answers"][use]]
    for use in ("summary", "between", "counted")
)
_DEFINE = re.compile(
    # From the start of what is no word, for a long run of it would be tried from each character.
    r"(?<!\W)\W*(?:(?:what|who)\s+(?:is|are)|describe|explain|define)\b(?:\s+(?:an?|the)\b)?",
    re.IGNORECASE,
)
_WHO = re.compile(r"\bwho\b|\bused by\b", re.IGNORECASE)  # asks for the subject of a fact
_ALIAS = re.compile(r"alias|also known|other name|\bcalled\b", re.IGNORECASE)


def answer_question(index: KnowledgeIndex, question: str) -> Answer:
    """Answer in a sentence or two; where nothing is known the answer is "not covered".

    The confidence in a fact is fixed; that in a search's result is the share of the
    question's words, weighed by rarity, that the best passage holds, and never high. The
    score of a piece of evidence is such a share too.
    """
    by_id = index.ids_in(question)
    names = _named(index, question)
    mentions = [*((position,) for position in by_id), *(name.positions for name in names)]
    asked = _official(index, question, names)
    about = index.about([position for mention in mentions for position in mention])
    held = float((index.scores(asked) * about).max(initial=0)) / (index.rarity(asked) + _TINY)
    if not mentions or (not by_id and held < NAMED and not _DEFINE.match(question)):
        return _searched(index, asked)
    sentences = list(_related(index, mentions)) or list(_asked(index, mentions, question))
    sure = _FACT if by_id else _BY_NAME
    if not sentences and _is_unstated(index, mentions[0], question):
        return Answer(NOT_COVERED, 0.0, covered=False)
    if not sentences:
        sentences = [_description(index, mentions[0][0])]
        # A description is less sure an answer where something else was asked for.
        if not _DEFINE.match(question) and len(terms(question)) > 3:
            sure = _DESCRIBED
        asked += terms("description")
    # The ids too: a question may name an entry by an id that it had before.
    asked += [index.entries[position].entry_id.lower() for position in mentions[0]]
    most = index.rarity(asked) + _TINY
    evidence = index.best(index.scores(asked) * about, _EVIDENCE, most=most)
    return Answer(" ".join(sentences), sure, covered=True, evidence=tuple(evidence))


def _official(index: KnowledgeIndex, question: str, names: Sequence[Mention]) -> list[str]:
    """List the question's terms, an alias as the name that the passages use."""
    asked = terms(question)
    for name in names:
        official, said = terms(index.entries[name.positions[0]].name), terms(name.name)
        if not set(said) & set(official):
            asked = [term for term in asked if term not in said] + official
    return list(dict.fromkeys(asked))


def _named(index: KnowledgeIndex, question: str) -> list[Mention]:
    """List the entries that the question names, without everyday words that may be no name."""
    subject = _DEFINE.sub("", question).strip(" \t\r\n?!.,:;'\"")
    whole = [m for m in index.mentions(subject) if m.name == " ".join(words(subject))]
    # A question about nothing else than a name means it; an everyday word in lower case does not.
    if whole and (subject != subject.lower() or is_certain(whole[0].name, subject)):
        return whole[:1]
    return [m for m in index.mentions(question, strict=True) if is_certain(m.name, question)]


def _related(index: KnowledgeIndex, mentions: Sequence[tuple[int, ...]]) -> Iterator[str]:
    """State the facts between the first two entries that a question names."""
    if len(mentions) < 2:
        return
    ways = (*product(mentions[0], mentions[1]), *product(mentions[1], mentions[0]))
    for subject, target in ways:
        for relation in _BETWEEN:
            if target in index.related(subject, relation.name):
                yield f"{index.label(subject)} {relation.forward} {index.label(target)}."


def _asked(
    index: KnowledgeIndex, mentions: Sequence[tuple[int, ...]], question: str
) -> Iterator[str]:
    """State the facts that the question asks for, of the entry that has any."""
    for position in mentions[0]:
        entry = index.entries[position]
        if _ALIAS.search(question) and entry.aliases:
            yield f"{index.label(position)} is also known as {_listed(entry.aliases)}."
            return
        rest = re.sub(re.escape(entry.name), " ", question, flags=re.IGNORECASE)
        for pattern, relations in _ASKED:
            if pattern.search(rest):
                sentences = [s for r in relations for s in _sentences(index, position, r, rest)]
                if sentences:
                    yield from sentences
                    return


def _is_unstated(index: KnowledgeIndex, positions: Sequence[int], question: str) -> bool:
    """Tell whether the question asks for what upstream has only a placeholder for."""
    asked = {r.name for pattern, kinds in _ASKED if pattern.search(question) for r in kinds}
    return any(index.is_unstated(position, asked) for position in positions)


def _sentences(
    index: KnowledgeIndex, position: int, relation: _Relation, question: str
) -> Iterator[str]:
    ways = ((False, relation.forward), (True, relation.inverse))
    for inverse, phrase in ways[1:] if _WHO.search(question) and relation.inverse else ways:
        targets = index.related(position, relation.name, inverse=inverse) if phrase else []
        kept = _of_kinds(index, targets, question)
        if kept:
            names = sorted(index.label(target) for target in kept)
            yield f"{index.label(position)} {phrase} {_listed(names)}."


def _of_kinds(index: KnowledgeIndex, targets: Sequence[int], question: str) -> list[int]:
    """Keep the entries of the kinds that the question names, or all where it names none."""
    lower = question.lower()
    kinds = {kind for word, names in LEXICON["kinds"].items() if word in lower for kind in names}
    size = len(index.entries)
    kept = [t for t in targets if t >= size or index.entries[t].kind in kinds]
    return kept or list(targets)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    if more > 0:
        return f"{', '.join(names[:_LISTED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _description(index: KnowledgeIndex, position: int) -> str:
    """Say what an entry is: its kind, its names, and its facts."""
    entry = index.entries[position]
    parts = [f"{index.label(position)} is {_article(entry)} {entry.kind} of {_base(entry)}."]
    if entry.aliases:
        parts.append(f"It is also known as {_listed(entry.aliases)}.")
    for relation in _SUMMARY:
        targets = index.related(position, relation.name)
        if targets:
            parts.append(f"It {relation.forward} {_listed([index.label(t) for t in targets])}.")
    for relation in _COUNTED:
        for inverse, phrase in ((False, relation.forward), (True, relation.inverse)):
            count = len(index.related(position, relation.name, inverse=inverse))
            if count:
                parts.append(f"It {phrase} {count} {'entry' if count == 1 else 'entries'}.")
    return " ".join(parts)


def _article(entry: Entry) -> str:
    return "an" if entry.kind[0] in "aeiou" else "a"


def _base(entry: Entry) -> str:
    prefix = entry.entry_id.partition("-")[0]
    return prefix if prefix in ("CWE", "CAPEC") else "ATT&CK"


def _searched(index: KnowledgeIndex, asked: Sequence[str]) -> Answer:
    """Name the entry whose passage holds most of the question, if that is enough."""
    scores, most = index.scores(asked), index.rarity(asked) + _TINY
    score = float(scores.max(initial=0))
    share = min(score / most, 1.0)
    if share < COVERED or score < ENOUGH:
        return Answer(NOT_COVERED, 0.0, covered=False)
    return Answer(
        answer=f"The closest entry: {_description(index, index.best_entry(scores))}",
        confidence=round(min(share, _FOUND), 4),
        covered=True,
        evidence=tuple(index.best(scores, _EVIDENCE, most=most)),
    )
