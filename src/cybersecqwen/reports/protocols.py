"""The protocols as a reader wants them: a table of all, and one whole.

print(protocol_text(find_protocol("faith")))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cybersecqwen.benchmark.protocol import PROTOCOLS, Protocol
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.benchmark.trial import chat_question, trial_requests
from cybersecqwen.files import Json
from cybersecqwen.records import Item
from cybersecqwen.reports.markdown import table

_PROMPTS = {"item": "the item's own `Prompt`", "faith": "FAITH's own instruction"}
_EXEMPLARS = {
    "per item": "drawn anew for every item, without the item",
    "per trial": "one set per trial, another in place of the item",
    "per trial, not asked": "one set per trial, whose items are then not asked",
}
_ROWS = {"all": "all", "distinct": "without repeated rows (same text and gold)"}
_IMPROPER = {
    "counts": "counts",
    "flagged": "counts, and is counted apart as misformatted",
    "lenient only": "counts in lenient accuracy only",
}
_UNPARSEABLE = {"wrong": "wrong", "dropped": "dropped from the denominator"}


def protocols_table() -> str:
    """Render all protocols side by side."""
    header = ("protocol", "version", "trials", "temperature", "max tokens", "source")
    rows = (
        (
            p.name,
            str(p.version),
            str(len(p.seeds)),
            f"{p.temperature:g}",
            f"{p.max_tokens:,}",
            p.source,
        )
        for p in PROTOCOLS.values()
    )
    return table(header, rows, right=(1, 2, 3, 4))


def protocol_json(protocol: Protocol) -> Json:
    """Return every setting, with the rule behind each extractor and the texts of the prompts."""
    extractors = {name: protocol.extractor_of(task) for name, task in TASKS.items()}
    return protocol.settings() | {
        "extractors": extractors,
        "stop": {name: list(stop) for name, stop in _stops(protocol)},
        "extensions": [name for name, task in TASKS.items() if protocol.is_extension(task)],
        "rules": {name: TASKS[name].extractors[e].summary for name, e in extractors.items()},
        "prompts": dict(_prompts(protocol)),
    }


def protocol_text(protocol: Protocol) -> str:
    """Write a protocol out whole."""
    return "\n\n".join(
        [
            f"{protocol.name} (version {protocol.version})\n{protocol.source}",
            table(("setting", "value"), _settings(protocol)),
            table(("task", "extractor", "rule", "in the source"), _readings(protocol)),
            *(f"{name}:\n{_indented(text)}" for name, text in _prompts(protocol)),
        ]
    )


def _settings(protocol: Protocol) -> Iterator[tuple[str, str]]:
    seeds = ", ".join(map(str, protocol.seeds))
    yield "prompt of a chat model", f"zero-shot, {_PROMPTS[protocol.prompt]}"
    yield "system prompt", f'"{protocol.system}"' if protocol.system else "none"
    if protocol.base_style:
        drawn = _EXEMPLARS[protocol.exemplars]
        yield "base model", f"{protocol.base_shots}-shot raw completion; exemplars {drawn}"
    else:
        yield "base model", "not covered"
    for task, stops in _stops(protocol):
        yield f"stop of a base model, {task}", " or ".join(map(repr, stops))
    yield "temperature, top_p", f"{protocol.temperature:g}, {protocol.top_p:g}"
    yield "max tokens", f"{protocol.max_tokens:,}"
    yield "trials, seeds", f"{len(protocol.seeds)}, {seeds}"
    yield "requests at once", str(protocol.concurrency)
    yield "rows", _ROWS[protocol.rows]
    yield "an answer in another form", _IMPROPER[protocol.improper]
    yield "an unparseable answer", _UNPARSEABLE[protocol.unparseable]
    ddof = "sample" if protocol.ddof else "population"
    yield "spread between trials", f"{ddof} standard deviation (ddof {protocol.ddof})"
    if protocol.unstated:
        yield "not stated by the source, ours", ", ".join(protocol.unstated)
    if protocol.modified:
        yield "modified", ", ".join(protocol.modified)


def _stops(protocol: Protocol) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, task in TASKS.items():
        if stop := protocol.stop_of(task, "base"):
            yield name, stop


def _readings(protocol: Protocol) -> Iterator[tuple[str, str, str, str]]:
    for name, task in TASKS.items():
        extractor = protocol.extractor_of(task)
        covered = "no, ours" if protocol.is_extension(task) else "yes"
        yield name, extractor, task.extractors[extractor].summary, covered


def _prompts(protocol: Protocol) -> Iterator[tuple[str, str]]:
    """Show each prompt with words in capitals where an item's own stand."""
    for name, task in TASKS.items():
        if protocol.prompt_of(task) != "item":
            yield f"prompt of {name}", chat_question(protocol, _placeholder(task))
        if protocol.shots_of(task):
            items = [_placeholder(task, i) for i in range(protocol.base_shots + 3)]
            shown = trial_requests(protocol, items, kind="base", trial=0)[0].prompt
            yield f"base model, {name}", str(shown)


def _placeholder(task: Task, index: int = 0) -> Item:
    return replace(task.placeholder, index=index, text=f"{task.placeholder.text} {index}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))
