"""Each published rule against an independent reading of it, in a few lines, on messy answers.

The answers are drawn from the forms that models use; the scores have to agree to the digit. Over
CTI-Bench's own items the figures that docs/evaluation.md cites come out as well. So do those of the
answers that its authors recorded, where CTI_BENCH_RESPONSES names their folder: a clone of
github.com/xashru/cti-bench has it at evaluation/responses.
"""

from __future__ import annotations

import csv
import math
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cvss import CVSS3
from cvss.exceptions import CVSS3Error

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import read_recordings, rescore
from cybersecqwen.benchmark.score import score
from cybersecqwen.benchmark.summary import result, summarise
from cybersecqwen.benchmark.tasks import open_task, read_items
from cybersecqwen.benchmark.tasks.cti_vsp import METRICS
from cybersecqwen.records import Item, Response

Read = Callable[[str], str | None]
FORMS = {
    "cti-mcq": (
        *(
            "{x}",
            "Answer: {x}",
            "The answer is {x}.",
            "It is so.\n\n{x}",
            "Answer: {y}\nAnswer: {x}",
        ),
        *("{x}\n\nIt is so.\n\n{y}", "Option {x} fits.", "{x}) it is", "It is ({x})", "Not sure."),
        *("It is so.\n{x}\n", "Answer: {x}, and again answer: {x}", "I refuse", "X", ""),
    ),
    "cti-rcm": (
        *("{x}", "It is {x}.", "{y} is near, but\n{x}", "{x} or {x}", "ID: {n}", "cwe-{n}", "none"),
        *("CWE\u2011{n}", "{x}, not {y}", "So:\n\n**{x}**", ""),
    ),
    "cti-vsp": (
        "{x}",
        "So\n{x}",
        "{y} is near.\n\n{x}",
        "{x} and {x}",
        "{b}",
        "none",
        "{b}/X:Y",
        "",
    ),
}


def first(*patterns: str) -> Read:
    def read(text: str) -> str | None:
        matches = (re.search(pattern, text) for pattern in patterns)
        return next((match[1] for match in matches if match), None)

    return read


def unique(pattern: str, form: str = "{}") -> Read:
    def read(text: str) -> str | None:
        named = set(re.findall(pattern, text))
        return form.format(named.pop()) if len(named) == 1 else None

    return read


def last(pattern: str, form: str = "{}") -> Read:
    return lambda text: next((form.format(m) for m in re.findall(pattern, text)[::-1]), None)


def of_line(line: str) -> str:
    return line[0] if line[1:2] == ")" and line[0] in "ABCD" else line[-1:]


def notebook_letter(text: str) -> str | None:
    lines = text.split("\n")
    line = lines[-2] if not lines[-1] and len(lines) > 1 else lines[-1]
    return of_line(line) if of_line(line) in {*"ABCD"} else "X" if text == "X" else None


def valid(read: Read) -> Read:
    def vector(text: str) -> str | None:
        found = read(text)
        try:
            return found and CVSS3(f"CVSS:3.1/{found}").clean_vector().removeprefix("CVSS:3.1/")
        except CVSS3Error:
            return None

    return vector


LETTER = first(
    r"(?m)[Aa]nswer: ([A-D])\b", r"answer is ([A-D])\b", r"(?:\A|\n)([A-D])\s*\Z", r"Option ([A-D])"
)
BASE = "/".join(rf"{name}:[A-Z]" for name in METRICS)
RULES: dict[tuple[str, str], Read] = {
    ("cti-mcq", "model-card"): LETTER,
    ("cti-mcq", "paper"): LETTER,
    ("cti-mcq", "faith"): unique(r"[Aa]nswer: ([A-D])\b"),
    ("cti-mcq", "cti-bench"): notebook_letter,
    ("cti-rcm", "model-card"): last(r"(?i)CWE-(\d+)", "CWE-{}"),
    ("cti-rcm", "paper"): lambda text: last(r"CWE-\d+")(text) or last(r"\ACWE-\d+\Z")(text.upper()),
    ("cti-rcm", "faith"): unique("(?i)cwe[-\u2011](\\d+)", "CWE-{}"),
    ("cti-rcm", "cti-bench"): lambda text: (
        last(r"CWE-\d+")(text) or last(r"\ACWE-\d+\Z")(text.upper())
    ),
    ("cti-vsp", "model-card"): valid(last(r"(?:[A-Z]+:[A-Z]/?){8,}")),
    ("cti-vsp", "faith"): valid(unique(f"CVSS:3.1/({BASE})")),
    ("cti-vsp", "cti-bench"): valid(last(f"({BASE})")),
}


def answers(task: str, items: tuple[Item, ...]) -> list[str]:
    """Draw an answer to each item: right in half of them, in one form or another."""
    draw = random.Random(f"answers to {task}")
    golds = sorted({item.gold for item in items})
    texts = []
    for item in items:
        x, y = (item.gold, draw.choice(golds))[:: draw.choice((1, -1))]
        fields = {"x": x, "y": y, "n": x.removeprefix("CWE-"), "b": x.rpartition("3.1/")[2]}
        texts.append(draw.choice(FORMS[task]).format(**fields))
    return texts


