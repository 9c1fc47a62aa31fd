"""Ask questions made from the facts of the knowledge index, and judge the answers by these facts.

    python benchmarks/questions.py
    python benchmarks/questions.py --held-out --per-kind 40 --show wrong
    python benchmarks/questions.py --kind mitigation --save answers.jsonl

The kinds and their wordings are in questions.toml. The subject of a question is written by its
id, its name, in lower case, by an alias, or with a letter wrong. Prints Markdown tables: by kind,
by spelling, and how far the confidence is the share of right answers. An answer is right if it
is covered, names as many of the entries or words as the kind needs, in its text or its evidence,
and its first sentence says yes or no where it has to; one that has to be declined, if it is not
covered. The same seed gives the same questions.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.analyst.questions import ask
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.terms import terms
from cybersecqwen.records import Answer

SPELLINGS = ("id", "name", "lower case", "alias", "misspelled")
BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.01)
LEAST_WORDS = 2  # of a gloss that an answer has to share


@dataclass(frozen=True)
class Kind:
    """A kind of question, as a table of questions.toml states it."""

    name: str
    wordings: Sequence[str]
    held_out: Sequence[str]
    subjects: Sequence[str] = ()
    path: Sequence[str] = ()
    targets: Sequence[str] = ()
    spelling: Sequence[str] = SPELLINGS
    need: int = 1
    other: str = ""
    says: str = ""
    gloss: str = ""
    aliases: bool = False
    names_both: bool = False
    covered: bool = True


@dataclass(frozen=True)
class Case:
    """A question with what a right answer to it has."""

    kind: str
    spelling: str
    question: str
    need: int = 0
    accepted: frozenset[str] = field(default=frozenset())  # ids and words
    wanted: frozenset[str] = field(default=frozenset())  # ids that all have to be named
    gloss: str = ""
    says: str = ""
    covered: bool = True


class Result(NamedTuple):
    """How an answer was judged: right, wrong (and covered), or silent."""

    case: Case
    answer: Answer
    verdict: str


class Author:
    """Makes questions of a kind from the facts of an index."""

    def __init__(self, index: KnowledgeIndex, rng: random.Random) -> None:
        self._index, self._rng = index, rng

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Count the entries that a name or alias is of: one of several leaves open who is meant."""
        counts: dict[str, int] = defaultdict(int)
        for entry in self._index.entries:
            for name in {name.lower() for name in (entry.name, *entry.aliases)}:
                counts[name] += 1
        return counts

    def cases(self, kind: Kind, size: int, *, held_out: bool) -> Iterator[Case]:
        """Yield up to `size` questions of a kind, or its questions where it has no subject."""
        wordings = kind.held_out if held_out else kind.wordings
        if not kind.subjects:
            for wording in wordings[:size]:
                yield Case(kind.name, "-", wording, covered=kind.covered)
            return
        subjects = [
            position
            for position, entry in enumerate(self._index.entries)
            if entry.kind in kind.subjects
            and self._answers(kind, position)
            and "Deprecated" not in map(self._word, self._index.related(position, "status"))
        ]
        self._rng.shuffle(subjects)
        made = 0
        for position in subjects:
            case = self._case(kind, position, wordings[made % len(wordings)])
            if case:
                yield case
                made += 1
            if made >= size:
                return

    def _case(self, kind: Kind, position: int, wording: str) -> Case | None:
        spelling = self._rng.choice(list(kind.spelling))
        subject = self._written(position, spelling)
        answers, other = self._answers(kind, position), None
        if kind.other:
            other = self._other(kind, position, answers)
            if other is None:
                return None
            if kind.other == "both":
                answers = answers & self._answers(kind, other)
        if not subject:
            return None
        name = "" if other is None else self._written(other, "name") or self._word(other)
        both = {position, other} if kind.names_both and other is not None else set()
        entry = self._index.entries[position]
        accepted = {self._word(target) for target in answers}
        if kind.aliases:
            accepted |= set(entry.aliases)
        elif not kind.path and not kind.gloss:
            accepted = {entry.entry_id}
        return Case(
            kind.name,
            spelling,
            wording.format(subject=subject, other=name),
            need=max(kind.need, int(kind.aliases)),
            accepted=frozenset(accepted),
            wanted=frozenset(self._word(one) for one in both),
            gloss=self._index.fix(position) if kind.gloss else "",
            says=kind.says,
        )

    def _answers(self, kind: Kind, position: int) -> set[int]:
        """Return what answers a question about an entry; itself where the kind has no path."""
        if kind.gloss:
            return {position} if self._index.fix(position) else set()
        if kind.aliases and not self._index.entries[position].aliases:
            return set()
        if not kind.path:
            return {position}
        return {
            target
            for target in self._index.follow(position, *kind.path)
            if not kind.targets or self._kind(target) in kind.targets
        }

    def _other(self, kind: Kind, position: int, answers: set[int]) -> int | None:
        size = len(self._index.entries)
        if kind.other == "in":
            return self._rng.choice(sorted(answers)) if answers else None
        peers = [
            one for one, e in enumerate(self._index.entries)
            if e.kind == self._index.entries[position].kind and one != position
        ]  # fmt: skip
        self._rng.shuffle(peers)
        if kind.other == "both":
            shared = (p for p in peers if len(answers & self._answers(kind, p)) >= kind.need)
            return next(shared, None)
        others = (t for p in peers for t in self._answers(kind, p) if t < size)
        return next((t for t in others if not self._may_use(position, t)), None)

    def _may_use(self, position: int, target: int) -> bool:
        """Tell whether a group uses something, itself or in a campaign, or a part of it."""
        used = {
            *self._index.follow(position, "uses"),
            *self._index.follow(position, "^attributed to", "uses"),
        }
        near = {*self._index.follow(target, "part of"), *self._index.follow(target, "^part of")}
        return bool(used & {target, *near})

    def _written(self, position: int, spelling: str) -> str:
        """Write an entry in a way, or "" where it cannot be written so without doubt."""
        entry = self._index.entries[position]
        names = [n for n in entry.aliases if " " in n or len(n) > 4]
        alias = self._rng.choice(names) if names else ""
        name = alias if spelling == "alias" else entry.name
        if spelling == "id":
            return entry.entry_id
        if len(name) < 5 or self._counts[name.lower()] != 1 or not re.search("[A-Za-z]{4}", name):
            return ""
        if spelling == "lower case":
            return name.lower()
        return _misspelled(name, self._rng) if spelling == "misspelled" else name

    def _kind(self, target: int) -> str:
        return self._index.entries[target].kind if target < len(self._index.entries) else ""

    def _word(self, target: int) -> str:
        entries = self._index.entries
        return entries[target].entry_id if target < len(entries) else self._index.label(target)


