"""The model behind the service: texts of many requests classified together, and questions answered.

    inference = Inference(settings)
    [result] = await inference.classify([Given("a", "SQL injection in login.php.")], 3)
    inference.facts(result)      # engine, model, sha256 of the artifact, protocol

What ships answers alone, or is the candidate generator of another model that the settings name. A
text that comes while others are being classified waits for them, and goes with all that have come
meanwhile: a batch takes a fraction of the time of its texts one by one. Where the other model
fails, the embedded answer stands and says so, and the model is tried again after a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cybersecqwen.analyst.classification import Classification, Given, classify
from cybersecqwen.analyst.embedded_classifier import Classifier, Embedded
from cybersecqwen.analyst.grounded_answers import write_answers
from cybersecqwen.analyst.grounded_classifier import GroundedClassifier
from cybersecqwen.analyst.optional_model import OptionalModel
from cybersecqwen.analyst.questions import Conversation, Question
from cybersecqwen.analyst.questions import ask as answer_question
from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.engines import engine_of
from cybersecqwen.files import Json, read_json
from cybersecqwen.service.tracing import no_span

if TYPE_CHECKING:
    from cybersecqwen.analyst.lookup import Lookup
    from cybersecqwen.records import Answer, Grounding
    from cybersecqwen.service.settings import ServiceSettings

_TOGETHER = 64  # texts of different requests that are classified together
_LIGHT = 40_000  # characters that are classified without leaving the event loop
_REST = 30.0  # seconds for which a model that failed is not asked
_THREADS = 4
_SAMPLES = 5  # answers of a language model that vote
_ARTIFACTS = {"classify": "cwe-classifier.npz", "ask": "knowledge.npz"}


class _Waiting(NamedTuple):
    given: Given
    top: int
    threshold: float
    result: asyncio.Future[Classification]


class Inference:
    """Classifies and answers by what ships, or by the model of the settings on top of it."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        span: Callable[..., AbstractContextManager[object]] = no_span,
    ) -> None:
        self._settings, self._span = settings, span
        self._embedded: Classifier = Embedded()
        self._is_server = engine_of(settings.model) == "http"
        self._model: OptionalModel | None = None
        self._failure = ""
        self._rest_until = 0.0
        self._waiting: list[_Waiting] = []
        self._flushing = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inference")
        # A model in this process takes one batch at a time.
        threads = _THREADS if self.is_embedded or self._is_server else 1
        self._model_threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._protocol = _protocol_name()
        self._facts = {task: self._artifact_facts(task) for task in _ARTIFACTS}

    @property
    def is_embedded(self) -> bool:
        """Tell whether what ships answers alone."""
        return self._settings.model == "embedded"

    async def classify(
        self, given: Sequence[Given], *, top: int = 3, threshold: float | None = None
    ) -> list[Classification]:
        """Classify texts, in their order, together with those of other requests."""
        with self._span("classify", texts=len(given), model=self._settings.model):
            return await self._classify(given, top, threshold)

    async def _classify(
        self, given: Sequence[Given], top: int, threshold: float | None
    ) -> list[Classification]:
        level = self._settings.threshold if threshold is None else threshold
        loop = asyncio.get_running_loop()
        if len(given) > _TOGETHER or not self.is_embedded:
            work = partial(self._classified, given, top, level)
            return await loop.run_in_executor(self._model_threads, work)
        futures = [loop.create_future() for _ in given]
        for one, future in zip(given, futures, strict=True):
            self._waiting.append(_Waiting(one, top, level, future))
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush, 0)
        return [await future for future in futures]

    def _flush(self, seen: int) -> None:
        """Classify what waits, once a turn of the loop has brought no more than was `seen`.

        That is done at once where it is little, else beside the event loop.
        """
        loop = asyncio.get_running_loop()
        if seen < len(self._waiting) < _TOGETHER:
            loop.call_soon(self._flush, len(self._waiting))
            return
        some, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
        self._flushing = bool(self._waiting)
        if self._flushing:
            loop.call_soon(self._flush, 0)
        if sum(len(one.given.text) for one in some) <= _LIGHT:
            _settle(some, self._batch(some))
        else:
            task = loop.run_in_executor(self._threads, self._batch, some)
            task.add_done_callback(lambda done: _settle(some, done.result()))

    def _batch(self, some: Sequence[_Waiting]) -> list[Classification | Exception]:
        results: list[Classification | Exception] = []
        try:
            settings = {(one.top, one.threshold) for one in some}
            if len(settings) == 1:
                [(top, threshold)] = settings
                results += self._classified([one.given for one in some], top, threshold)
            else:
                for one in some:
                    results += self._classified([one.given], one.top, one.threshold)
        except Exception as error:  # noqa: BLE001 # each of the requests gets it
            results = [error] * len(some)
        return results

    def _classified(
        self, given: Sequence[Given], top: int, threshold: float
    ) -> list[Classification]:
        classifier, model = self._embedded, self._open_model()
        if model:
            classifier = GroundedClassifier(model, self._embedded, samples=_SAMPLES)
        results = list(classify(given, classifier=classifier, top=top, threshold=threshold))
        self._note_failure(model)
        return results

    def _open_model(self) -> OptionalModel | None:
        """Return the model of the settings; None where there is none, or it rests."""
        if self.is_embedded or time.monotonic() < self._rest_until:
            return None
        if self._model is None:
            options: Json = {}
            if self._is_server:
                options = {"timeout": self._settings.model_timeout, "retries": 1}
            self._model = OptionalModel(self._settings.model, **options)
        return self._model

    def _note_failure(self, model: OptionalModel | None) -> None:
        """Leave a model alone for a while that failed for good, and open it anew then."""
        if model and model.failure:
            self._model, self._failure = None, model.failure
            self._rest_until = time.monotonic() + _REST

    async def ask(
        self, question: Question, *, about: Sequence[str] = (), guess: bool = False
    ) -> tuple[Answer, tuple[str, ...]]:
        """Answer a question; `about` are the ids that the one before was about, as this returns."""
        loop = asyncio.get_running_loop()
        work = partial(self._asked, question, about, guess)
        with self._span("ask", model=self._settings.model):
            return await loop.run_in_executor(self._model_threads, work)

    async def subject(self, question: str, about: Sequence[str]) -> tuple[str, ...]:
        """Return what a conversation is about after a question, without the model's answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _subject, question, about)

    def _asked(
        self, question: Question, about: Sequence[str], guess: bool
    ) -> tuple[Answer, tuple[str, ...]]:
        if question.options:
            answer = answer_question(question.text, question.options, guess=guess)
            subject: tuple[str, ...] = ()
        else:
            talk = Conversation(about=about)
            answer = talk.ask(question.text)
            subject = talk.about
        return self._written(question, answer), subject

    def _written(self, question: Question, answer: Answer) -> Answer:
        model = self._open_model()
        if not model:
            return answer
        [(_, written)] = write_answers([(question, answer)], model)
        self._note_failure(model)
        return written

    async def look_up(self, cve_id: str) -> Lookup:
        """Look a CVE up in what `fetch` left in its cache; raises InputError where it is not."""
        from cybersecqwen.analyst.lookup import look_up

        loop = asyncio.get_running_loop()
        work = partial(_first, look_up, Given(cve_id, ""))
        return await loop.run_in_executor(self._threads, work)

    def facts(self, task: str, grounding: Grounding | None = None) -> Json:
        """Return what answered: engine, model, the artifact's sha256 and the protocol.

        `fallback` says why the model of the settings did not, where it should have.
        """
        if self.is_embedded:
            return self._facts[task]
        failure = grounding.failure if grounding else self._resting()
        if failure:
            asked = {"model": self._settings.model, "reason": failure}
            return self._facts[task] | {"fallback": asked}
        if grounding is None:  # out of scope or not covered, which is not put to the model
            return self._facts[task]
        engine = engine_of(self._settings.model)
        return self._facts[task] | {"engine": engine, "model": grounding.model}

    def embedded_facts(self, task: str) -> Json:
        """Return the facts of what ships, whose answer some routes always give."""
        return self._facts[task]

    def _resting(self) -> str:
        """Say why the model of the settings is not asked, "" where it is."""
        return self._failure if time.monotonic() < self._rest_until else ""

    def _artifact_facts(self, task: str) -> Json:
        name = _ARTIFACTS[task]
        certificate = read_json(certificate_of(FOLDER, name))
        return {
            "engine": "embedded",
            "model": "embedded",
            "artifact": name,
            "sha256": certificate["sha256"],
            "protocol": self._protocol,
        }

    def warm_up(self) -> None:
        """Load what the first request would otherwise wait for."""
        list(classify(["SQL injection in a form."], classifier=self._embedded))
        answer_question("What is CWE-79?")

    def close(self) -> None:
        """Finish what has begun, and end the threads."""
        self._threads.shutdown()
        self._model_threads.shutdown()


def _subject(question: str, about: Sequence[str]) -> tuple[str, ...]:
    talk = Conversation(about=about)
    talk.ask(question)
    return talk.about


def _settle(some: Sequence[_Waiting], results: Sequence[Classification | Exception]) -> None:
    """Hand each request its result, unless its client has gone."""
    for one, result in zip(some, results, strict=True):
        if one.result.done():
            continue
        if isinstance(result, Exception):
            one.result.set_exception(result)
        else:
            one.result.set_result(result)


def _protocol_name() -> str:
    protocol = find_protocol("model-card")
    return f"model-card/{protocol.version}"


def _first(look_up: Any, given: Given) -> Lookup:
    view: Lookup = next(look_up([given]))
    return view
