"""The embedded model answers in the form that every extractor reads, from the prompt alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from cybersecqwen.artifacts import FOLDER
from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.benchmark.score import extractor
from cybersecqwen.benchmark.tasks import TASKS, cti_mcq, cti_rcm, read_items
from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.benchmark.tasks.multiple_choice import cascade
from cybersecqwen.benchmark.trial import few_shots, trial_requests
from cybersecqwen.engines.embedded_model import EmbeddedEngine, _reason
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import sha256_file
from cybersecqwen.prompts import mcq_prompt, rcm_prompt
from cybersecqwen.records import Answer, Evidence, Item, Request, Sampling
from cybersecqwen.sample import BENCHMARK

CARD = PROTOCOLS["model-card"]
ITEMS = {task: read_items(BENCHMARK, task) for task in ("cti-rcm", "cti-mcq")}
MANY = pytest.mark.parametrize("task", ITEMS)


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return EmbeddedEngine()


def answer(engine: EmbeddedEngine, prompt: str, *, raw: bool = False) -> str:
    sampling = Sampling(0.3, 1.0, 512, 42)
    asked = Request(0, 0, prompt if raw else (("user", prompt),), sampling)
    return next(iter(engine.generate([asked]))).text


def rcm_shot(text: str, cwe: str = "") -> str:
    return cti_rcm.shot(Item("cti-rcm", 0, "", cwe, text=text), cwe)


def decision(text: str) -> str:
    return text.rsplit("\n", 1)[-1]


@MANY
def test_every_extractor_reads_the_decision(engine: EmbeddedEngine, task: str) -> None:
    for response in engine.generate(trial_requests(CARD, ITEMS[task], kind="instruct", trial=0)):
        *argument, blank, last = response.text.split("\n")
        assert argument
        assert blank == ""
        for rule in TASKS[task].extractors.values():
            if "item" in rule.fits:
                assert rule.read(response.text).answer == last


@MANY
def test_the_decision_takes_the_form_that_faith_asks_for(engine: EmbeddedEngine, task: str) -> None:
    protocol = PROTOCOLS["faith"]
    read = extractor(TASKS[task], protocol).read
    card = engine.generate(trial_requests(CARD, ITEMS[task], kind="instruct", trial=0))
    decided = {response.item: decision(response.text) for response in card}
    for response in engine.generate(
        trial_requests(protocol, ITEMS[task], kind="instruct", trial=0)
    ):
        reading = read(response.text)
        assert reading.proper
        assert reading.answer == decided[response.item]


@MANY
def test_a_base_model_s_prompt_gets_the_same_decision_and_nothing_else(
    engine: EmbeddedEngine, task: str
) -> None:
    chats = engine.generate(trial_requests(CARD, ITEMS[task], kind="instruct", trial=0))
    raws = engine.generate(trial_requests(CARD, ITEMS[task], kind="base", trial=1))
    assert [decision(chat.text) for chat in chats] == [raw.text for raw in raws]


@MANY
def test_sampling_gold_link_and_neighbours_have_no_effect(
    engine: EmbeddedEngine, task: str
) -> None:
    asked = trial_requests(CARD, ITEMS[task], kind="instruct", trial=0)
    expected = [response.text for response in engine.generate(asked)]
    blind = [replace(item, gold="", url="", text="", options=()) for item in ITEMS[task]]
    hot = replace(CARD, temperature=2.0, max_tokens=1)
    others = trial_requests(hot, blind[::-1], kind="instruct", trial=3)
    assert [r.text for r in engine.generate(others)] == expected[::-1]
    assert [next(iter(engine.generate([one]))).text for one in asked] == expected


def test_a_letter_follows_its_option_wherever_it_stands(engine: EmbeddedEngine) -> None:
    question = "Which CWE is about the deserialization of untrusted data?"
    options = ("CWE-79", "CWE-502", "CWE-89", "CWE-22")
    for order in permutations(options):
        letter = decision(answer(engine, mcq_prompt(question, order)))
        assert order["ABCD".index(letter)] == "CWE-502"


def test_every_form_of_a_question_gets_one_answer(engine: EmbeddedEngine) -> None:
    item = ITEMS["cti-mcq"][0]
    faith = (
        "Given the following question and four candidate answers (A, B, C and D), choose the best "
        f"answer.\n\n{item.text}\n\n"
    )
    lines = "\n".join(f"{name}. {text}" for name, text in zip("ABCD", item.options, strict=True))
    forms = [
        item.prompt,
        faith + lines,
        cti_mcq.TASK.shots["model-card"].preamble + cti_mcq.shot(item, ""),
        few_shots(CARD, ITEMS["cti-mcq"], ITEMS["cti-mcq"][:1], trial=1)[0],
    ]
    assert len({decision(answer(engine, form)) for form in forms}) == 1


def test_a_cwe_id_that_the_description_names_is_not_the_decision(engine: EmbeddedEngine) -> None:
    text = (
        "SQL injection in the id parameter of login.php allows remote attackers to execute "
        "arbitrary SQL commands, aka CWE-787. Answer: CWE-416"
    )
    assert last_cwe(answer(engine, rcm_prompt(text))) == "CWE-89"


@pytest.mark.parametrize("name", ["Answer: A", "The answer is A", "Option A", "Plain"])
def test_the_name_of_an_entry_is_no_trap_for_the_cascade(name: str) -> None:
    evidence = Evidence("T1000", name, "technique", "description", "", 20.0)
    text = f"{_reason(Answer('D', 0.5, covered=True, evidence=(evidence,)))}\n\nD"
    assert cascade("ABCD")(text).answer == "D"
    assert "T1000" in text


def test_a_guess_is_called_one(engine: EmbeddedEngine) -> None:
    options = ("qwxzv", "vzkpt", "mmrtl", "zzyqp")
    text = answer(engine, mcq_prompt("Xyzzy plugh frotz?", options))
    assert "guess" in text
    assert decision(text) in "ABCD"


@pytest.mark.parametrize("text", ["Mix two cups of flour with an egg and bake the cake.", ""])
def test_what_is_no_vulnerability_gets_a_guess_that_is_called_one(
    engine: EmbeddedEngine, text: str
) -> None:
    shown = answer(engine, rcm_prompt(text))
    assert shown.startswith("A best guess, for the text ")
    assert last_cwe(shown) == decision(shown)
    shots = "\n\n".join((rcm_shot("other", "CWE-79"), rcm_shot(text)))
    assert answer(engine, shots, raw=True) == decision(shown)


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the capital of France?",
        "Calculate the CVSS v3.1 Base Score.  CVE Description: A buffer overflow in foo. ",
        "Extract all MITRE Enterprise attack patterns.  **Text:** a tool",
        "",
    ],
)
def test_an_unknown_task_is_refused_before_any_answer(
    engine: EmbeddedEngine, ask: Callable[..., Request], prompt: str
) -> None:
    known = ask(0, rcm_prompt("SQL injection in login.php."))
    with pytest.raises(EngineError, match=r"item 1, trial 0: the prompt asks neither"):
        next(engine.generate([known, ask(1, prompt)]))


def test_the_description_tells_book_and_artifacts(engine: EmbeddedEngine) -> None:
    about = json.loads(json.dumps(engine.describe()))
    assert about["books"] == {"cti-rcm": "closed", "cti-mcq": "open"}
    assert about["deterministic"] is True
    for name, facts in about["artifacts"].items():
        assert facts["sha256"] == sha256_file(FOLDER / name)
        assert facts["bytes"] == (FOLDER / name).stat().st_size


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ranker\.json: no such file"):
        EmbeddedEngine(tmp_path).describe()


@pytest.mark.shared
@pytest.mark.parametrize("task", ["cti-vsp", "cti-taa", "cti-ate"])
def test_the_benchmark_s_other_tasks_are_refused(
    engine: EmbeddedEngine, shared: Path, task: str
) -> None:
    for item in read_items(shared / "cti-bench", task):
        with pytest.raises(EngineError, match="the prompt asks neither"):
            answer(engine, item.prompt)


@pytest.mark.shared
def test_questions_are_answered_as_an_extractor_reads_them(
    engine: EmbeddedEngine, shared: Path
) -> None:
    items: tuple[Item, ...] = read_items(shared / "cti-bench", "cti-mcq")[:500]
    for response in engine.generate(trial_requests(CARD, items, kind="instruct", trial=0)):
        assert cascade("ABCD")(response.text).answer == decision(response.text)
