"""Checks that a pair has to pass before it may be trained on; a rejected one keeps its reason.

    checks = Checks(index, facts, LengthLimits(max_tokens=4096))
    problem = checks.problem(pair)          # None, or a Rejection: reason, detail, item
    if problem is None:
        checks.accept(pair)                 # from here on it is what others may not repeat
    checks.overlaps(pairs)                  # the same for each, of their overlap with items

Pairs made from facts and pairs that a teacher wrote pass the same checks; those of a teacher must
also keep to the words of their grounding.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cybersecqwen.contamination import BenchmarkIndex, Row, normalised, tokens, worded
from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.synthesis.cvss import read_vector
from cybersecqwen.synthesis.leakage import BenchmarkFacts
from cybersecqwen.synthesis.pair import CVE_TEXT, Pair
from cybersecqwen.synthesis.wording import read_templates

_ID = re.compile(
    r"\b(?:CVE-\d{4}-\d{4,}|CWE-\d+|CAPEC-\d+|(?:TA|T|G|S|C|M|DS|DC|DET|A)\d{4}(?:\.\d{3})?)\b"
)
_QUOTATION = re.compile(r'"([^"]{3,})"')
_VECTOR = re.compile(r"CVSS:3\.[01]/\S+?(?=[\s;,.?!)]*(?:\s|$))")
_SCORE = re.compile(r"(?<![.\w])(?:10\.0|\d\.\d)(?![\w%]|\.\d)")
_BYTES = 2  # of UTF-8 a token has at least on average; a vector has few more
_SHARE = 0.5  # of the words of a teacher's answer that stand in its grounding or its question

# What helps to attack: exploit code, payloads, commands, and instructions to use them. The first
# rule that matches is the reason.
_TABLES = read_templates("offensive_content.toml")
OFFENSIVE_RULES: dict[str, re.Pattern[str]] = {
    name: re.compile(
        "|".join(table["patterns"]), 0 if table.get("case_sensitive") else re.IGNORECASE
    )
    for name, table in _TABLES.items()
}
OFFENSIVE_DESCRIPTIONS = {name: table["description"] for name, table in _TABLES.items()}


class LengthLimits(NamedTuple):
    """How long a pair may be, in words of its question and its answer, and in tokens of both."""

    max_tokens: int
    min_words: int = 5
    max_words: int = 300


class Rejection(NamedTuple):
    """Why a pair is rejected, and which benchmark item it would give away."""

    reason: str
    detail: str = ""
    item: str = ""


class Checks:
    """All checks, with the memory of what was accepted."""

    def __init__(
        self,
        index: BenchmarkIndex,
        facts: BenchmarkFacts,
        limits: LengthLimits,
        *,
        trained_on: Iterable[str] = (),
    ) -> None:
        """Take what to check against; the labels of `trained_on` are asked for already."""
        self.index, self._facts, self._limits = index, facts, limits
        self._first = frozenset(("label", False, worded(tokens(t)), ()) for t in trained_on)
        self._seen: set[Hashable] = set(self._first)

    def forget(self) -> None:
        """Forget every pair that was accepted."""
        self._seen = set(self._first)

    def problem(self, pair: Pair) -> Rejection | None:
        """Return the first reason against a pair, overlap with an item's text apart, or None."""
        return (
            _length(pair, self._limits)
            or self._repeated(pair)
            or _unsupported(pair)
            or _offensive(pair)
            or self._given_away(pair)
        )

    def accept(self, pair: Pair) -> None:
        """Remember a pair, so that no other repeats it."""
        self._seen.update(_keys(pair))

    def _repeated(self, pair: Pair) -> Rejection | None:
        exact, near = _keys(pair)
        if exact in self._seen:
            return Rejection("duplicate")
        return Rejection("near-duplicate") if near in self._seen else None

    def _given_away(self, pair: Pair) -> Rejection | None:
        for fact in pair.draft.facts:
            hit = self._facts.hit(fact)
            if hit:
                return Rejection(hit[0], " ".join(fact), hit[1])
        return None

    def overlaps(self, pairs: Sequence[Pair]) -> list[Rejection | None]:
        """Return the reason against each pair that overlaps with an item; many at once are fast."""
        rows = [(n, row) for n, pair in enumerate(pairs) for row in _rows(pair)]
        rejections: list[Rejection | None] = [None] * len(pairs)
        for (n, _), hits in zip(rows, self.index.hits_of(row for _, row in rows), strict=True):
            if hits and rejections[n] is None:
                item = f"{hits[0].task}/{hits[0].item}"
                rejections[n] = Rejection(
                    f"contaminated-{hits[0].rule}", f"{hits[0].score:g}", item
                )
        return rejections


def _rows(pair: Pair) -> Iterator[Row]:
    """Yield a pair's texts, with the CVEs that it names anywhere and the answer that it teaches."""
    draft = pair.draft
    named = tuple(sorted(cve_ids(_all_text(pair))))
    answer = draft.options[0] if draft.options else draft.last or draft.answer
    yield from (Row(text, named, answer) for text in _texts(pair))


