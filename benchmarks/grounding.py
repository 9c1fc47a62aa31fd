"""Measure a language model on top of the embedded one: each alone, and the two together.

    python benchmarks/grounding.py --engine smollm2 --benchmark cti-bench --items 100 \
        --questions questions.jsonl --judge judge.py

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.analyst.classification import classify
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.analyst.grounded_answers import write_answers
from cybersecqwen.analyst.questions import Question, as_answer, ask
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.engines import open_model
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.files import Json, read_jsonl
from cybersecqwen.records import Answer, Item, Request, Sampling

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=512, seed=42)
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
    parser.add_argument("--engine", default="smollm2")
    parser.add_argument("--benchmark", type=Path)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--judge", type=Path)
    options = parser.parse_args()
    if options.benchmark:
        for task, measured in (("cti-mcq", choices), ("cti-rcm", weaknesses)):
            items = drawn(read_items(options.benchmark, task), options.items)
            table(task, measured(options.engine, items))
    if options.questions and options.judge:
        rows = list(read_jsonl(options.questions))[: options.items]
        table("questions", questions(options.engine, rows, module(options.judge)))


if __name__ == "__main__":
    main()
