"""Classifiers of texts by CWE: the embedded one, a language model whose answers vote, or both.

    open_classifier()                                            # what ships
    open_classifier("CyberSecQwen-4B@http://localhost:8000/v1")  # or any other MODEL
    open_classifier("smollm2", grounded=True)                    # on top of what ships
    [prediction] = open_classifier("runs/smoke/merged").predict(["SQL injection in a form."], top=3)

A language model answers several times, and its answers vote: the confidence is the share of them
that end in the CWE, which is not calibrated. The prompt, the sampling and the extractor are those
of the model card's protocol.

A grounded one is shown the embedded candidates, with what they mean and MITRE's mapping usage, and
its answers among them are weighed against the embedded confidence.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen.analyst.embedded_classifier import Classifier, Embedded
from cybersecqwen.analyst.voting import answers, quotes
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.embedded.tokenizer import plain
from cybersecqwen.records import Prediction

if TYPE_CHECKING:
    from cybersecqwen.analyst.optional_model import FailureReport
    from cybersecqwen.embedded.classifier import Ranking
    from cybersecqwen.engines import Engine

_log = logging.getLogger(__name__)

_SAMPLES = 5  # answers of a language model per text, as many as the model card's trials


def open_classifier(
    model: str | Path = "embedded",
    *,
    samples: int | None = None,
    ranking: Ranking = "mapping",
    grounded: bool = False,
    report: FailureReport | None = None,
    **options: Any,
) -> Classifier:
    """Open any model, named as for `engines.open_model`, as a classifier.

    `ranking` is what the embedded model ranks by, "mapping" or "labels"; others have one ranking.
    `samples` is how many answers of a language model vote, by default 5; `options` are those of
    `open_model`. A `grounded` one is opened when it is first asked, and where it fails `report`, by
    default the log, is told of it. Raises InputError where the string names no model or what ships
    is damaged.
    """
    if model == "embedded":  # calibrated, which its answers as an engine are not
        return Embedded(ranking)
    if grounded:
        from cybersecqwen.analyst.grounded_classifier import GroundedClassifier
        from cybersecqwen.analyst.optional_model import OptionalModel

        chooser = OptionalModel(str(model), report=report, **options)
        return GroundedClassifier(chooser, Embedded(ranking), samples=samples or _SAMPLES)
    from cybersecqwen.engines import open_model

    return LanguageModel(open_model(model, **options).engine, samples=samples or _SAMPLES)


class LanguageModel:
    """Classifies by the votes of `samples` answers of an engine."""

    def __init__(self, engine: Engine, *, samples: int = _SAMPLES) -> None:
        from cybersecqwen.benchmark.protocol import find_protocol

        self._engine = engine
        self._protocol = find_protocol("model-card", trials=samples)

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        """Yield each text's prediction as soon as it and those before it are answered.

        Only an empty text is out of scope. `answer` is the first one that argues for the
        winner. Raises EngineError when the model or the server fails.
        """
        from cybersecqwen.prompts import rcm_prompt

        prompts = {i: rcm_prompt(plain(text)) for i, text in enumerate(texts) if text.strip()}
        answered = answers(self._engine.generate, self._protocol, prompts)
        for text in texts:
            if text.strip():
                yield _prediction(text, next(answered), top)
            else:
                yield Prediction((), out_of_scope="the text is empty")
        for _ in answered:
            pass


def _prediction(text: str, given: Sequence[str], top: int) -> Prediction:
    from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe

    votes = [last_cwe(answer) for answer in given]
    catalogue = load_catalogue()
    unknown = sorted({vote for vote in votes if vote and vote not in catalogue})
    if unknown:
        _log.warning("dropped, for it is not in the catalogue: %s", ", ".join(unknown))
    # Equal votes stand in the order in which they were cast.
    ranked = Counter(vote for vote in votes if vote and vote in catalogue).most_common(top)
    if not ranked:
        return Prediction((), answer=given[0])
    answer = given[votes.index(ranked[0][0])]
    shares = tuple((cwe, count / len(given)) for cwe, count in ranked)
    return Prediction(shares, quotes(answer, text), answer=answer)
