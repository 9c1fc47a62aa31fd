"""The model that ships as an engine, so that it is evaluated like any language model.

    for response in EmbeddedEngine().generate(requests):
        print(response.text)        # a short argument, and last the CWE id or the letter alone

It reads the question from the text of the prompt and knows nothing else. A CVE description goes to
the classifier, which answers closed book: from its weights. A multiple-choice question goes to
the knowledge index, which answers open book: it looks up passages of ATT&CK, CWE and CAPEC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen import __version__
from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.rationale import rationale
from cybersecqwen.engines.interface import EngineOptions, Model
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import Json, read_json, sha256_file
from cybersecqwen.prompts import Question, asks_for_weakness, description_in, question_in
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    from cybersecqwen.embedded.classifier import CweClassifier
    from cybersecqwen.embedded.knowledge import KnowledgeIndex
    from cybersecqwen.records import Answer

_BOOKS = {"cti-rcm": "closed", "cti-mcq": "open"}  # whether an answer is looked up
_ARTIFACTS = ("cwe-classifier.npz", "cwe.json", "knowledge.npz", "ranker.json")
_ANSWER_FORM = "'Answer: $LETTER'"  # where a prompt wants the letter introduced so
# An extractor may take the letter after such a word for the decision.
_TRAP = re.compile(r"answer|option", re.IGNORECASE)


class EmbeddedEngine:
    """Answers prompts of cti-rcm and cti-mcq by the artifacts of a folder, by default what ships.

    A chat gets an argument whose last line is the decision; a raw text, which a base model would
    complete, gets the decision alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or FOLDER

    @staticmethod
    def recognises(model: str) -> bool:
        """Tell whether a string is the name of what ships, "embedded"."""
        return model == "embedded"

    @classmethod
    def open(cls, model: str, options: EngineOptions) -> Model:
        """Open the artifacts that ship."""
        return Model(model, cls(), options.kind)

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield the answers, in order; each is computed alone, so its neighbours never matter.

        Raises EngineError, before any answer, when a prompt asks neither for the CWE of a
        description nor for a choice among options, and InputError when an artifact is
        missing or damaged.
        """
        questions = [_question(request) for request in requests]
        for request, question in zip(requests, questions, strict=True):
            decision, text = self._answer(question)
            if isinstance(request.prompt, str):
                text = decision
            elif _ANSWER_FORM in _prompt(request):
                text = f"{text.removesuffix(decision)}Answer: {decision}"
            yield Response(request.item, request.trial, text, "stop")

    def describe(self) -> dict[str, Any]:
        """Name the artifacts with their checksums, and which tasks are answered open book.

        `fitted_to` says to which benchmark items weights were fitted, where they were.
        """
        fitted = self._json("ranker.json").get("fitted_to")
        return {
            "engine": "embedded",
            "version": __version__,
            "deterministic": True,
            "sampling": "temperature, top_p, seed and the number of tokens have no effect",
            "books": dict(_BOOKS),
            "fitted_to": [fitted] if fitted else [],
            "artifacts": {name: self._facts(name) for name in _ARTIFACTS},
        }

    def identity(self) -> Json:
        """Return the package's version and the checksums of the artifacts."""
        files = {name: self._facts(name)["sha256"] for name in _ARTIFACTS}
        return {"version": __version__, "artifacts": files}

    def _answer(self, question: str | Question) -> tuple[str, str]:
        """Return the decision, and the argument that ends with it."""
        if isinstance(question, str):
            return self._weakness(question)
        from cybersecqwen.embedded.option_ranker import answer_multiple_choice

        answer = answer_multiple_choice(self._index, *question, ranker=self._ranker)
        return answer.answer, f"{_reason(answer)}\n\n{answer.answer}"

    def _weakness(self, description: str) -> tuple[str, str]:
        """Argue for the likeliest CWE.

        What the classifier takes for no description of a vulnerability gets its best guess: the
        prompt says that it is one, and a language model has to answer too.
        """
        [prediction] = self._classifier.predict([description], top=1)
        if prediction.ranked:
            cwe = prediction.ranked[0][0]
            quote = prediction.evidence[0].text if prediction.evidence else ""
            return cwe, rationale(description, load_catalogue(self._folder)[cwe], quote)
        [chances] = self._classifier.probabilities([description])
        cwe = self._classifier.classes[int(chances.argmax())]
        argument = rationale(description, load_catalogue(self._folder)[cwe], "")
        return cwe, f"A best guess, for {prediction.out_of_scope}. {argument}"

    def _facts(self, name: str) -> Json:
        """Return an artifact's size in bytes and its certified checksum, else that of the file."""
        path, certificate = self._folder / name, certificate_of(self._folder, name)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=path) from error
        certified = self._json(certificate.name)["sha256"] if certificate.is_file() else ""
        return {"bytes": size, "sha256": certified or sha256_file(path)}

    def _json(self, name: str) -> Json:
        value = read_json(self._folder / name)
        if not isinstance(value, dict):
            raise InputError("not a JSON object", where=self._folder / name)
        return value

    @cached_property
    def _classifier(self) -> CweClassifier:
        from cybersecqwen.embedded.classifier import CweClassifier

        return CweClassifier.load(self._folder)

    @cached_property
    def _index(self) -> KnowledgeIndex:
        from cybersecqwen.embedded.knowledge import KnowledgeIndex

        return KnowledgeIndex.load(self._folder / "knowledge.npz")

    @cached_property
    def _ranker(self) -> Any:
        from cybersecqwen.embedded.option_ranker import load_ranker

        return load_ranker(self._folder / "ranker.json")


def _question(request: Request) -> str | Question:
    """Read the prompt: a description to map, or a question with options."""
    prompt = _prompt(request)
    question = description_in(prompt) if asks_for_weakness(prompt) else question_in(prompt)
    if question is None:
        raise EngineError(
            f"item {request.item}, trial {request.trial}: the prompt asks neither for the CWE of "
            "a CVE description nor for a choice among options",
            where="embedded",
            tip="the embedded model answers cti-rcm and cti-mcq",
        )
    return question


def _prompt(request: Request) -> str:
    """Return the text of a raw prompt, or the last user turn of a chat."""
    if isinstance(request.prompt, str):
        return request.prompt
    return next((text for role, text in reversed(request.prompt) if role == "user"), "")


def _reason(answer: Answer) -> str:
    """Name the entry that a choice rests on, in words that no extractor takes for the letter."""
    if not answer.covered or not answer.evidence:
        return "The knowledge index holds nothing on this question: the letter is the best guess."
    best = answer.evidence[0]
    name = "" if _TRAP.search(best.name) else f" {best.name}"
    return (
        f"Of the knowledge index, the entry {best.id}{name} ({best.kind}) fits the question and "
        "this choice best."
    )
