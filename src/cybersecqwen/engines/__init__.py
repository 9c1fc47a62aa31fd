"""Engines: one file per way of getting text from a model.

An engine takes requests and yields one response for each, as soon as it is there and
in any order; how it batches or overlaps them inside never changes an answer.

    engine = ENGINES["http"]("http://localhost:8000/v1", "CyberSecQwen-4B")
    for response in engine.generate(requests):
        print(response.item, response.text)

A model or server that fails raises EngineError. It never yields an empty
response instead, unless it was told to give such a request up: an empty text is an answer,
and is scored as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from cybersecqwen.engines.embedded import EmbeddedEngine
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.records import Request, Response


class Engine(Protocol):
    """What every engine can do."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield the response to each request once, as soon as it is there, in any order.

        `item` and `trial` of a response say what it answers. Where a request fails, no
        further work is begun, the other answers that are ready or under way are yielded,
        and then the first EngineError is raised. Closing the iterator early stops the work.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Say, in JSON-able values, what a reader needs to make the same texts again."""
        ...


ENGINES: dict[str, Callable[..., Engine]] = {
    "embedded": EmbeddedEngine,
    "transformers": TransformersEngine,
    "http": HttpEngine,
    "replay": ReplayEngine,
}
