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
from cybersecqwen.reports.markdown import document


def protocols_table() -> str:
    """Render all protocols side by side."""
    return document("reports/protocols.md.jinja", protocols=PROTOCOLS.values()).rstrip("\n")


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
    values = {"stops": dict(_stops(protocol)), "prompts": dict(_prompts(protocol))}
    return document("reports/protocol.md.jinja", p=protocol, tasks=TASKS, **values).rstrip("\n")


def _stops(protocol: Protocol) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, task in TASKS.items():
        if stop := protocol.stop_of(task, "base"):
            yield name, stop


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
