"""Engines: one file per way of getting text from a model, and one function that opens them all.

An engine takes requests and yields one response for each, as soon as it is there and
in any order; how it batches or overlaps them inside never changes an answer.

    model = open_model("CyberSecQwen-4B@http://localhost:8000/v1")
    for response in model.engine.generate(requests):
        print(response.item, response.text)

A model or server that fails raises EngineError. It never yields an empty
response instead, unless it was told to give such a request up: an empty text, whatever its
finish reason, is an answer of the model, and is scored as one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cybersecqwen.engines.embedded_model import EmbeddedEngine
from cybersecqwen.engines.gguf_model import GgufEngine
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.interface import (
    Engine,
    EngineOptions,
    EngineType,
    Kind,
    Model,
    empty_response,
    failure_reason,
)
from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.engines.smollm2 import SmolLM2Engine
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.errors import InputError

__all__ = [
    "ENGINES",
    "Engine",
    "EngineOptions",
    "Kind",
    "Model",
    "empty_response",
    "engine_of",
    "failure_reason",
    "open_model",
]

ENGINES: dict[str, EngineType] = {
    "embedded": EmbeddedEngine,
    "smollm2": SmolLM2Engine,
    "http": HttpEngine,
    "gguf": GgufEngine,
    "transformers": TransformersEngine,
    "replay": ReplayEngine,
}

_MODEL = (
    "embedded, smollm2, a model folder, a GGUF file, recordings, a server's URL (http://…), "
    "or NAME@URL"
)


def open_model(model: str | Path, *, kind: Kind = "instruct", **options: Any) -> Model:
    """Open the model that a string names.

    It is "embedded", "smollm2", a model folder, a GGUF file, a file or folder of recordings, a
    server's URL or NAME@URL. A server whose URL comes without a name is asked for the only model
    that it serves.
    `kind` "base" is a model that takes raw texts in place of chats; the other `options` are those
    of `EngineOptions`. Raises InputError for a string that is none of these, and EngineError for a
    model that cannot be opened.
    """
    return ENGINES[engine_of(model)].open(str(model), EngineOptions(kind, **options))


def engine_of(model: str | Path) -> str:
    """Return the name of the engine that opens a model; raises InputError where none does."""
    for name, engine in ENGINES.items():
        if engine.recognises(str(model)):
            return name
    raise InputError(f"{str(model)!r} is not a model", tip=f"give {_MODEL}")
