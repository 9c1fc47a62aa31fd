"""Distil a teacher into a corpus: its chain of thought, where that ends in the gold label.

    certificate = distill(recipe, DistillationData(train, base, benchmark), run / "distillation")

Each example's prompt goes to the teacher, never its label. What comes back is kept as the
example's completion or lies in rejected.jsonl with the reason and the raw answer:

    distillation/answers.jsonl     every answer as it came; what a killed run goes on from
    distillation/train.jsonl       the examples to learn from
    distillation/rejected.jsonl    every answer that is no trace, whole, and why
    distillation/certificate.json  yield, agreement with the gold per class, tokens, cost
    distillation/usage.json        the time and the rates of the last call
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cybersecqwen.config import Distillation, Recipe
from cybersecqwen.contamination import BenchmarkIndex, Hit
from cybersecqwen.contamination.certificate import provenance
from cybersecqwen.engines.teacher import Prices, Teacher, Usage, generate, open_teacher
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, sha256_file, write_json, write_jsonl
from cybersecqwen.prompts import TEACHER
from cybersecqwen.records import Benchmark, Request, Response, Sampling
from cybersecqwen.training.base import load_tokenizer
from cybersecqwen.training.examples import read_examples, tokenize
from cybersecqwen.training.rejection import (
    Rejection,
    Trace,
    benchmark_hits,
    label_in,
    reason_against,
)

_FILES = ("answers.jsonl", "train.jsonl", "rejected.jsonl")


@dataclass(frozen=True)
class DistillationData:
    """A corpus's train.jsonl, the base model to count tokens by, and the benchmark."""

    train: Path
    base: str
    benchmark: Benchmark


@dataclass(frozen=True)
class _Judged:
    """One answer with the example it belongs to, and why it is not kept, if it is not."""

    example: Json
    response: Response
    rejection: Rejection | None


def teacher_of(settings: Distillation) -> Teacher:
    """Take the teacher that a recipe names: a server's, or the model that ships."""
    if settings.url is None:
        return open_teacher("embedded")
    prices = None
    if settings.prompt_price is not None and settings.completion_price is not None:
        prices = Prices(settings.prompt_price, settings.completion_price)
    server = f"{settings.teacher}@{settings.url}"
    return open_teacher(server, concurrency=settings.concurrency, prices=prices)


def distill(recipe: Recipe, sources: DistillationData, out: Path) -> Json:
    """Let the teacher answer every example, keep what can be learned, and return the certificate.

    Raises EngineError when the teacher fails, with every answer so far kept: the same call goes
    on from there. Raises InputError when no answer is kept, which names the commonest reasons.
    """
    settings = _settings(recipe)
    examples = read_examples(sources.train, "cve_id", "prompt", "completion", "cwe")
    teacher, judge = teacher_of(settings), _Judge(recipe, sources)
    responses, usage = generate(teacher, _requests(settings, examples), out / "answers.jsonl")
    judged = judge.judge([(examples[response.item], response) for response in responses])
    write_jsonl(out / "rejected.jsonl", map(_rejected, (j for j in judged if j.rejection)))
    kept = [j for j in judged if not j.rejection]
    if not kept:
        raise InputError(
            f"none of {len(judged)} answers of {settings.teacher} can be kept: {_reasons(judged)}",
            where=out / "rejected.jsonl",
            tip="look at the answers; another teacher or max_tokens needs the folder deleted",
        )
    rows = list(_rows(settings, examples, kept))
    write_jsonl(out / "train.jsonl", rows)
    write_json(out / "usage.json", usage.json())
    certificate = _certificate(recipe, teacher, sources, judged, usage)
    certificate["examples"]["train"] = len(rows)
    certificate["outputs"] = {name: sha256_file(out / name) for name in _FILES}
    write_json(out / "certificate.json", certificate)
    return certificate


def _settings(recipe: Recipe) -> Distillation:
    if recipe.distillation is None:
        raise InputError("the recipe names no teacher to distil", where=recipe.name)
    return recipe.distillation


def _requests(settings: Distillation, examples: Sequence[Json]) -> list[Request]:
    """Write `samples` requests for each example; an item is the example's position."""
    drawn = [
        Sampling(settings.temperature, settings.top_p, settings.max_tokens, settings.seed + sample)
        for sample in range(settings.samples)
    ]
    return [
        Request(item, sample, (("system", TEACHER), ("user", example["prompt"])), sampling)
        for item, example in enumerate(examples)
        for sample, sampling in enumerate(drawn)
    ]


