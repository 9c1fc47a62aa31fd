"""Link the description of a situation, which names no entry, to the entries it fits.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> best = fitting(index, "users upload .php files and run them", ["weakness"])[0]
>>> index.label(best.position)
'CWE-434 Unrestricted Upload of File with Dangerous Type'

An entry's score is the share of the description's words, weighed by rarity, that its passages hold.
For weaknesses the probability that the CWE classifier gives is added, and something for each clue:
words by which one is described where its name is not said (situations.toml).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cybersecqwen.embedded import refusal
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon, read_lexicon
from cybersecqwen.embedded.phrases import Phrases, tokens
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.request import question_words
from cybersecqwen.embedded.terms import terms

if TYPE_CHECKING:
    from cybersecqwen.embedded.classifier import CweClassifier

_TINY = 1e-6
_TOP = 3  # passages of an entry that count
_LATER = 0.3  # what the second and third passage count
_CLASSIFIER = 1.5  # weight of the classifier's probability beside the share of words
_CANDIDATES = 20
_CLUE, _MORE, _MOST = 0.5, 0.1, 3  # what the first clue of a weakness counts, each more, of so many
_LONG = 3  # parts of a clue that counts twice
_FEW = 4  # words, of which any will do, that tell as much as one
_READ = 4_000  # characters in which clues are looked for
_PLAIN = re.compile(r"[\w'’-]+(?:\|[\w'’-]+)*")  # a part of a clue that has no sign
_SIGNING_IN = re.compile(r"\blog(?:ged|ging|s)? (?:in|on|out|off|into)\b", re.I)  # no log file
_CODE = re.compile(r"\w\(|\w=\w|\w\[|->|::|;$")  # how code is written
# Technologies by which weaknesses are named, and what these count where they are not meant.
_TECHNOLOGIES = frozenset(
    {"php", "asp", "j2ee", "struts", "ejb", "servlet", "hibernate", "activex"}
)
_ELSEWHERE = 0.5
_OTHER = 0.75  # weight of techniques of a domain that is not meant
_HELD = 2  # words of the description that a passage has to hold
_ENOUGH = 0.45  # score from which a situation is linked to an entry
_LITTLE = 0.3  # the same, where the question asks for a weakness
_PLENTY = 0.9  # the same, where no word of the question is one of security
_CLOSEST = 3  # entries that a description is compared with in the answer
_LEANING, _MOST_LEANING = 0.15, 0.3  # weight of a sign of code or of an attack, and of all
# The kinds of entries that a description of a situation is linked to, and those only if asked for.
DESCRIBED = ("technique", "weakness")
ASKED_FOR = ("attack pattern", "malware", "tool", "group", "campaign")


class Fit(NamedTuple):
    """An entry that a description fits, and how well."""

    position: int
    score: float


def fitting(
    index: KnowledgeIndex,
    text: str,
    kinds: Collection[str],
    *,
    written: str = "",
    among: Collection[int] | None = None,
    limit: int = 5,
) -> list[Fit]:
    """Return the entries of some kinds that a description fits, the best first.

    `written` is the description with its signs, as in "gets(name)"; `among` restricts the entries
    to some positions.
    """
    text = in_english(text)
    scores = _shares(index, _expanded(text)) * _prior(index, frozenset(_domains(text)))
    if "weakness" in kinds:
        for position, chance in _classified(index, text).items():
            scores[position] += _CLASSIFIER * chance
        scores *= _meant_technology(index, text)
        for position, weight in hinted(index, in_english(written or text)).items():
            scores[position] += weight
    allowed = _of_kinds(index, frozenset(kinds))
    if among is not None:
        allowed = allowed & np.isin(np.arange(len(allowed)), list(among))
    scores = np.where(allowed, scores, 0.0)
    order = np.argsort(-scores, kind="stable")[:limit]
    return [Fit(int(i), round(float(scores[i]), 4)) for i in order if scores[i] > 0]


class _Clue(NamedTuple):
    """A weakness, and what a description of it has: of each set of stems one, and all the signs."""

    entry_id: str
    stems: tuple[frozenset[str], ...]
    signs: tuple[str, ...]

    @property
    def is_long(self) -> bool:
        """Tell whether several words have to be there, each of a few at most."""
        exact = sum(len(either) <= _FEW for either in self.stems)
        return exact + len(self.signs) >= _LONG


@cache
def _clues() -> list[_Clue]:
    clues, lexicon = [], read_lexicon("situations.toml")
    small = lexicon["small"].split()
    for entry_id, phrases in lexicon["clues"].items():
        for parts in map(str.split, phrases):
            plain = [part for part in parts if _PLAIN.fullmatch(part) and part not in small]
            either = (frozenset(_stems(part)) for part in plain if "|" in part)
            each = (frozenset({one}) for part in plain if "|" not in part for one in _stems(part))
            signs = tuple(part for part in parts if not _PLAIN.fullmatch(part))
            clues.append(_Clue(entry_id, (*either, *each), signs))
    return clues


def _stems(text: str) -> list[str]:
    return [token.stem for token in tokens(text)]


def hinted(index: KnowledgeIndex, text: str) -> dict[int, float]:
    """Weigh the weaknesses of which a text has a clue, by position; a clue of many parts more."""
    text = text[:_READ]
    stems, written = frozenset(_stems(_SIGNING_IN.sub(" login ", text))), text.lower()
    counts: Counter[str] = Counter()
    for clue in _clues():
        lacks = any(one.isdisjoint(stems) for one in clue.stems)
        if not lacks and all(sign in written for sign in clue.signs):
            counts[clue.entry_id] += 2 if clue.is_long else 1
    each = {entry_id: _CLUE + _MORE * min(count - 1, _MOST) for entry_id, count in counts.items()}
    positions = ((index.position(entry_id), weight) for entry_id, weight in each.items())
    return {position: weight for position, weight in positions if position is not None}


def in_english(text: str) -> str:
    """Return a description in another language as the English words that are known for its own."""
    if not refusal.language(text):
        return text
    known = _foreign()
    found = [match.value for match in known.find(tokens(text))]
    return " ".join((*found, *known.contained(text))) or text


@cache
def _foreign() -> Phrases:
    return Phrases(read_lexicon("situations.toml")["english"])


def _meant_technology(index: KnowledgeIndex, text: str) -> np.ndarray:
    """Weigh weaknesses less that are named by a technology of which a text does not speak."""
    words = {token.word for token in tokens(text)}
    return np.where([bool(own - words) for own in _technologies(index)], _ELSEWHERE, 1.0)


@cache
def _technologies(index: KnowledgeIndex) -> list[set[str]]:
    return [
        {token.word for token in tokens(entry.name)} & _TECHNOLOGIES
        if entry.kind == "weakness"
        else set()
        for entry in index.entries
    ]


def _expanded(text: str) -> list[str]:
    """List the terms of a text, and those by which the knowledge bases say the same."""
    cut = tokens(text)
    return terms(text) + [term for match in _synonyms().find(cut) for term in terms(match.value)]


@cache
def _synonyms() -> Phrases:
    return Phrases(question_lexicon()["synonyms"])


def _domains(text: str) -> list[str]:
    words = {token.word for token in tokens(text)}
    return [sign for sign in ("mobile", "ics") if words & set(question_lexicon()["signs"][sign])]


@cache
def _prior(index: KnowledgeIndex, domains: frozenset[str]) -> np.ndarray:
    """Weigh the entries: techniques of a domain that is not meant count less."""
    other = [
        entry.kind == "technique" and domain(index, position) not in (domains or {""})
        for position, entry in enumerate(index.entries)
    ]
    return np.where(other, _OTHER, 1.0)


def closest(question: Question, *, tactics: Collection[str] = ()) -> list[Fit]:
    """Return the entries that a question's description fits well enough, the best first.

    With `tactics` these are techniques that serve one of them.
    """
    fits = _serving(question, tactics) if tactics else _fits(question)
    return fits if fits and fits[0].score >= _least(question, fits[0].position) else []


def _serving(question: Question, tactics: Collection[str]) -> list[Fit]:
    index = question.index
    among = {
        position
        for position, entry in enumerate(index.entries)
        if entry.kind == "technique"
        and any(index.entries[t].name in tactics for t in index.related(position, "tactic"))
    }
    text = question.description
    return fitting(index, text, ["technique"], among=among, limit=_CLOSEST)


def is_described(question: Question) -> bool:
    """Tell whether a question names nothing, but has clear clues to a weakness."""
    clues = hinted(question.index, in_english(question.text))
    return not question.subjects and max(clues.values(), default=0.0) > _CLUE


def _least(question: Question, best: int) -> float:
    """Return the score from which a situation is linked, by how much a question is of the field.

    Two clues to the entry that fits best show that it is, too.
    """
    if question.request.kinds & {"weakness", "malware"}:
        return _LITTLE
    asks_how = question.first in question_words("how")
    clues = hinted(question.index, in_english(question.text)).get(best, 0.0)
    if clues > _CLUE and not asks_how:
        return _ENOUGH
    return _ENOUGH if _is_of_the_field(question) else _PLENTY


def _is_of_the_field(question: Question) -> bool:
    """Tell whether a word of the question is one of security."""
    kinds = question.request.kinds & {*DESCRIBED, *ASKED_FOR}
    how = question.cut[0].word in question_words("how")  # "how do I …" is asked of anything
    noun = kinds and not how
    written = bool(_CODE.search(question.text))
    return bool(noun or written or question.signs("code") or question.signs("attack"))


def _fits(question: Question) -> list[Fit]:
    """Find the entries that a description fits, of the kind asked for or that leads there."""
    asked = question.request.kinds
    own = [kind for kind in (*DESCRIBED, *ASKED_FOR) if kind in asked]
    if question.request.several and not asked.isdisjoint(PROPER):
        own = []  # one that is described alike is no list, but a technique leads to one
    lean = _LEANING * (question.signs("code") - question.signs("attack"))
    lean = max(-_MOST_LEANING, min(_MOST_LEANING, lean))
    if own:
        fits = _of(question, own)
        if own == ["weakness"] or (fits and fits[0].score >= _ENOUGH):
            return fits
    groups = [(["weakness"], 1.0 + lean), (["technique"], 1.0 - lean)]
    if is_described(question) and not question.signs("attack"):
        groups = groups[:1]
    each = [
        [Fit(fit.position, fit.score * factor) for fit in _of(question, kinds)]
        for kinds, factor in groups
    ]
    return max(filter(None, each), key=lambda fits: fits[0].score, default=[])


def _of(question: Question, kinds: Collection[str]) -> list[Fit]:
    """Return the entries of some kinds that a question's description fits, but none excluded."""
    limit = _CLOSEST + len(question.excluded)
    text, written = question.description, question.text
    fits = fitting(question.index, text, kinds, written=written, limit=limit)
    return [fit for fit in fits if fit.position not in question.excluded][:_CLOSEST]


