"""Open what ranks the CWEs of a text: the embedded classifier, or a language model.

open_classifier()                                              # ships with the package
open_classifier("http://localhost:8000/v1", model="CyberSecQwen-4B")
open_classifier("runs/smoke/merged")                           # a model folder
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from cybersecqwen.errors import InputError
from cybersecqwen.records import Prediction

SAMPLES = 5  # answers of a language model per text, as many as the model card's trials


class Classifier(Protocol):
    """What ranks the CWEs of texts."""

    def predict(
        self, texts: Sequence[str], *, top: int, evidence: bool = True
    ) -> Iterable[Prediction]:
        """Give one prediction for each text, in their order, with up to `top` CWEs each."""
        ...


def open_classifier(
    engine: str = "embedded", *, model: str | None = None, samples: int | None = None
) -> Classifier:
    """Open "embedded", an OpenAI-compatible server's URL (and `model` there), or a model folder.

    `samples` is how many answers of a language model vote, SAMPLES by default. Raises
    InputError when the engine is none of these or what ships is damaged.
    """
    if engine == "embedded":
        from cybersecqwen.embedded.classifier import CweClassifier

        return CweClassifier.load()
    return _language_model(engine, model, samples or SAMPLES)


def _language_model(engine: str, model: str | None, samples: int) -> Classifier:
    from cybersecqwen.analyst.language_model import LanguageModel

    if re.match("https?://", engine, re.IGNORECASE):
        if not model:
            raise InputError("a server also needs the model's name there", tip="add --model NAME")
        from cybersecqwen.engines.http import HttpEngine

        return LanguageModel(HttpEngine(engine, model), samples=samples)
    if not Path(engine).is_dir():
        raise InputError(
            f"no engine {engine!r}", tip="give embedded, the URL of a server, or a model folder"
        )
    from cybersecqwen.engines.transformers import TransformersEngine

    return LanguageModel(TransformersEngine(engine, kind="instruct"), samples=samples)
