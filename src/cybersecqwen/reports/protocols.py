"""The protocols as a reader wants them: a table of all, and one whole.

print(protocol_text(find_protocol("faith")))
"""

from __future__ import annotations

from collections.abc import Iterator

from cybersecqwen.benchmark.protocol import PROTOCOLS, Protocol
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.benchmark.trial import chat_question, trial_requests
from cybersecqwen.errors import CyberSecQwenError
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
    """Give every setting, with the rule behind each extractor and the texts of the prompts."""
    rules = {
        name: TASKS[name].extractors[extractor].summary
        for name, extractor in protocol.extractors.items()
    }
    return protocol.settings() | {"rules": rules, "prompts": dict(_prompts(protocol))}


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
    for task, stops in protocol.stop.items():
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


def _readings(protocol: Protocol) -> Iterator[tuple[str, str, str, str]]:
    for name, extractor in protocol.extractors.items():
        covered = "no, ours" if name in protocol.extensions else "yes"
        yield name, extractor, TASKS[name].extractors[extractor].summary, covered


def _prompts(protocol: Protocol) -> Iterator[tuple[str, str]]:
    """Show each prompt with words in capitals where an item's own stand."""
    for task in protocol.extractors:
        item = _placeholder(task)
        if protocol.prompt != "item":
            yield f"prompt of {task}", chat_question(protocol, item)
        try:
            items = [item, *(_placeholder(task, i) for i in range(1, 8))]
            shown = trial_requests(protocol, items, kind="base", trial=0)[0].prompt
        except CyberSecQwenError:
            continue  # no form for base models
        yield f"base model, {task}", str(shown)


def _placeholder(task: str, index: int = 0) -> Item:
    if task == "cti-mcq":
        options = tuple(f"OPTION {letter}" for letter in "ABCD")
        return Item(task, index, "", "B", text=f"QUESTION {index}", options=options)
    listed = "**List of All MITRE Enterprise technique IDs** T0000 : NAME"
    return Item(task, index, listed, "CWE-0", text=f"TEXT {index}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))
