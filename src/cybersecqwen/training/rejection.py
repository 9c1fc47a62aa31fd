r"""Reject the answers of a teacher that are no reasoning traces to learn from.

>>> from cybersecqwen.records import Response
>>> answer = "The name reaches the page unescaped.\n\nCWE-79"
>>> reason_against(Response(0, 0, answer, "stop"), gold="CWE-89")
Rejection(reason='wrong-label', detail='CWE-79')
>>> reason_against(Response(0, 0, answer, "stop"), gold="CWE-79") is None
True

The rules go from what the server says to what the text says; the first that fails is the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.score import extractor
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.contamination import BenchmarkIndex, Hit, Row, tokens, worded
from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.engines import failure_reason
from cybersecqwen.records import Response

_READ = extractor(find_task("cti-rcm"), find_protocol("model-card")).read

# The teacher was given no label, so a text that speaks of one speaks of the task, not of the flaw.
_META = re.compile(
    r"\b(?:correct|right|true|gold(?:en)?|expected|given|provided|known|reference|assigned|official)"
    r" (?:label|answer|classification|solution)s?\b"
    r"|\bground[- ]truth\b|\banswer key\b|\bmy (?:training|knowledge cut-?off|instructions)\b"
    r"|\bas an? (?:AI|(?:large )?language model)\b"
    r"|\bI (?:was|am|have been) (?:asked|told|instructed)\b"
    r"|\bthe (?:user|prompt|question|task|instructions?) (?:asks?|asked|wants?|says?|requires?)\b",
    re.IGNORECASE,
)
# A turn's or a thought's own marks would become tokens that end it.
_MARKUP = re.compile(r"<\|[^|<>\s]{1,40}\|?>|<[^|<>\s]{1,40}\|>|</?(?:think|s|bos|eos)>")


class Rejection(NamedTuple):
    """Why an answer is no trace: one of a fixed set of reasons, and the text it rests on."""

    reason: str
    detail: str = ""


class Trace(NamedTuple):
    """A text that may be kept, with the prompt that it answers and that prompt's record."""

    cve_id: str
    prompt: str
    text: str


def label_in(text: str) -> str | None:
    """Read the final answer as the model card's protocol does."""
    return _READ(text).answer


def reason_against(response: Response, *, gold: str) -> Rejection | None:
    """Return why an answer cannot be kept, by itself and the gold label; None where it can."""
    text, label = response.text.strip(), label_in(response.text)
    last, body = text.rpartition("\n")[2].strip(), text.rpartition("\n")[0].strip()
    meta, markup = _META.search(text), _MARKUP.search(text)
    rules = (
        (bool(failure_reason(response)), "no-answer", failure_reason(response)),
        (response.finish_reason not in ("stop", ""), "truncated", response.finish_reason),
        (not text, "empty", ""),
        (label is None, "no-label", text[-80:]),
        (label != gold, "wrong-label", label or ""),
        (last != gold, "last-line", last[:80]),
        (not body, "no-argument", ""),
        (meta is not None, "meta-text", meta.group() if meta else ""),
        (markup is not None, "markup", markup.group() if markup else ""),
    )
    return next((Rejection(reason, detail) for failed, reason, detail in rules if failed), None)


def benchmark_hits(index: BenchmarkIndex, traces: Sequence[Trace], *, n: int) -> list[list[Hit]]:
    """List for each trace the items that it overlaps with beyond the words of its own prompt.

    The prompt's text has passed the rules already, and a trace may quote it: `n`-grams that both
    hold do not count. A CVE id that only the trace names counts as the record's own does.
    """
    rows = [(place, row) for place, trace in enumerate(traces) for row in _rows(trace, n)]
    by_trace: list[set[Hit]] = [set() for _ in traces]
    for (place, _), hits in zip(rows, index.hits_of(row for _, row in rows), strict=True):
        by_trace[place].update(hits)
    return [sorted(hits, key=lambda h: (-h.score, h.task, h.item, h.rule)) for hits in by_trace]


def _rows(trace: Trace, n: int) -> Iterator[Row]:
    named = set(cve_ids(trace.text)) - set(cve_ids(trace.prompt))
    ids = tuple(sorted({trace.cve_id} | named))
    return (Row(part, ids) for part in _beyond(trace.prompt, trace.text, n))


def _beyond(prompt: str, trace: str, n: int) -> Iterator[str]:
    """Cut the trace into the longest runs of words that share no `n`-gram with the prompt."""
    words, quoted = worded(tokens(trace)), worded(tokens(prompt))
    known = {quoted[i : i + n] for i in range(len(quoted) - n + 1)}
    start: int | None = None
    own = [words[i : i + n] not in known for i in range(len(words) - n + 1)]
    for position, new in enumerate([*own, False]):
        if new and start is None:
            start = position
        elif not new and start is not None:
            yield " ".join(words[start : position + n - 1])
            start = None
    if not any(own):  # too short for an n-gram of its own: the ids that it names still count
        yield " ".join(words[: n - 1])
