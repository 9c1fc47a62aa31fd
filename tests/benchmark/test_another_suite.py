"""One line in TASKS makes a task of another suite asked, scored, audited, exported and shown.

The task is in the form of AthenaBench's CKT: JSONL, five options, column names of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cybersecqwen.benchmark.breakdown import positions
from cybersecqwen.benchmark.interop.lm_eval import config, name_of, sample_scores, write_tasks
from cybersecqwen.benchmark.interop.lm_eval_results import write_results
from cybersecqwen.benchmark.interop.samples import Trial
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import read_recordings, read_run
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.benchmark.sensitivity import sensitivity
from cybersecqwen.benchmark.tasks import TASKS, read_benchmark, read_items
from cybersecqwen.benchmark.tasks.multiple_choice import cascade, gives_option, unique_answer
from cybersecqwen.benchmark.tasks.task import Extractor, Shots, Suite, Task
from cybersecqwen.config import Contamination
from cybersecqwen.contamination.audit import run_audit
from cybersecqwen.engines import Model, open_model
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json, read_jsonl, write_jsonl
from cybersecqwen.records import Item
from cybersecqwen.reports.audit_report import write_audit
from cybersecqwen.reports.comparison import ComparisonSettings, compare, write_comparison
from cybersecqwen.reports.protocols import protocol_text

NAME, LETTERS = "athena-ckt", "ABCDE"
ATHENA = Suite(
    name="athenabench",
    title="AthenaBench",
    source="github.com/Athena-Software-Group/athenabench",
    licence="see its repository",
    fetch="git clone https://github.com/Athena-Software-Group/athenabench",
)
INSTRUCTION = (
    "You are given a multiple-choice question of a CTI benchmark. Choose the best option among "
    "the five provided (A-E).\n\nEnd with a line like this.\n\nAnswer: C\n\nQuestion: "
)


def ckt_prompt(item: Item) -> str:
    lines = (f"{letter}) {text}" for letter, text in zip(LETTERS, item.options, strict=True))
    return "\n".join([f"{INSTRUCTION}{item.text}", *lines, ""])


def ckt_shot(item: Item, answer: str) -> str:
    return f"{ckt_prompt(item)}Answer: {answer}".rstrip()


def read_ckt(path: Path) -> tuple[Item, ...]:
    items = []
    for index, row in enumerate(read_jsonl(path)):
        if not re.fullmatch(f"[{LETTERS}]", row["answer"]):
            raise InputError(f"answer {row['answer']!r}", where=f"{path}:{index + 1}", tip="fix it")
        options = tuple(row[f"option_{letter.lower()}"] for letter in LETTERS)
        items.append(
            Item(NAME, index, row["prompt"], row["answer"], row["url"], row["question"], options)
        )
    return tuple(items)


CKT = Task(
    name=NAME,
    summary="answer a five-option CTI question",
    suite=ATHENA,
    file="athena-cti-ckt-3k.jsonl",
    read=read_ckt,
    placeholder=Item(NAME, 0, "", "E", text="QUESTION", options=tuple(LETTERS)),
    prompts={"item": ckt_prompt},
    shots={"model-card": Shots("", ckt_shot, stop=("\n\n",))},
    extractors={
        "cascade": Extractor("first `answer: X`, or the last line", cascade(LETTERS)),
        "unique-answer": Extractor(
            "a unique `answer: X`", unique_answer(LETTERS), protocols=("faith",)
        ),
    },
    gives_answer=gives_option,
    details=lambda predictions, golds: {
        "positions": positions(predictions, golds, letters=LETTERS)
    },
    answered=lambda gold, prompt: f"Answer: {gold}",
)

QUESTION = (
    "Which technique of the catalogue covers adversaries who hide the windows of their programs "
    "from a user who sits at the compromised desktop machine"
)
ROWS = [
    (QUESTION, ("Hidden Window", "Masquerading", "Rootkit", "Phishing", "Valid Accounts"), "A"),
    ("What does T1059 name?", ("Rootkits", "Theft", "Tunnels", "Mail", "Interpreters"), "E"),
    ("Who maintains ATT&CK?", ("NIST", "CISA", "MITRE", "ENISA", "SANS"), "C"),
    ("What is CAPEC?", ("A worm", "A port", "A law", "A list of attack patterns", "A CPU"), "D"),
    ("What is a CNA?", ("A fuzzer", "A numbering authority", "A key", "A tool", "A bug"), "B"),
    ("What is KEV?", ("A cipher", "A kernel", "A hash", "A vendor", "A list of exploited"), "E"),
    ("What does EPSS give?", ("A chance", "A patch", "A name", "A log", "A date"), "A"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register the task by the one line, and write a benchmark's folder with its file."""
    monkeypatch.setitem(TASKS, NAME, CKT)
    rows = []
    for question, options, answer in ROWS:
        named = {f"option_{x.lower()}": text for x, text in zip(LETTERS, options, strict=True)}
        item = Item(NAME, 0, "", answer, text=question, options=options)
        row = {"url": "https://example.org/ckt", "question": question, **named}
        rows.append(row | {"prompt": ckt_prompt(item), "answer": answer})
    write_jsonl(tmp_path / "athena" / CKT.file, rows)
    return tmp_path / "athena"


