"""A finished evaluation as a log of Inspect, which `inspect view` shows.

    write_inspect_log(answers, Path("cti-bench"), Path("logs"))

The log is made of Inspect's own classes and holds every full response, its score and the
protocol's metrics; an epoch is a trial. Nothing is asked again.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.interop.samples import Trial, trial_samples
from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.benchmark.responses import ResponseSet, rescore
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.errors import extra
from cybersecqwen.files import Json
from cybersecqwen.records import Response

if TYPE_CHECKING:
    from inspect_ai.log import EvalResults, EvalSample, EvalSpec, EvalStats
    from inspect_ai.model import ModelOutput

_SCORER = "protocol_score"
_SAME = ("stop", "content_filter", "tool_calls")
_STOP = {"length": "max_tokens"} | {reason: reason for reason in _SAME}


def write_inspect_log(answers: ResponseSet, benchmark: Path, out: Path) -> Path:
    """Write the log of one evaluation and return its path.

    Raises InputError where the answers are to other items than those in `benchmark`.
    """
    with extra("harnesses"):
        from inspect_ai.log import EvalLog, EvalPlan, EvalPlanStep, write_eval_log

    from cybersecqwen.benchmark.interop.inspect_tasks import sampling

    protocol = answers.scoring_protocol(None)
    rescore(answers, protocol, benchmark)  # refuses other items, and answers that are missing
    samples = _samples(answers, protocol, benchmark)
    first = EvalPlanStep(solver="cybersecqwen/ask_with_seed", params={"first": protocol.seeds[0]})
    log = EvalLog(
        status="success",
        eval=_spec(answers, protocol, samples),
        plan=EvalPlan(steps=[first], config=sampling(protocol)),
        results=_results(samples),
        stats=_stats(answers),
        samples=samples,
    )
    when = log.eval.created.replace(":", "-")
    path = out / f"{when}_{answers.task}_{log.eval.task_id}.eval"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_eval_log(log, str(path))
    return path


def _samples(answers: ResponseSet, protocol: Protocol, benchmark: Path) -> list[EvalSample]:
    samples = []
    for number in range(len(protocol.seeds)):
        texts = {response.item: response for response in answers.responses[number]}
        trial = Trial(protocol, benchmark, answers.kind, number)
        for row in trial_samples(trial, answers.task):
            samples.append(_sample(row, texts[row["index"]], answers, benchmark))
    return samples


def _sample(row: Json, response: Response, answers: ResponseSet, benchmark: Path) -> EvalSample:
    from inspect_ai.log import EvalSample

    from cybersecqwen.benchmark.interop.inspect_tasks import messages, sample, score_of

    output, asked = _output(answers.name, response), sample(row)
    return EvalSample(
        id=row["index"],
        epoch=row["trial"] + 1,
        input=asked.input,
        target=asked.target,
        metadata=asked.metadata or {},
        messages=[*messages(row), output.choices[0].message],
        output=output,
        model_usage={answers.name: output.usage} if output.usage else {},
        scores={_SCORER: score_of(row, response.text, benchmark, trial=row["trial"])},
    )


def _output(model: str, response: Response) -> ModelOutput:
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ContentReasoning,
        ContentText,
        ModelOutput,
        ModelUsage,
    )

    read, written = response.prompt_tokens, response.completion_tokens
    parts = [ContentReasoning(reasoning=response.reasoning), ContentText(text=response.text)]
    content = parts if response.reasoning else response.text
    message = ChatMessageAssistant(content=content, model=model, source="generate")
    stop = _STOP.get(response.finish_reason, "unknown")
    usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
        usage=usage if read or written else None,
    )


def _spec(answers: ResponseSet, protocol: Protocol, samples: list[EvalSample]) -> EvalSpec:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec

    from cybersecqwen.benchmark.interop.inspect_tasks import name_of

    ids = sorted({int(sample.id) for sample in samples})
    name = name_of(answers.task)
    settings = protocol.settings_of(find_task(answers.task))
    key = f"{answers.name}/{answers.task}/{settings}/{answers.benchmark_sha256}"
    identity = hashlib.sha256(key.encode()).hexdigest()[:22]  # the length of Inspect's own
    return EvalSpec(
        eval_id=identity,
        run_id=identity,
        task_id=identity,
        created=_finished(answers),
        task=f"cybersecqwen/{name}",
        task_display_name=name,
        task_version=protocol.version,
        dataset=EvalDataset(name=answers.task, samples=len(ids), sample_ids=ids, shuffled=False),
        model=answers.name,
        config=EvalConfig(epochs=len(protocol.seeds)),
        # By this Inspect can compute the metrics again, as after an edited score.
        scorers=[{"name": _SCORER, "metrics": [{"name": "cybersecqwen/per_trial"}]}],
        metadata={
            "protocol": protocol.name,
            "modified": list(protocol.modified),
            "kind": answers.kind,
            "benchmark_sha256": answers.benchmark_sha256,
        },
    )


def _results(samples: list[EvalSample]) -> EvalResults:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore
    from inspect_ai.scorer import SampleScore

    from cybersecqwen.benchmark.interop.inspect_tasks import per_trial

    scores = [
        SampleScore(score=sample.scores[_SCORER], sample_id=sample.id)
        for sample in samples
        if sample.scores
    ]
    measured = per_trial()(scores).items()
    metrics = {
        name: EvalMetric(name=name, group="per_trial", value=value)
        for name, value in measured
        if value is not None
    }
    n = len(samples)
    score = EvalScore(name=_SCORER, scorer=_SCORER, scored_samples=n, metrics=metrics)
    return EvalResults(total_samples=n, completed_samples=n, scores=[score])


def _stats(answers: ResponseSet) -> EvalStats:
    from inspect_ai.log import EvalStats
    from inspect_ai.model import ModelUsage

    given = [response for trial in answers.responses.values() for response in trial]
    read = sum(response.prompt_tokens for response in given)
    written = sum(response.completion_tokens for response in given)
    usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
    when = _finished(answers)
    return EvalStats(started_at=when, completed_at=when, model_usage={answers.name: usage})


def _finished(answers: ResponseSet) -> str:
    """Return when the scores were written: a run does not note its beginning."""
    seconds = int((answers.where / "scores.json").stat().st_mtime)
    return datetime.fromtimestamp(seconds, UTC).isoformat()