DOMAINS = {"": "Enterprise", "mobile": "Mobile", "ics": "ICS"}  # ATT&CK's matrices


def domain(index: KnowledgeIndex, position: int) -> str:
    """Return which of ATT&CK's matrices beside that of enterprises an entry is in, or "".

    The entry is a technique or a tactic.
    """
    entry_id = index.entries[position].entry_id
    tactics = {index.entries[t].entry_id for t in index.related(position, "tactic")} or {entry_id}
    if entry_id.startswith(("T0", "TA01")):
        return "ics"
    return "mobile" if any("TA0027" <= t <= "TA0039" or t == "TA0041" for t in tactics) else ""


def _shares(index: KnowledgeIndex, asked: Sequence[str]) -> np.ndarray:
    """Return for each entry the share of the words that its best passages hold."""
    asked = list(dict.fromkeys(asked))
    held = np.zeros(len(index), dtype=np.int16)
    for posting in index.postings(asked):
        if posting is not None:
            held[posting[0]] += 1
    # A passage that holds one of the words only is about something else.
    passages = index.scores(asked) * (held >= _HELD) / (index.rarity(asked) + _TINY)
    hit = np.flatnonzero(passages > 0)
    order = hit[np.lexsort((-passages[hit], index.passage_entry[hit]))]
    entries = index.passage_entry[order]
    starts = np.flatnonzero(np.r_[True, entries[1:] != entries[:-1]]) if len(entries) else entries
    rank = np.arange(len(entries)) - np.repeat(starts, np.diff(np.r_[starts, len(entries)]))
    weights = np.where(rank == 0, 1.0, np.where(rank < _TOP, _LATER, 0.0))
    return np.bincount(entries, passages[order] * weights, minlength=len(index.entries))


@cache
def _of_kinds(index: KnowledgeIndex, kinds: frozenset[str]) -> np.ndarray:
    return np.array([entry.kind in kinds for entry in index.entries])


def _classified(index: KnowledgeIndex, text: str) -> dict[int, float]:
    """Return what the CWE classifier makes of a text, by position."""
    [prediction] = _classifier().predict([text], top=_CANDIDATES)
    ranked = ((index.position(cwe), chance) for cwe, chance in prediction.ranked)
    return {position: chance for position, chance in ranked if position is not None}


@cache
def _classifier() -> CweClassifier:
    from cybersecqwen.embedded.classifier import CweClassifier

    return CweClassifier.load()
