"""Generate training data by a teacher model, resumably, and count what it costs.

    model = "CyberPal-2.0-20B@http://localhost:8000/v1"
    teacher = open_teacher(model, prices=Prices(0.10, 0.40))
    responses, usage = generate(teacher, requests, folder / "answers.jsonl")
    for response in responses:             # one for each request, by item and trial
        reason = failure_reason(response)  # "" or why the teacher gave no text

Every answer is in the file as it comes. A killed or failed run goes on with what is missing when
it is called again; a file begun for other requests or another teacher is refused. A request
whose (item, trial) is asked twice would be answered once: number them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cybersecqwen.engines import Model, failure_reason, open_model
from cybersecqwen.engines.progress_bar import ProgressBar
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.engines.response_log import generate_missing
from cybersecqwen.errors import EngineError
from cybersecqwen.files import Json
from cybersecqwen.records import Request, Response

_FUTILE = 50  # requests without a text, and none with one: the teacher is set up wrongly


@dataclass(frozen=True)
class Prices:
    """The prices of a teacher for a million tokens, read and written, in one currency."""

    prompt: float
    completion: float


@dataclass(frozen=True)
class Teacher:
    """A model that writes training data, and its prices where it has any."""

    model: Model
    prices: Prices | None = None

    @property
    def identity(self) -> Json:
        """The identity of its model; JSON-able, never a key."""
        return self.model.identity


@dataclass(frozen=True)
class Usage:
    """The tokens and the cost of all responses, and the time and rates of this call.

    `cost` is in the currency of the prices, None without them.
    """

    requests: int
    without_text: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    asked_now: int
    seconds: float
    answers_per_second: float
    tokens_per_second: float

    def json(self) -> Json:
        """Return it as a JSON object."""
        return asdict(self)


def open_teacher(model: str | Path, *, prices: Prices | None = None, **options: Any) -> Teacher:
    """Open any model as a teacher, named as for `open_model` and with its options.

    A server that is busy (429, 503) is waited for; a request that it gives no text for is
    answered by an empty response, see `failure_reason`.
    """
    return Teacher(open_model(model, give_up=True, **options), prices)


def generate(
    teacher: Teacher, requests: Sequence[Request], path: Path, *, label: str = "teacher"
) -> tuple[list[Response], Usage]:
    """Return the response to each request, by item and trial, and what they took.

    The text of a response is its answer: reasoning in it stands apart, as in its field.

    Raises EngineError when the teacher fails, with every answer so far kept: the same call goes
    on from there. Raises StageError when the file holds answers to other requests.
    """
    meter = _Meter(label, len(requests), teacher.prices)
    responses = generate_missing(teacher.model, {path: requests}, progress=meter)[path]
    return [_answered(response) for response in responses], meter.usage(responses)


def _answered(response: Response) -> Response:
    answer = read_answer(response.text)
    reasoning = response.reasoning or answer.reasoning
    return replace(response, text=answer.text, reasoning=reasoning)


class _Meter(ProgressBar):
    """A progress bar that sums up tokens and their cost, and stops a futile run."""

    def __init__(self, label: str, total: int, prices: Prices | None) -> None:
        super().__init__(label, total, unit="answer")
        self._prices = prices
        self._told = self._futile = 0
        self._read = self._written = 0

    def note(self, response: Response) -> None:
        """Add up the tokens."""
        self._read += response.prompt_tokens
        self._written += response.completion_tokens

    def tell(self, response: Response) -> None:
        """Add up an answer; raises EngineError where the teacher has no text for anything."""
        super().tell(response)
        self._told += 1
        self._futile += bool(failure_reason(response))
        if self._futile == self._told == _FUTILE:
            raise EngineError(
                f"the first {_FUTILE} requests got no text: {failure_reason(response)}",
                tip="check the URL, the model's name and the settings",
            )

    def shown(self, speed: float) -> str:
        """Return the tokens so far, their rate and their cost."""
        cost = self._cost(self._read, self._written)
        tokens = f"{self._read:,} tokens in, {self._written:,} out, {speed:,.0f}/s"
        return tokens + ("" if cost is None else f", cost {cost:,.4f}")

    def usage(self, responses: Sequence[Response]) -> Usage:
        """Sum up what all the answers took, and how fast this call's came."""
        read = sum(response.prompt_tokens for response in responses)
        written = sum(response.completion_tokens for response in responses)
        seconds = max(self.seconds, 1e-9)
        return Usage(
            requests=len(responses),
            without_text=sum(bool(failure_reason(response)) for response in responses),
            prompt_tokens=read,
            completion_tokens=written,
            cost=self._cost(read, written),
            asked_now=self._told,
            seconds=round(self.seconds, 3),
            answers_per_second=round(self._told / seconds, 3),
            tokens_per_second=round(self._tokens / seconds, 1),
        )

    def _cost(self, read: int, written: int) -> float | None:
        if self._prices is None:
            return None
        cost = (read * self._prices.prompt + written * self._prices.completion) / 1e6
        return round(cost, 6)
