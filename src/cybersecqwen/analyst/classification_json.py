"""A classification in JSON, written from pieces that are the same in most answers.

    print(encode(result))

It is what `json.dumps(as_row(result), ensure_ascii=False)` writes, several times as fast: names and
usages are few, and are made JSON once.
"""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring as _text  # in C, where Python has it

from cybersecqwen.analyst.classification import Candidate, Classification, FeedLabel, as_row
from cybersecqwen.analyst.description import rating
from cybersecqwen.analyst.labels import RecordLabel
from cybersecqwen.records import Span

_dumps = json.JSONEncoder(ensure_ascii=False).encode
_KEPT = 1 << 12  # pieces


def encode(result: Classification) -> str:
    """Write a classification as one line of JSON, without its end."""
    if result.grounding:
        return _dumps(as_row(result))
    return (
        f'{{"id": {_dumps(result.id)}, '
        f'"candidates": [{", ".join([_candidate(one) for one in result.candidates])}], '
        f'"abstain": {"true" if result.abstain else "false"}, "reason": {_or_null(result.reason)}, '
        f'"rationale": {_text(result.rationale)}, '
        f'"evidence": [{", ".join([_span(one) for one in result.evidence])}], '
        f'"labels": [{", ".join([_label(one) for one in result.labels])}], '
        f'"difference": {_or_null(result.difference)}, '
        f'"feed_label": {_feed_label(result.feed_label) if result.feed_label else "null"}, '
        f'"chain": {_list(result.chain)}, '
        f'"description": {_description(result.missing) if result.candidates else "null"}}}'
    )


def _candidate(one: Candidate) -> str:
    cwe, name, confidence, usage, abstraction, better = one
    begin, end = _around(cwe, name, usage, abstraction or None, better or None)
    return f"{begin}{confidence!r}{end}"


def _feed_label(one: FeedLabel) -> str:
    begin, end = _around(one.cwe, one.name, one.usage)
    return f"{begin}{one.confidence!r}{end}"


@lru_cache(maxsize=_KEPT)
def _around(cwe: str, name: str, *rest: str | None) -> tuple[str, str]:
    """Write what stands before a confidence and behind it."""
    behind = dict(zip(("usage", "abstraction", "better"), rest, strict=False))
    head = _dumps({"cwe": cwe, "name": name})[:-1]
    return f'{head}, "confidence": ', f", {_dumps(behind)[1:]}"


def _span(one: Span) -> str:
    start, end, text, weight = one
    return (
        f'{{"start": {start}, "end": {end}, "text": {_text(text)}, "weight": {round(weight, 4)!r}}}'
    )


@lru_cache(maxsize=_KEPT)
def _label(one: RecordLabel) -> str:
    return _dumps({name: value or None for name, value in one._asdict().items()})


@lru_cache(maxsize=_KEPT)
def _description(missing: tuple[str, ...]) -> str:
    return _dumps({"rating": rating(missing), "missing": missing})


@lru_cache(maxsize=_KEPT)
def _list(names: tuple[str, ...]) -> str:
    return _dumps(names)


def _or_null(text: str) -> str:
    return _text(text) if text else "null"