def run(model: Model, folder: Path, out: Path, protocol: str = "model-card") -> Path:
    evaluate(model, NAME, find_protocol(protocol, trials=1), benchmark=folder, out=out)
    return out


def gold(folder: Path, path: Path) -> Model:
    items = read_items(folder, NAME)
    write_jsonl(path, ({"item": i.index, "text": f"Answer: {i.gold}"} for i in items))
    return open_model(path)


def test_it_is_read_and_its_gold_is_checked(folder: Path) -> None:
    items = read_items(folder, NAME)
    assert [len(item.options) for item in items] == [5] * len(ROWS)
    assert list(read_benchmark(folder, complete=True)) == [NAME]
    write_jsonl(folder / CKT.file, [next(read_jsonl(folder / CKT.file)) | {"answer": "F"}])
    with pytest.raises(InputError, match=r"jsonl:1: answer 'F'"):
        read_items(folder, NAME)


@pytest.mark.parametrize("protocol", ["model-card", "paper", "faith", "cti-bench"])
def test_its_gold_is_perfect_under_every_protocol(
    folder: Path, tmp_path: Path, protocol: str
) -> None:
    out = run(gold(folder, tmp_path / "gold.jsonl"), folder, tmp_path / "run", protocol)
    scores = read_json(out / "evaluation" / NAME / protocol / "scores.json")
    assert scores["strict_accuracy"]["mean"] == scores["parseable_rate"]["mean"] == 1
    assert scores["extension"] is True
    assert scores["extractor"] == ("unique-answer" if protocol == "faith" else "cascade")
    assert scores["benchmark"]["name"] == "custom"
    assert set(scores["details"]["positions"]["letters"]) == set(LETTERS)
    assert CKT.extractors["cascade"].read("").answer is None


def test_the_embedded_model_answers_it_and_options_can_be_permuted(
    folder: Path, tmp_path: Path
) -> None:
    protocol = find_protocol("model-card", permute=5)
    evaluate(open_model("embedded"), NAME, protocol, benchmark=folder, out=tmp_path)
    scores = read_json(tmp_path / "evaluation" / NAME / "model-card" / "scores.json")
    assert scores["parseable_rate"]["mean"] == 1
    assert scores["details"]["permutations"]["by_position"].keys() == set("01234")


