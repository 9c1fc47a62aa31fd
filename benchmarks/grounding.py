"""Measure a language model on top of the embedded one: the checks, each alone, the two together.

    python benchmarks/grounding.py checks --entries 120
    python benchmarks/grounding.py model --engine smollm2 --benchmark cti-bench --items 100 \
        --questions questions.jsonl --judge judge.py

The checks need no model: sentences of embedded answers are cited as they are, which should be kept,
and with one thing changed, which should be refused.

The same items go to all three. The model answers once, greedily where it writes and with the first
seed of the model card's protocol where it classifies. Of cti-mcq and cti-rcm a part is drawn, the
same every time; an answer that is not there counts as wrong. Free questions are judged by a script
with a function `judge(question, answer)`, whose first value is "right", "declined", or else.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib.util
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.analyst.classification import classify
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.analyst.grounded_answers import write_answers
from cybersecqwen.analyst.grounding import refusal, sentences
from cybersecqwen.analyst.questions import Question, as_answer, ask
from cybersecqwen.analyst.quotations import quoted
from cybersecqwen.analyst.related import knowledge
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.cwe.identifiers import entry_ids
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.engines import open_model
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.files import Json, read_jsonl
from cybersecqwen.records import Answer, Entry, Item, Quotation, Request, Sampling

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=512, seed=42)
NAMED = ("technique", "group", "malware", "tool", "weakness", "mitigation", "campaign")
WAYS = ("embedded", "model alone", "grounded")


def drawn(items: Sequence[Item], count: int) -> list[Item]:
    return sorted(random.Random(42).sample(items, min(count, len(items))), key=lambda i: i.index)


def texts(engine: str, prompts: Sequence[str]) -> list[str]:
    """Ask for one answer to each prompt."""
    requests = [Request(i, 0, (("user", p),), GREEDY) for i, p in enumerate(prompts)]
    responses = {r.item: r for r in open_model(engine).engine.generate(requests)}
    return [read_answer(responses[i].text).text for i in range(len(prompts))]


def share(right: Sequence[bool]) -> str:
    return f"{sum(right)}/{len(right)} = {sum(right) / max(1, len(right)):.3f}"


def choices(engine: str, items: Sequence[Item]) -> list[Callable[[], str]]:
    """Answer multiple-choice questions: the strict accuracy of each way."""
    golds = [item.gold for item in items]
    read = next(iter(TASKS["cti-mcq"].extractors.values())).read

    def embedded() -> list[tuple[Question, Answer]]:
        asked = [Question(item.index, item.text, item.options) for item in items]
        return [(question, ask(question.text, question.options)) for question in asked]

    def score(letters: Sequence[str | None]) -> str:
        return share([letter == gold for letter, gold in zip(letters, golds, strict=True)])

    return [
        lambda: score([answer.answer for _, answer in embedded()]),
        lambda: score([read(text).answer for text in texts(engine, [i.prompt for i in items])]),
        lambda: score([answer.answer for _, answer in write_answers(embedded(), engine)]),
    ]


def weaknesses(engine: str, items: Sequence[Item]) -> list[Callable[[], str]]:
    """Classify descriptions: the strict accuracy of the first candidate, by each way."""

    def score(model: str, **options: Any) -> str:
        classifier = open_classifier(model, **options)
        results = classify([i.text for i in items], classifier=classifier, top=1, threshold=0)
        firsts = [r.candidates[0].cwe if r.candidates else "" for r in results]
        return share([cwe == item.gold for cwe, item in zip(firsts, items, strict=True)])

    return [
        lambda: score("embedded"),
        lambda: score(engine, samples=1),
        lambda: score(engine, samples=1, grounded=True),
    ]


def questions(engine: str, rows: Sequence[Json], judge: Any) -> list[Callable[[], str]]:
    """Answer free questions: how many are right or rightly declined, and how many mislead."""

    def embedded() -> list[tuple[Question, Answer]]:
        return [(Question(row["id"], row["question"]), ask(row["question"])) for row in rows]

    def score(answers: Sequence[Json], note: str = "") -> str:
        verdicts = [judge.judge(row, a)[0] for row, a in zip(rows, answers, strict=True)]
        good = [verdict in ("right", "declined") for verdict in verdicts]
        wrong = sum(verdict in ("wrong", "part") for verdict in verdicts)
        return f"{share(good)}, {wrong} wrong{note}"

    def alone() -> str:
        said = texts(engine, [row["question"] for row in rows])
        return score([{"answer": text, "covered": bool(text), "evidence": []} for text in said])

    def grounded() -> str:
        written = list(write_answers(embedded(), engine))
        groundings = [a.grounding for _, a in written if a.grounding]
        kept, told = sum(g.kept for g in groundings), sum(g.written for g in groundings)
        by_model = sum(g.kept > 0 for g in groundings)
        note = f"; {kept} of {told} sentences kept, {by_model} of {len(rows)} answers the model's"
        return score([as_answer(question, answer) for question, answer in written], note)

    return [lambda: score([as_answer(q, a) for q, a in embedded()]), alone, grounded]


def changed(sentence: str, other: Entry, index: KnowledgeIndex, rng: random.Random) -> Json:
    """Return what a careless model might make of a true sentence, by what it does."""
    ways = {
        "as it is": f"{sentence} [1]",
        "no citation": sentence,
        "citation of a passage that is not there": f"{sentence} [99]",
        "turned around": f"It is not so: {sentence} [1]",
        "a number added": f"{sentence} Seen {rng.randint(100, 9999)} times. [1]",
        "a CVE added": f"{sentence} See CVE-2024-{rng.randint(1000, 9999)}. [1]",
    }
    for entry_id in entry_ids(sentence)[-1:]:
        ways["another id"] = f"{sentence.replace(entry_id, other.entry_id)} [1]"
        ways["an id that is none"] = f"{sentence.replace(entry_id, 'T99999')} [1]"
        entry = index.entry(entry_id)
        label = f"{entry_id} {entry.name}" if entry else ""
        if label and label in sentence:
            new = f"{other.entry_id} {other.name}"
            ways["another id and its name"] = f"{sentence.replace(label, new)} [1]"
            ways["another name alone"] = f"{sentence.replace(label, other.name)} [1]"
    return ways


def checks(entries: int) -> None:
    """Print how many sentences are kept as they are, and how many refused once they are changed."""
    index, rng = knowledge(), random.Random(2)
    named = [entry for entry in index.entries if entry.kind in NAMED]
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    for entry in rng.sample(named, entries):
        for wording in ("What is {}?", "How is {} prevented or mitigated?", "Who uses {}?"):
            question = wording.format(entry.name)
            answer = ask(question)
            passage = Quotation(1, "", "", "", quoted(answer.answer, longest=4_000))
            for sentence in sentences(passage.text) if answer.covered else ():
                for way, text in changed(sentence, rng.choice(named), index, rng).items():
                    counts[way][not refusal(text, [passage], question, index)] += 1
    for way, kept in counts.items():
        print(f"{way:40} kept {kept[True]:5} refused {kept[False]:5}")


def table(name: str, ways: Sequence[Callable[[], str]]) -> None:
    for way, measure in zip(WAYS, ways, strict=True):
        begun = time.perf_counter()
        result = measure()
        print(f"{name:10} {way:12} {time.perf_counter() - begun:7.1f} s  {result}", flush=True)


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("checks").add_argument("--entries", type=int, default=120)
    model = parts.add_parser("model")
    model.add_argument("--engine", default="smollm2")
    model.add_argument("--benchmark", type=Path)
    model.add_argument("--items", type=int, default=100)
    model.add_argument("--questions", type=Path)
    model.add_argument("--judge", type=Path)
    options = parser.parse_args()
    if options.part == "checks":
        checks(options.entries)
        return
    if options.benchmark:
        for task, measured in (("cti-mcq", choices), ("cti-rcm", weaknesses)):
            items = drawn(read_items(options.benchmark, task), options.items)
            table(task, measured(options.engine, items))
    if options.questions and options.judge:
        rows = list(read_jsonl(options.questions))[: options.items]
        table("questions", questions(options.engine, rows, module(options.judge)))


if __name__ == "__main__":
    main()
