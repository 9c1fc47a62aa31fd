"""Another model on top of what ships: its vote, its failure, and the rest after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cybersecqwen.analyst.classification import Classification, Given
from cybersecqwen.analyst.classification import classify as classify_texts
from cybersecqwen.analyst.questions import Question
from cybersecqwen.records import Request, Response
from cybersecqwen.service.inference import Inference
from cybersecqwen.service.settings import ServiceSettings

DOUBTFUL = "A memory flaw in Foo."
TEXT = "SQL injection in login.php allows attackers to read the database."


def settings(tmp_path: Path, model: str) -> ServiceSettings:
    return ServiceSettings(folder=tmp_path, model=model, model_timeout=2)


def test_a_server_that_fails_means_the_embedded_answer_and_a_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = Inference(settings(tmp_path, "x@http://127.0.0.1:9/v1"))

    async def classify() -> tuple[str, dict[str, object]]:
        [result] = await inference.classify([Given("a", TEXT)])
        facts = inference.facts("classify", result.grounding)
        return result.candidates[0].cwe, facts

    cwe, facts = asyncio.run(classify())
    assert cwe == "CWE-89"
    assert facts["engine"] == "embedded"
    assert "9" in str(facts["fallback"])
    monkeypatch.setattr(inference, "_model", "not asked while it rests")
    assert asyncio.run(classify())[1]["fallback"] == facts["fallback"]
    monkeypatch.setattr(inference, "_model", None)
    answer, _ = asyncio.run(inference.ask(Question(0, "What is CWE-79?")))
    assert answer.covered
    assert inference.facts("ask", answer.grounding)["fallback"] == facts["fallback"]
    monkeypatch.setattr(inference, "_rest_until", 0.0)
    assert asyncio.run(classify())[1]["fallback"]  # asked again, and failed again
    inference.close()


class Voting:
    """A model that gives the same answer to whatever it is asked."""

    name, failure = "big-model", ""

    def __init__(self, text: str) -> None:
        self.text = text

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        for one in requests:
            yield Response(one.item, one.trial, self.text, "stop")


def test_another_model_chooses_among_the_candidates_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = Inference(settings(tmp_path, "big-model@http://127.0.0.1:9/v1"))

    async def classify() -> tuple[str, dict[str, object]]:
        [result] = await inference.classify([Given("a", DOUBTFUL)])
        return result.candidates[0].cwe, inference.facts("classify", result.grounding)

    [embedded] = classify_texts([DOUBTFUL])
    second = embedded.candidates[1].cwe
    monkeypatch.setattr(inference, "_open_model", lambda: Voting(second))
    cwe, facts = asyncio.run(classify())
    assert cwe == second
    assert (facts["engine"], facts["model"], "fallback" in facts) == ("http", "big-model", False)
    monkeypatch.setattr(inference, "_open_model", lambda: Voting("CWE-99999"))
    assert asyncio.run(classify())[0] != "CWE-99999"
    inference.close()


def test_an_error_reaches_each_request_that_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = Inference(settings(tmp_path, "embedded"))

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(inference, "_classified", fail)

    async def both() -> list[object]:
        waiting = (inference.classify([Given(name, TEXT)]) for name in "ab")
        return await asyncio.gather(*waiting, return_exceptions=True)

    assert [str(error) for error in asyncio.run(both())] == ["broken", "broken"]
    inference.close()


def test_long_texts_leave_the_event_loop_free(tmp_path: Path) -> None:
    inference = Inference(settings(tmp_path, "embedded"))
    texts = [Given(i, f"{TEXT} " * 300) for i in range(4)]

    async def classify() -> list[object]:
        work = asyncio.ensure_future(inference.classify(texts))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0)
            ticks += 1
        assert ticks > 10
        return [one.id for one in work.result()]

    assert asyncio.run(classify()) == [0, 1, 2, 3]
    inference.close()


def test_texts_that_come_turn_by_turn_are_classified_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = Inference(settings(tmp_path, "embedded"))
    sizes, classified = [], inference._classified

    def note(given: Sequence[Given], *limits: float) -> list[Classification]:
        sizes.append(len(given))
        return classified(given, *limits)

    monkeypatch.setattr(inference, "_classified", note)

    async def late(turns: int) -> list[Classification]:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await inference.classify([Given(turns, TEXT)])

    async def together() -> list[list[Classification]]:
        return await asyncio.gather(*map(late, range(100)))

    assert [one.id for [one] in asyncio.run(together())] == list(range(100))
    assert sizes == [64, 36]
    inference.close()


def test_settings_go_to_workers_as_they_are(tmp_path: Path) -> None:
    given = settings(tmp_path, "embedded")
    assert ServiceSettings.model_validate_json(given.model_dump_json()) == given
