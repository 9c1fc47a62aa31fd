"""The interface of the engines, the model that opening one returns, and empty responses.

An engine may be told to give up on a request that a server has no text for; the response is then
empty and names the reason:

>>> from cybersecqwen.records import Sampling
>>> request = Request(7, 0, (("user", "Which CWE?"),), Sampling(0.3, 1.0, 512, 42))
>>> failure_reason(empty_response(request, "HTTP 400"))
'HTTP 400'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from cybersecqwen.files import Json
from cybersecqwen.records import Request, Response

Kind = Literal["instruct", "base"]  # of a model: it takes chats, or raw texts to go on with

_NO_ANSWER = "no answer: "  # how the finish_reason of an empty response begins


class Engine(Protocol):
    """A way to get text from a model."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield the response to each request once, as soon as it is there, in any order.

        `item` and `trial` of a response say what it answers. Where a request fails, no
        further work is begun, the other answers that are ready or under way are yielded,
        and then the first EngineError is raised. Closing the iterator early stops the work.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return, in JSON-able values, what a reader needs to make the same texts again."""
        ...

    def identity(self) -> Json:
        """Return, in JSON-able values, what tells the model from every other one."""
        ...


@dataclass(frozen=True)
class Model:
    """A model that is ready to use: what to call it, its engine, and the prompts it takes."""

    name: str
    engine: Engine
    kind: Kind = "instruct"

    @cached_property
    def identity(self) -> Json:
        """The values that tell it from every other one; of a folder, the checksums of its files."""
        return self.engine.identity()


@dataclass(frozen=True)
class EngineOptions:
    """How a model is opened; an engine ignores what does not concern it.

    `batch_size` is for a model in this process, everything from `concurrency` on for a server.
    `timeout` is in seconds, for one attempt: by default 600, and 120 for a probe. `request` holds
    fields of the request's body: None leaves a field out, the name of a setting stands for its
    value. The key is `api_key`, else what the variable `api_key_env` holds, else OPENAI_API_KEY.
    With `give_up`, a request for which a server has no text gets an empty response that says why;
    so do up to `allow_failed` requests of each call that fail for good.
    """

    kind: Kind = "instruct"
    batch_size: int | None = None  # requests at once; None is as many as memory allows
    concurrency: int = 32  # requests at once
    timeout: float | None = None
    retries: int = 8
    request: Mapping[str, Any] = field(default_factory=dict)
    ca_bundle: Path | None = None
    api_key_env: str = ""
    api_key: str | None = field(default=None, repr=False)
    give_up: bool = False
    allow_failed: int = 0


class EngineType(Protocol):
    """The class of an engine, which knows the models that are its own."""

    def recognises(self, model: str) -> bool:
        """Tell whether a string names a model of this kind."""
        ...

    def open(self, model: str, options: EngineOptions) -> Model:
        """Open the model that a string names; raises a CyberSecQwenError that says what to do."""
        ...


def empty_response(request: Request, reason: str) -> Response:
    """Return the response to a request that was given up, with the reason."""
    return Response(request.item, request.trial, "", _NO_ANSWER + reason)


def failure_reason(response: Response) -> str:
    """Return why a request was given up; "" for every response that a model made."""
    reason = response.finish_reason
    return reason.removeprefix(_NO_ANSWER) if reason.startswith(_NO_ANSWER) else ""
