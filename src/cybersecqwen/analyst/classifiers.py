"""Classifiers of texts by CWE: the embedded one, or a language model whose answers vote.

    open_classifier()                                            # what ships
    open_classifier("CyberSecQwen-4B@http://localhost:8000/v1")  # or any other MODEL
    [prediction] = open_classifier("runs/smoke/merged").predict(["SQL injection in a form."], top=3)

A language model answers several times, and its answers vote: the confidence is the share of them
that end in the CWE, which is not calibrated. The prompt, the sampling and the extractor are those
of the model card's protocol.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.embedded.tokenizer import plain
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Prediction, Request, Response, Sampling, Span

if TYPE_CHECKING:
    from cybersecqwen.engines import Engine

_log = logging.getLogger(__name__)

_SAMPLES = 5  # answers of a language model per text, as many as the model card's trials
# What an answer puts into quotation marks, of any kind.
_QUOTED = re.compile(r'"([^"\n]{3,200})"|“([^”\n]{3,200})”|`([^`\n]{3,200})`|\'([^\'\n]{3,200})\'')


class Classifier(Protocol):
    """A model that ranks the CWEs of texts."""

    def predict(self, texts: Sequence[str], *, top: int) -> Iterable[Prediction]:
        """Return one prediction for each text, in their order, with up to `top` CWEs each."""
        ...


def open_classifier(
    model: str | Path = "embedded", *, samples: int | None = None, **options: Any
) -> Classifier:
    """Open any model, named as for `engines.open_model`, as a classifier.

    `samples` is how many answers of a language model vote, by default 5; `options` are those of
    `open_model`. Raises InputError where the string names no model or what ships is damaged.
    """
    if model == "embedded":  # calibrated, which its answers as an engine are not
        return _embedded()
    from cybersecqwen.engines import open_model

    return LanguageModel(open_model(model, **options).engine, samples=samples or _SAMPLES)


@cache
def _embedded() -> Classifier:
    from cybersecqwen.embedded.classifier import CweClassifier

    return CweClassifier.load()


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
        asked = [i for i, text in enumerate(texts) if text.strip()]
        answered = _in_order(
            self._engine.generate([r for i in asked for r in self._requests(i, texts[i])]),
            asked,
            len(self._protocol.seeds),
        )
        for text in texts:
            if text.strip():
                yield _prediction(text, next(answered), top)
            else:
                yield Prediction((), out_of_scope="the text is empty")
        # Only an exhausted engine has told of every failure and closed what it had open.
        for _ in answered:
            pass

    def _requests(self, item: int, text: str) -> list[Request]:
        settings = self._protocol
        return [
            Request(
                item,
                trial,
                (("user", rcm_prompt(plain(text))),),
                Sampling(settings.temperature, settings.top_p, settings.max_tokens, seed),
            )
            for trial, seed in enumerate(settings.seeds)
        ]


def _in_order(
    responses: Iterable[Response], items: Iterable[int], samples: int
) -> Iterator[list[str]]:
    """Gather the answers to each item, in the order of the items and of the samples."""
    from cybersecqwen.engines.reasoning import read_answer

    answers: dict[int, dict[int, str]] = defaultdict(dict)
    waiting = deque(items)
    for response in responses:
        answers[response.item][response.trial] = read_answer(response.text).text
        while waiting and len(answers[waiting[0]]) == samples:
            by_trial = answers.pop(waiting.popleft())
            yield [by_trial[trial] for trial in sorted(by_trial)]


def _prediction(text: str, answers: Sequence[str], top: int) -> Prediction:
    from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe

    votes = [last_cwe(answer) for answer in answers]
    catalogue = load_catalogue()
    unknown = sorted({vote for vote in votes if vote and vote not in catalogue})
    if unknown:
        _log.warning("dropped, for it is not in the catalogue: %s", ", ".join(unknown))
    # Equal votes stand in the order in which they were cast.
    ranked = Counter(vote for vote in votes if vote and vote in catalogue).most_common(top)
    if not ranked:
        return Prediction((), answer=answers[0])
    answer = answers[votes.index(ranked[0][0])]
    shares = tuple((cwe, count / len(answers)) for cwe, count in ranked)
    return Prediction(shares, _quoted(answer, text), answer=answer)


def _quoted(answer: str, text: str) -> tuple[Span, ...]:
    """List the places that the answer quotes from the text, each with the same weight."""
    lower = text.lower()
    if len(lower) != len(text):  # a letter whose lower case is two would shift the places
        lower = text
    quotes = dict.fromkeys(next(filter(None, m.groups())) for m in _QUOTED.finditer(answer))
    places = [(at, at + len(q)) for q in quotes if (at := lower.find(q.lower())) >= 0]
    return tuple(Span(start, end, text[start:end], 1 / len(places)) for start, end in places)