def test_decontamination_finds_its_items_and_its_answers(folder: Path, tmp_path: Path) -> None:
    alike = QUESTION.replace("hide", "conceal").replace("sits", "works").replace("desktop ", "")
    write_jsonl(
        tmp_path / "train.jsonl",
        [
            {"prompt": f"Read: {QUESTION}", "completion": "I do not know."},
            {"prompt": f"{QUESTION} A) Rootkit", "completion": "It is called Hidden Window."},
            {"prompt": "Rain fell all day over the hills.", "completion": "So it did."},
            {"prompt": alike, "completion": "It is called Hidden Window."},
            {"prompt": alike, "completion": "It is called Masquerading."},
        ],
    )
    settings = Contamination(ngram=50, similarity=0.99, similarity_with_answer=0.5)
    audit = run_audit(tmp_path / "train.jsonl", read_benchmark(folder), settings)
    hits = {(o.row.number, o.hit.rule, o.hit.has_answer) for o in audit.overlaps}
    assert {hit[0] for hit in hits} == {0, 1, 3}
    assert (0, "exact", False) in hits
    assert (1, "exact", True) in hits
    assert (3, "answer-aware", True) in hits
    _, page = write_audit(audit, read_benchmark(folder), tmp_path / "audit", train="train.jsonl")
    assert "E) Valid Accounts" in page.read_text(encoding="utf-8")


def test_it_is_exported_to_lm_evaluation_harness(folder: Path, tmp_path: Path) -> None:
    for kind in ("instruct", "base"):
        trial = Trial(find_protocol("model-card"), folder, kind)
        write_tasks([NAME], tmp_path / kind, trial=trial)
        assert (tmp_path / kind / f"{name_of(NAME)}.yaml").is_file()
        rows = list(read_jsonl(tmp_path / kind / f"{NAME}.jsonl"))
        for row in rows:
            answer = f"Because.\nAnswer: {row['gold']}"
            assert sample_scores(row, answer, tmp_path)["strict_accuracy"] == 1
            assert sample_scores(row, "", tmp_path)["parseable_rate"] == 0
    assert config(trial, NAME)["generation_kwargs"]["until"] == ["\n\n"]
    assert rows[0]["prompt"].count("Answer: ") > rows[0]["prompt"].count("Answer: C")
    out = run(gold(folder, tmp_path / "gold.jsonl"), folder, tmp_path / "run")
    [written] = write_results(read_run(out), folder, tmp_path / "results")
    assert read_json(written)["results"][name_of(NAME)]["strict_accuracy,none"] == 1


def test_it_is_a_task_of_inspect(folder: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai._util.registry import registry_lookup

    from cybersecqwen.benchmark.interop.inspect_tasks import inspect_task, register_tasks

    task = inspect_task(NAME, folder, find_protocol("model-card"))
    assert [sample.target for sample in task.dataset] == [answer for *_, answer in ROWS]
    register_tasks()
    assert registry_lookup("task", "cybersecqwen/athena_ckt")


def test_it_is_listed_in_tables_and_pages(folder: Path, tmp_path: Path) -> None:
    runs = [run(gold(folder, tmp_path / "gold.jsonl"), folder, tmp_path / "gold")]
    runs.append(run(open_model("embedded"), folder, tmp_path / "embedded"))
    found = compare(runs, folder, settings=ComparisonSettings())
    [table] = found["tables"]
    assert (table["task"], table["rows"][0]["value"]["mean"]) == (NAME, 1)
    for path in write_comparison(found, tmp_path / "comparison"):
        assert NAME in path.read_text(encoding="utf-8"), path
    assert re.search(rf"{NAME} .*unique-answer.*no, ours", protocol_text(find_protocol("faith")))


def test_recordings_of_it_are_scored_and_read_by_every_rule(folder: Path, tmp_path: Path) -> None:
    gold(folder, tmp_path / f"{NAME}-model.jsonl")
    [responses] = read_recordings(tmp_path / f"{NAME}-model.jsonl", NAME, folder)
    rows = sensitivity(responses, folder)
    assert {row.extractor for row in rows} >= {"cascade", "unique-answer"}
    assert {row.accuracy for row in rows} == {1.0}
    assert json.dumps([row.summary for row in rows])