class _Judge:
    """Judges answers in their order: by themselves, by length, overlap, and what is kept already.

    Tokenizer and index are loaded when it is made, before the teacher is asked and paid.
    """

    def __init__(self, recipe: Recipe, sources: DistillationData) -> None:
        self._most = _settings(recipe).traces
        self._longest = recipe.training.max_length
        self._ngram = recipe.contamination.ngram
        self._tokenizer = load_tokenizer(recipe, sources.base)
        self._index = BenchmarkIndex(sources.benchmark, recipe.contamination)
        self._kept: dict[int, list[str]] = defaultdict(list)

    def judge(self, answers: Sequence[tuple[Json, Response]]) -> list[_Judged]:
        first = [reason_against(response, gold=example["cwe"]) for example, response in answers]
        likely = [
            Trace(example["cve_id"], example["prompt"], response.text.strip())
            for (example, response), rejection in zip(answers, first, strict=True)
            if not rejection
        ]
        further = zip(likely, benchmark_hits(self._index, likely, n=self._ngram), strict=True)
        return [
            _Judged(example, response, rejection or self._further(response.item, *next(further)))
            for (example, response), rejection in zip(answers, first, strict=True)
        ]

    def _further(self, item: int, trace: Trace, hits: Sequence[Hit]) -> Rejection | None:
        [(_, whole)] = tokenize(self._tokenizer, [(trace.prompt, trace.text)])
        if len(whole) > self._longest:
            detail = f"{len(whole)} tokens, more than max_length {self._longest}"
            return Rejection("too-long", detail)
        if hits:
            return Rejection(f"contaminated-{hits[0].rule}", f"{hits[0].task}/{hits[0].item}")
        mine = self._kept[item]
        if trace.text in mine:
            return Rejection("duplicate")
        if len(mine) == self._most:
            return Rejection("surplus", f"{self._most} kept already")
        mine.append(trace.text)
        return None


def _rows(
    settings: Distillation, examples: Sequence[Json], kept: Sequence[_Judged]
) -> Iterator[Json]:
    """Yield the examples to learn from, in the corpus's order, each with who wrote its answer."""
    traces: dict[int, list[str]] = defaultdict(list)
    for judged in kept:
        traces[judged.response.item].append(judged.response.text.strip())
    for item, example in enumerate(examples):
        for trace in traces[item]:
            yield example | {"completion": trace, "completion_by": settings.teacher}
        if not traces[item] and settings.without_trace == "direct":
            yield example | {"completion_by": "corpus"}


def _rejected(judged: _Judged) -> Json:
    response = judged.response
    reason, detail = judged.rejection or Rejection("")
    return {
        "cve_id": judged.example["cve_id"],
        "sample": response.trial,
        "reason": reason,
        "detail": detail,
        "gold": judged.example["cwe"],
        "answer": response.text,
        "finish_reason": response.finish_reason,
    }


def _certificate(
    recipe: Recipe,
    teacher: Teacher,
    sources: DistillationData,
    judged: Sequence[_Judged],
    usage: Usage,
) -> Json:
    settings = _settings(recipe)
    reasons = Counter(j.rejection.reason for j in judged if j.rejection)
    examples = {j.response.item for j in judged}
    with_trace = {j.response.item for j in judged if not j.rejection}
    inputs = {"train.jsonl": sha256_file(sources.train)}
    return provenance(recipe, sources.benchmark, inputs) | {
        "teacher": {
            "identity": teacher.identity,
            "settings": settings.model_dump(mode="json", exclude={"concurrency"}),
        },
        "examples": {"corpus": len(examples), "with_trace": len(with_trace)},
        "answers": {
            "asked": len(judged),
            "kept": len(judged) - sum(reasons.values()),
            "rejected": dict(sorted(reasons.items())),
        },
        "yield": _share(len(with_trace), len(examples)),
        "agreement": _agreement(judged),
        "agreement_by_class": _by_class(judged),
        "tokens": {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens},
        "cost": usage.cost,
    }


def _agreement(judged: Sequence[_Judged]) -> float:
    return _share(sum(map(_agrees, judged)), len(judged))


def _agrees(judged: _Judged) -> bool:
    return bool(label_in(judged.response.text) == judged.example["cwe"])


def _by_class(judged: Sequence[_Judged]) -> dict[str, Any]:
    """Count answers, those that end in the gold label and those kept, by gold label."""
    classes: dict[str, list[_Judged]] = defaultdict(list)
    for each in judged:
        classes[each.example["cwe"]].append(each)
    return {
        cwe: {
            "answers": len(of),
            "agree": sum(map(_agrees, of)),
            "kept": sum(not j.rejection for j in of),
            "agreement": _agreement(of),
        }
        for cwe, of in sorted(classes.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _reasons(judged: Sequence[_Judged]) -> str:
    counts = Counter(j.rejection.reason for j in judged if j.rejection)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common(3))
