"""What every engine offers, and how it says that a request got no answer.

An engine takes requests and yields one response for each. Where it is told to give up on a
request that a server has no text for, the response is empty and names the reason:

>>> from cybersecqwen.records import Sampling
>>> request = Request(7, 0, (("user", "Which CWE?"),), Sampling(0.3, 1.0, 512, 42))
>>> failure_reason(empty_response(request, "HTTP 400"))
'HTTP 400'
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from cybersecqwen.records import Request, Response

_NO_ANSWER = "no answer: "  # how the finish_reason begins


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


def empty_response(request: Request, reason: str) -> Response:
    """Return the response to a request that was given up, with the reason."""
    return Response(request.item, request.trial, "", _NO_ANSWER + reason)


def failure_reason(response: Response) -> str:
    """Return why a request was given up; "" for every response that a model made."""
    reason = response.finish_reason
    return reason.removeprefix(_NO_ANSWER) if reason.startswith(_NO_ANSWER) else ""