def _texts(pair: Pair) -> Iterator[str]:
    """Yield what may overlap with an item: as a question, with its options, and its record."""
    draft = pair.draft
    yield f"{draft.question} {draft.answer}"
    if pair.options:
        yield " ".join((draft.question, *pair.options))
    yield from (one.text for one in draft.grounding if one.source == CVE_TEXT)


def _all_text(pair: Pair) -> str:
    draft = pair.draft
    grounds = (f"{one.id} {one.text}" for one in draft.grounding)
    return " ".join((draft.subject, pair.prompt, pair.completion, *grounds))


def _keys(pair: Pair) -> tuple[Hashable, Hashable]:
    """Return what two equal pairs share, and what two share that ask the same of the same text.

    The second leaves numbers out: a record of another version is the same question again.
    """
    draft = pair.draft
    exact = (normalised(draft.question), tuple(sorted(map(str.casefold, pair.options))))
    right = tokens(draft.options[0]) if draft.options else ()
    about = worded(tokens(draft.grounding[0].text)) if draft.grounding else ()
    return exact, (draft.topic, bool(draft.options), about, right)


def _length(pair: Pair, limits: LengthLimits) -> Rejection | None:
    for name, text in (("question", pair.draft.question), ("answer", pair.completion)):
        words = len(text.split())
        least = limits.min_words if name == "question" else 1
        if not least <= words <= limits.max_words:
            return Rejection("length", f"{name} of {words} words")
    tokens_at_most = -(-len(f"{pair.prompt}{pair.completion}".encode()) // _BYTES)
    if tokens_at_most > limits.max_tokens:
        return Rejection("length", f"up to {tokens_at_most} tokens")
    return None


def _unsupported(pair: Pair) -> Rejection | None:
    """Look for anything in the answer that the grounding does not hold."""
    draft = pair.draft
    ground = "\n".join(one.text for one in draft.grounding)
    if not ground.strip() or not draft.support or not all(s.strip() for s in draft.support):
        return Rejection("unsupported", "no grounding")
    for words in draft.support:
        if words not in ground:
            return Rejection("unsupported", f"not in the grounding: {words}")
    answer = f"{draft.answer}\n{draft.last}"
    for words in (*_ID.findall(answer), *_QUOTATION.findall(draft.answer)):
        if words not in ground:
            return Rejection("unsupported", f"not in the grounding: {words}")
    return _wrong_reading(pair, ground) or _wrong_options(pair, ground) or _beyond(pair, ground)


def _wrong_reading(pair: Pair, ground: str) -> Rejection | None:
    """Compute the score of every vector again: it has to be stated, and no other in the answer."""
    if pair.draft.kind != "cvss":
        return None
    stated = set(_SCORE.findall(_VECTOR.sub("", ground)))
    said = set(_SCORE.findall(_VECTOR.sub("", pair.draft.answer)))
    computed = {reading.score for reading in map(read_vector, _VECTOR.findall(ground)) if reading}
    wrong = (computed | said) - stated
    return Rejection("unsupported", f"score {min(wrong)}") if wrong else None


def _wrong_options(pair: Pair, ground: str) -> Rejection | None:
    """Refuse a multiple choice whose right option is not in the grounding, or a wrong one is."""
    if not pair.options:
        return None
    right, *wrong = pair.draft.options
    if len({option.casefold().strip() for option in pair.options}) < 4:
        return Rejection("options", "two are the same")
    folded = normalised(ground)
    for option in wrong:
        if normalised(option) and f" {normalised(option)} " in f" {folded} ":
            return Rejection("options", f"also supported: {option}")
    if pair.draft.made_by != "facts" and right not in ground:
        return Rejection("options", f"not in the grounding: {right}")
    return None


def _beyond(pair: Pair, ground: str) -> Rejection | None:
    """Refuse a teacher's answer that is mostly about something other than its grounding."""
    if pair.draft.made_by == "facts":
        return None
    known = {word[:5] for word in tokens(f"{ground} {pair.draft.question}")}
    said = [word for word in tokens(pair.draft.answer) if word not in STOP_WORDS]
    share = sum(word[:5] in known for word in said) / max(len(said), 1)
    return Rejection("unsupported", f"{share:.2f} of its words") if share < _SHARE else None


def _offensive(pair: Pair) -> Rejection | None:
    broken = offence("\n".join((pair.draft.question, *pair.options, pair.completion)))
    return Rejection("offensive", broken) if broken else None


def offence(text: str) -> str:
    """Name the rule of OFFENSIVE_RULES that a text breaks, "" where it breaks none.

    >>> offence("An attacker can execute arbitrary SQL commands via the id parameter.")
    ''
    >>> offence("Send id=1' OR '1'='1 to log in as anyone.")
    'payload'
    """
    return next((rule for rule, pattern in OFFENSIVE_RULES.items() if pattern.search(text)), "")
