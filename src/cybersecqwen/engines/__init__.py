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

from collections.abc import Callable

from cybersecqwen.engines.embedded_model import EmbeddedEngine
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.interface import Engine, empty_response, failure_reason
from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.engines.transformers import TransformersEngine

__all__ = ["ENGINES", "Engine", "empty_response", "failure_reason"]

ENGINES: dict[str, Callable[..., Engine]] = {
    "embedded": EmbeddedEngine,
    "transformers": TransformersEngine,
    "http": HttpEngine,
    "replay": ReplayEngine,
}