def generate_cases(
    index: KnowledgeIndex, kinds: Iterable[Kind], *, seed: str, per_kind: int, held_out: bool
) -> Iterator[Case]:
    """Yield up to `per_kind` questions of each kind; the same seed gives the same."""
    for kind in kinds:
        # Each kind has its own numbers, so that one alone asks the same questions.
        author = Author(index, random.Random(f"{seed} {kind.name}"))
        yield from author.cases(kind, per_kind, held_out=held_out)


def _misspelled(name: str, rng: random.Random) -> str:
    """Change one letter inside the longest word: drop it, double it or swap it with the next."""
    word = max(re.findall(r"[A-Za-z]+", name), key=len)
    if len(word) < 6:
        return ""
    place = rng.randrange(1, len(word) - 2)
    head, letter, tail = word[:place], word[place], word[place + 1 :]
    wrong = rng.choice((head + tail, head + letter * 2 + tail, head + tail[0] + letter + tail[1:]))
    return name.replace(word, wrong) if wrong != word else ""


def judge(case: Case, answer: Answer) -> str:
    """Return "right", "wrong" (it misleads) or "silent"."""
    if not case.covered:
        return "wrong" if answer.covered else "right"
    if not answer.covered:
        return "silent"
    ids = {e.id for e in answer.evidence} | {e.other for e in answer.evidence}
    first = re.split(r"(?<=[.!?])\s|\n", answer.answer.strip(), maxsplit=1)[0].lower()
    no = re.search(r"\b(?:no|not|none)\b", first) is not None
    says = "no" if no else "yes"
    named = sum(holds(answer.answer, ids, one) for one in case.accepted)
    all_named = all(holds(answer.answer, ids, one) for one in case.wanted)
    shared = len(set(terms(case.gloss)) & set(terms(answer.answer)))
    right = (
        named >= min(case.need, len(case.accepted))
        and all_named
        and case.says in ("", says)
        and (not case.gloss or shared >= LEAST_WORDS)
    )
    return "right" if right else "wrong"


