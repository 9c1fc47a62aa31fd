"""Parity: whether base and adapter, exports and servers are still the merged model.

    report = check_parity(reference, subjects, prompts, length=64)
    report["passed"], report["subjects"][0]["first_difference"]

Each of them must read every prompt as the same text and the same tokens as the merged model. The
log-probabilities of its answer may differ within the TOLERANCES of its format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.config import Recipe
from cybersecqwen.engines import gguf
from cybersecqwen.engines.gguf_model import gguf_file
from cybersecqwen.engines.transformers import load_errors, quiet_in_pipe
from cybersecqwen.errors import EngineError, extra
from cybersecqwen.files import Json
from cybersecqwen.serving.observation import LocalModel, Observation, RemoteModel

_PROBABLE = math.log(0.01)  # tokens that the reference finds rarer are not compared
_SHOWN = 40  # characters of each text at the first difference


class Tolerance(NamedTuple):
    """How far a format may be from the merged model.

    `difference` is of a token's log-probability, in nats, where the token has at least 1 %;
    `agreement` is the share of steps with the same likeliest token.
    """

    difference: float
    agreement: float


# By what is stored, set after the runs in docs/lab/serving.md, at 1.4 to 3 times the differences
# seen there of SmolLM2-135M through transformers, llama.cpp and vLLM: a server computes in a
# precision of its own, which "merged" allows for.
TOLERANCES = {
    "merged": Tolerance(1.0, 0.97),
    "adapter": Tolerance(0.3, 0.97),
    "safetensors": Tolerance(1e-3, 1.0),
    "gguf-f16": Tolerance(0.1, 0.99),
    "gguf-q8_0": Tolerance(1.5, 0.95),
    "gguf-q4_k_m": Tolerance(7.0, 0.8),
    "int8": Tolerance(4.0, 0.9),
    "int4": Tolerance(7.0, 0.7),
}


class Subject(NamedTuple):
    """A model that is held against the merged one: its name, its format, and how it is opened."""

    name: str
    form: str
    open: Callable[[], LocalModel] | RemoteModel


def open_folder(folder: Path) -> LocalModel:
    """Open a model folder, or one with a GGUF file, to compute in float32.

    Raises EngineError where it cannot be loaded.
    """
    with extra("train"):
        from transformers import AutoModelForCausalLM, AutoTokenizer
    quiet_in_pipe()
    file = gguf_file(str(folder))
    source = gguf.model_folder(str(file)) if file else folder
    try:
        model = AutoModelForCausalLM.from_pretrained(source, dtype="float32", local_files_only=True)
        return local_model(model, AutoTokenizer.from_pretrained(source, local_files_only=True))
    except load_errors() as error:
        what = f"the model cannot be loaded: {type(error).__name__} {error}"
        raise EngineError(what, where=folder, tip="export it again") from error


def open_adapter(recipe: Recipe, adapter: Path, base: str) -> LocalModel:
    """Open a base model with an adapter beside its weights, in float32."""
    from cybersecqwen.training.base import load_tokenizer
    from cybersecqwen.training.merge import load_adapted

    return local_model(load_adapted(recipe, adapter, base), load_tokenizer(recipe, adapter))


def local_model(model: Any, tokenizer: Any) -> LocalModel:
    """Put a model and a tokenizer together, with the tokens that end an answer of theirs."""
    configured = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    known = {token for token in (*ends, tokenizer.eos_token_id) if token is not None}
    return LocalModel(model.eval(), tokenizer, frozenset(known))


def check_parity(
    reference: LocalModel, subjects: Sequence[Subject], prompts: Sequence[str], *, length: int
) -> Json:
    """Hold each subject against the reference, on answers of at most `length` tokens.

    Only one subject is open at a time. Raises EngineError for one that cannot be opened or asked.
    """
    answers = [reference.answer(prompt, length) for prompt in prompts]
    expected = [reference.observe(p, answer) for p, answer in zip(prompts, answers, strict=True)]
    checked = []
    for subject in subjects:
        if isinstance(subject.open, RemoteModel):
            seen = subject.open.observe_all(prompts, [len(one.written) for one in expected])
        else:
            opened = subject.open()
            seen = [opened.observe(p, answer) for p, answer in zip(prompts, answers, strict=True)]
        checked.append(_judged(subject, expected, seen, reference))
    return {
        "reference": "merged",
        "prompts": len(prompts),
        "length": length,
        "subjects": checked,
        "passed": all(one["passed"] for one in checked),
    }


def _judged(
    subject: Subject,
    expected: Sequence[Observation],
    seen: Sequence[Observation],
    reference: LocalModel,
) -> Json:
    pairs = list(zip(expected, seen, strict=True))
    differences = [_first_difference(one, other, reference) for one, other in pairs]
    first = next((d | {"prompt": i} for i, d in enumerate(differences) if d), None)
    server = isinstance(subject.open, RemoteModel)
    compared = [_compare(one, other, server=server) for one, other in pairs]
    steps = sum(len(agreed) for _, agreed in compared)
    tolerance = TOLERANCES[subject.form]
    result: Json = {
        "name": subject.name,
        "format": subject.form,
        "address": subject.open.address if isinstance(subject.open, RemoteModel) else None,
        "template": _same([(a.rendered, b.rendered) for a, b in pairs]),
        "tokens": _same([(a.tokens, b.tokens) for a, b in pairs])
        or _same([(a.length, b.length) for a, b in pairs]),
        "steps": steps,
        "max_abs_difference": max((d for d, _ in compared), default=None) if steps else None,
        "agreement": sum(sum(agreed) for _, agreed in compared) / steps if steps else None,
        "equal_answers": sum(one == other for one, other in map(_answers, expected, seen)),
        "tolerance": tolerance._asdict(),
        "first_difference": first,
    }
    result["failures"] = _failures(result, tolerance, len(pairs))
    return result | {"passed": not result["failures"]}


def _same(pairs: Sequence[tuple[object, object]]) -> str | None:
    """Return "identical" or "different"; None where the other side tells of no prompt."""
    told = [one == other for one, other in pairs if other is not None]
    return None if not told else "identical" if all(told) else "different"


def _compare(expected: Observation, seen: Observation, *, server: bool) -> tuple[float, list[bool]]:
    """Return the largest difference of a log-probability, and which likeliest tokens are the same.

    A server's answer is compared up to the first token that differs: behind it each reads another
    text.
    """
    largest, agreed = 0.0, list[bool]()
    for place, (one, other) in enumerate(zip(expected.steps, seen.steps, strict=False)):
        common = [token for token, p in one.items() if p >= _PROBABLE and token in other]
        largest = max([largest, *(abs(one[token] - other[token]) for token in common)])
        agreed.append(expected.written[place] == seen.written[place])
        if server and not agreed[-1]:
            break
    return largest, agreed


def _first_difference(
    expected: Observation, seen: Observation, reference: LocalModel
) -> Json | None:
    """Find where two models first differ on a prompt: in its text, its tokens or the answer."""
    if seen.rendered is not None and seen.rendered != expected.rendered:
        return _difference("template", expected.rendered or "", seen.rendered)
    if seen.tokens is not None and seen.tokens != expected.tokens:
        spelled = [
            [f"{token} {reference.spelled(token)!r}" for token in tokens or ()]
            for tokens in (expected.tokens, seen.tokens)
        ]
        return _difference("tokens", *spelled)
    if seen.length is not None and seen.length != expected.length:
        return _difference("number of tokens", [str(expected.length)], [str(seen.length)])
    one, other = _answers(expected, seen)
    return None if one == other else _difference("answer", one, other)


def _answers(expected: Observation, seen: Observation) -> tuple[Sequence[str], Sequence[str]]:
    """Return both answers as tokens, or as texts where a server tells no tokens."""
    if seen.written:
        return expected.written, seen.written
    return expected.text, seen.text[: len(expected.text)]


def _difference(where: str, one: Sequence[str], other: Sequence[str]) -> Json:
    """Describe the first place where two texts, or two lists of tokens, are not the same."""
    pairs = zip(one, other, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    shown = [
        part[place : place + _SHOWN] if isinstance(part, str) else "".join(part[place : place + 1])
        for part in (one, other)
    ]
    return {"in": where, "position": place, "reference": shown[0], "other": shown[1]}


def _failures(result: Json, tolerance: Tolerance, prompts: int) -> list[str]:
    failures = [name for name in ("template", "tokens") if result[name] == "different"]
    if not result["steps"]:  # then the answers are all that is told
        return failures + ["answers"] * (result["equal_answers"] < prompts)
    if not result["max_abs_difference"] <= tolerance.difference:
        failures.append("max_abs_difference")
    if result["agreement"] < tolerance.agreement:
        failures.append("agreement")
    return failures
