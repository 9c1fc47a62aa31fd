"""Measure how sure `ask` may be of a free answer, by how the answer was found.

    python benchmarks/confidence.py              # prints the tables
    python benchmarks/confidence.py --write      # and writes them as embedded/confidence.toml

Asks the questions of analyst_questions.tsv, which are in the words of analysts, and those that
questions.py makes in its held-out wordings. A row of the file has a kind, the question, the ids
that a right answer names ("~" between those of which any will do, "&" between those that all have
to be there), a word that it has to hold, and "no" where it must not be answered.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from questions import generate_cases, holds, judge, read_kinds

from cybersecqwen.embedded.confidence import Basis
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import reply
from cybersecqwen.records import Answer

HERE = Path(__file__).parent
TARGET = HERE.parent / "src" / "cybersecqwen" / "embedded" / "confidence.toml"
EDGES = (0.0, 0.45, 0.6, 0.8, 1.0, 1.4)  # scores of situations
WAYS = ("id", "name", "alias", "order", "fuzzy", "part")
PER_KIND = 10
MOST = 2  # words that neither name nor ask, beyond which their number tells no more
CAP = 0.9  # what is described is never surer than what is named
NEW = 0.94  # of these shares, what questions that are asked for the first time reach


class Outcome(NamedTuple):
    """How a question was answered: what its answer rests on, and how that was judged."""

    kind: str
    question: str
    basis: Basis
    verdict: str
    answer: str


def analyst_outcomes(index: KnowledgeIndex) -> Iterator[Outcome]:
    """Ask the questions of the file."""
    with (HERE / "analyst_questions.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            given = reply(index, row["question"])
            verdict = _verdict(row, given.answer)
            yield Outcome(row["kind"], row["question"], given.basis, verdict, given.answer.answer)


def generated_outcomes(index: KnowledgeIndex) -> Iterator[Outcome]:
    """Ask what is generated from facts, in wordings that answers were not made better with."""
    kinds = read_kinds(HERE / "questions.toml")
    for case in generate_cases(index, kinds, seed="confidence", per_kind=PER_KIND, held_out=True):
        given = reply(index, case.question)
        verdict = judge(case, given.answer)
        yield Outcome("made", case.question, given.basis, verdict, given.answer.answer)


def _verdict(row: dict[str, str], answer: Answer) -> str:
    if row["answered"] == "no":
        return "wrong" if answer.covered else "right"
    if not answer.covered:
        return "silent"
    ids = {evidence.id for evidence in answer.evidence[:3]}
    wanted = [one for one in re.split("[~&]", row["ids"]) if one]
    named = [holds(answer.answer, ids, one) for one in wanted]
    enough = all(named) if "&" in row["ids"] else any(named) or not named
    return "right" if enough and row["word"].lower() in answer.answer.lower() else "wrong"


def share(outcomes: Iterable[Outcome]) -> float:
    """Return the share of right answers that new questions may expect.

    One right and one wrong count more. Answers were made better with these questions.
    """
    verdicts = [one.verdict for one in outcomes]
    return round(NEW * (verdicts.count("right") + 1) / (len(verdicts) + 2), 3)


def by_way(outcomes: list[Outcome]) -> str:
    """Return the measured table as TOML."""
    covered = [one for one in outcomes if one.basis.way]
    direct = [one for one in covered if one.basis.way != "situation"]
    described = [
        one for one in covered if one.basis.way == "situation" and one.basis.said == "asked"
    ]
    points, last = [], 0.0
    for low, high in zip(EDGES, (*EDGES[1:], 9.0), strict=True):
        inside = [one for one in described if low <= one.basis.score < high]
        if inside:  # a better fit is never less sure
            last = min(CAP, max(last, share(inside)))
            middle = sum(one.basis.score for one in inside) / len(inside)
            points.append([round(middle, 2), last])
    said = [one for one in direct if one.basis.said == "asked"]
    unread = [
        share(one for one in said if min(one.basis.unread, MOST) == n) for n in range(MOST + 1)
    ]
    lines = [
        "# Shares of right answers, by `python benchmarks/confidence.py --write`.",
        "",
        "# Of situations: the score of the best fit, and the share there.",
        f"situation = {points}",
        "",
        "# Of others: times this for 0, 1, 2 or more words that neither name nor ask for anything.",
        f"unread = {[round(part / unread[0], 3) for part in unread]}",
        "",
        "# By how the subject was linked, where every word names or asks for something.",
        "[ways]",
    ]
    read = [one for one in said if not one.basis.unread]
    for way in WAYS:
        lines.append(f"{way} = {share(one for one in read if one.basis.way == way)}")
    lines += ["", "# Where nothing is recorded, or something else is told: times this.", "[said]"]
    lines.append("asked = 1.0")
    for word in ("none", "instead", "beside"):
        part = share(one for one in covered if one.basis.said == word)
        lines.append(f"{word} = {min(1.0, round(part / share(said), 3))}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table that ships")
    parser.add_argument("--show", action="store_true", help="list what was not answered right")
    args = parser.parse_args()
    index = KnowledgeIndex.load()
    outcomes = [*analyst_outcomes(index), *generated_outcomes(index)]
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        kinds[one.kind].append(one)
    print("| kind | asked | right | wrong | silent |\n| --- | ---: | ---: | ---: | ---: |")
    for kind, group in [("all", outcomes), *kinds.items()]:
        count = [sum(one.verdict == v for one in group) for v in ("right", "wrong", "silent")]
        print(f"| {kind} | {len(group)} | {' | '.join(map(str, count))} |")
    print("\n" + by_way(outcomes))
    for one in outcomes if args.show else ():
        if one.verdict != "right":
            print(f"{one.verdict} {one.kind} {one.basis}: {one.question}\n  {one.answer[:200]}")
    if args.write:
        TARGET.write_text(by_way(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