def holds(text: str, ids: set[str], one: str) -> bool:
    """Tell whether an answer has an id or a word, in its text or among the ids of its evidence."""
    whole = rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9]|\.\d)"
    return one in ids or re.search(whole, text, re.IGNORECASE) is not None


def read_kinds(path: Path) -> list[Kind]:
    tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Kind(name, **table) for name, table in tables.items()]


def table(results: Sequence[Result], of: Callable[[Result], str], heading: str) -> Iterator[str]:
    """Yield the rows of a table by what `of` names."""
    groups: dict[str, list[Result]] = {"all": list(results)}
    for result in results:
        groups.setdefault(of(result), []).append(result)
    yield f"| {heading} | asked | right | wrong | silent | confidence |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, group in groups.items():
        count = {v: sum(r.verdict == v for r in group) for v in ("right", "wrong", "silent")}
        sure = [r.answer.confidence for r in group if r.answer.covered]
        mean = f"{sum(sure) / len(sure):.2f}" if sure else "-"
        shares = " | ".join(f"{n / len(group):.2f}" for n in count.values())
        yield f"| {name} | {len(group)} | {shares} | {mean} |"


def calibration(results: Iterable[Result]) -> Iterator[str]:
    """Yield how often answers of about the same confidence are right, and the error of it."""
    covered = [r for r in results if r.answer.covered]
    yield "| confidence | answers | mean | right |"
    yield "| --- | ---: | ---: | ---: |"
    error = 0.0
    for low, high in pairwise(BINS):
        group = [r for r in covered if low <= r.answer.confidence < high]
        if group:
            mean = sum(r.answer.confidence for r in group) / len(group)
            right = sum(r.verdict == "right" for r in group) / len(group)
            error += abs(mean - right) * len(group) / len(covered)
            yield f"| {low:.2f} to {min(high, 1):.2f} | {len(group)} | {mean:.2f} | {right:.2f} |"
    yield f"\nCalibration error of {len(covered)} covered answers: {error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-kind", type=int, default=40, help="questions of each kind")
    parser.add_argument("--held-out", action="store_true", help="ask in the held-out wordings")
    parser.add_argument("--kind", action="append", help="only this kind; repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", choices=("wrong", "silent", "right"), help="list these answers")
    parser.add_argument("--save", type=Path, help="write every answer here, as JSONL")
    args = parser.parse_args()
    kinds = [
        kind
        for kind in read_kinds(Path(__file__).with_suffix(".toml"))
        if not args.kind or kind.name in args.kind
    ]
    cases = generate_cases(
        KnowledgeIndex.load(),
        kinds,
        seed=str(args.seed),
        per_kind=args.per_kind,
        held_out=args.held_out,
    )
    results = []
    for case in cases:
        answer = ask(case.question)
        results.append(Result(case, answer, judge(case, answer)))
    for heading, of in (("kind", lambda r: r.case.kind), ("spelling", lambda r: r.case.spelling)):
        print("\n".join(table(results, of, heading)), end="\n\n")
    print("\n".join(calibration(results)))
    for result in results:
        if result.verdict == args.show:
            case, answer = result.case, result.answer
            print(f"\n{case.kind} ({answer.confidence:.2f}): {case.question}\n  {answer.answer}")
            print(f"  needs {case.need} of {sorted(case.accepted)[:6]} {case.says} {case.gloss}")
    if args.save:
        rows = (
            {
                "kind": r.case.kind,
                "spelling": r.case.spelling,
                "held_out": args.held_out,
                "question": r.case.question,
                "verdict": r.verdict,
                "covered": r.answer.covered,
                "confidence": r.answer.confidence,
                "answer": r.answer.answer,
            }
            for r in results
        )
        args.save.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


if __name__ == "__main__":
    main()