def compare(folder: Path, task: str, protocol: str) -> None:
    items = read_items(folder, task)
    texts = answers(task, items)
    distinct = {(item.text, item.gold): item.index for item in reversed(items)}
    kept = sorted(distinct.values()) if protocol == "faith" else range(len(items))
    read = {i: RULES[task, protocol](texts[i]) for i in kept}
    golds = {i: items[i].gold.rpartition("3.1/")[2] for i in kept}
    correct = sum(read[i] == golds[i] for i in kept)
    parseable = sum(value is not None for value in read.values())
    scored = score(
        open_task(task, folder),
        find_protocol(protocol, trials=1),
        items,
        {0: [Response(i, 0, text) for i, text in enumerate(texts)]},
    )
    flat = result(scored, summarise(scored, samples=10))
    assert (flat["n"], flat["parseable"], flat["correct"]) == (len(kept), parseable, correct)
    asked = parseable if protocol == "cti-bench" else len(kept)
    assert flat["strict_accuracy"] == correct / asked
    assert 0.05 < flat["strict_accuracy"] < 0.7
    if task == "cti-vsp":
        points = {vector: CVSS3(f"CVSS:3.1/{vector}").scores()[0] for vector in golds.values()}
        off = [abs(points[read[i]] - points[golds[i]]) for i in kept if read[i]]
        assert flat["mad"] == pytest.approx(float(sum(off)) / parseable, abs=1e-9)


@pytest.mark.parametrize(("task", "protocol"), RULES)
def test_a_rule_scores_as_an_independent_reading_of_it(
    task: str, protocol: str, tmp_path: Path
) -> None:
    golds = {
        "cti-mcq": [*"ABCD"],
        "cti-rcm": [f"CWE-{n}" for n in (20, 79, 89, 787)],
        "cti-vsp": [
            f"CVSS:3.1/AV:N/AC:L/PR:{p}/UI:N/S:U/C:H/I:{i}/A:H" for p in "NLH" for i in "NH"
        ],
    }[task]
    options = [f"Option {x}" for x in "ABCD"]
    header = ["URL", "Question" if task == "cti-mcq" else "Description", *options, "Prompt", "GT"]
    with (tmp_path / f"{task}.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(header)
        for n in range(300):
            row = [f"u{n}", f"t{n // 2 * 2 if n % 50 == 1 else n}", *options, "p"]
            writer.writerow([*row, golds[n % len(golds) if n % 50 != 1 else (n - 1) % len(golds)]])
    compare(tmp_path, task, protocol)


@pytest.mark.parametrize(("task", "protocol"), RULES)
def test_so_it_does_over_the_published_items(task: str, protocol: str, shared: Path) -> None:
    compare(shared / "cti-bench", task, protocol)


@pytest.mark.parametrize("protocol", ["model-card", "cti-bench"])
def test_always_c_scores_as_the_docs_say(protocol: str, shared: Path) -> None:
    with (shared / "cti-bench" / "cti-mcq.tsv").open(encoding="utf-8", newline="") as file:
        golds = [row["GT"].strip().upper() for row in csv.DictReader(file, delimiter="\t")]
    items = read_items(shared / "cti-bench", "cti-mcq")
    responses = {0: [Response(item.index, 0, "C") for item in items]}
    task = open_task("cti-mcq", shared / "cti-bench")
    scored = score(task, find_protocol(protocol, trials=1), items, responses)
    found = summarise(scored, samples=10)["strict_accuracy"]["mean"]
    assert found == golds.count("C") / len(golds) == pytest.approx(0.371, abs=5e-4)


# Of each model, as their table prints them: accuracy, mean absolute deviation, correct, plausible.
PUBLISHED = {
    "ChatGPT-4": {"cti-mcq": 71.0, "cti-rcm": 72.0, "cti-vsp": 1.31, "cti-taa": (52, 86)},
    "ChatGPT-3.5": {"cti-mcq": 54.1, "cti-rcm": 67.2, "cti-vsp": 1.57, "cti-taa": (44, 62)},
    "Gemini-1.5": {"cti-mcq": 65.4, "cti-rcm": 66.6, "cti-vsp": 1.09, "cti-taa": (38, 74)},
    "LLAMA3-70B": {"cti-mcq": 65.7, "cti-rcm": 65.9, "cti-vsp": 1.83, "cti-taa": (52, 80)},
    "LLAMA3-8B": {"cti-mcq": 61.3, "cti-rcm": 44.7, "cti-vsp": 1.91, "cti-taa": (28, 36)},
}


@pytest.mark.parametrize("task", ["cti-mcq", "cti-rcm", "cti-vsp", "cti-taa"])
@pytest.mark.parametrize("model", PUBLISHED)
def test_the_recorded_answers_of_the_authors_score_as_published(
    model: str, task: str, shared: Path
) -> None:
    path = Path(os.environ.get("CTI_BENCH_RESPONSES", "")) / f"{task}-responses.tsv"
    if not path.is_file():
        pytest.skip("the recorded answers are not here: CTI_BENCH_RESPONSES names their folder")
    (answers,) = read_recordings(path, task, shared / "cti-bench", column=model, partial=False)
    scored = rescore(answers, find_protocol("cti-bench"), shared / "cti-bench")
    flat = result(scored, summarise(scored, samples=10))
    published = PUBLISHED[model][task]
    if isinstance(published, tuple):
        assert (flat["strict_accuracy"], flat["plausible_rate"]) == tuple(
            n / 100 for n in published
        )
    elif task == "cti-vsp":
        assert round(flat["mad"], 2) == published
    else:  # the table truncates after the first decimal: 1,644 of 2,500 are 65.7
        assert math.floor(flat["strict_accuracy"] * 1000 + 1e-9) / 10 == published
