"""The shape of an export, and the records that go into one.

    EXPORT = Export("CSV for a spreadsheet", ".csv", "text/csv", write)

A format is one file with such an object, or a few of a kind, and a line in EXPORTS. What it writes
as a weakness is what a person decided; a suggestion stands beside it and is called one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cybersecqwen.errors import escape
from cybersecqwen.files import Json
from cybersecqwen.service.reviews import counting
from cybersecqwen.service.tables import AuditEvent, Comment, Record, Review

NAME = "CyberSecQwen"
_encode = json.JSONEncoder(ensure_ascii=False).encode


class Trail(NamedTuple):
    """The state of the audit trail that an export was made in: its last event, and how many."""

    head: str
    events: int
    at: str


class ExportedRecord(NamedTuple):
    """A record with the events about it; `hidden` says that a blind second verdict is due."""

    record: Record
    events: Sequence[AuditEvent]

    @property
    def hidden(self) -> bool:
        """Tell whether the verdicts are not to be shown, for somebody judges without them."""
        return self.record.state == "second"

    @property
    def reviews(self) -> list[Review]:
        """The verdicts that count and may be shown, the first one first."""
        return [] if self.hidden else counting(self.record)

    @property
    def comments(self) -> list[Comment]:
        """The comments, which could give a hidden verdict away."""
        return [] if self.hidden else self.record.comments

    @property
    def verdict(self) -> str:
        """The verdict that decided: accept, correct or reject; "" while none has."""
        return self.reviews[-1].verdict if self.record.state == "decided" else ""

    def trail(self) -> list[Json]:
        """Return the events about the record; of what is hidden, only that there is something."""
        return [_event(event, hidden=self.hidden) for event in self.events]

    def summary(self) -> str:
        """Say in a sentence who decided what, or what is suggested."""
        record = self.record
        if not self.verdict:
            share = f"{record.suggested} at {record.confidence:.0%}"
            return f"No verdict yet; suggested is {share if record.suggested else 'nothing'}."
        named = ", ".join(dict.fromkeys(one.reviewer for one in self.reviews))
        reasons = "; ".join(filter(None, (one.reason for one in self.reviews)))
        decided = record.decided or "no weakness"
        said = f"Decided as {decided} by {named} on {record.decided_at}"
        return f"{said}: {reasons}" if reasons else f"{said}."


def _event(event: AuditEvent, *, hidden: bool) -> Json:
    details = json.loads(event.details)
    hidden = hidden and ("review" in details or event.action == "comment")
    return {
        "sequence": event.sequence,
        "at": event.at,
        "actor": event.actor,
        "action": "verdict" if hidden and "review" in details else event.action,
        "details": None if hidden else details,
        "previous": event.previous,
        "sha256": event.sha256,
    }


Write = Callable[[Iterable[ExportedRecord], Trail], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Export:
    """A format: how its files end, its media type, and how it is written piece by piece."""

    title: str
    ending: str
    media_type: str
    write: Write


def line(row: Json) -> str:
    """Write a line of JSON that does not steer a terminal."""
    return escape(_encode(row)) + "\n"


def product_name(product: Json) -> str:
    """Name an affected product in words, with its versions."""
    return " ".join(filter(None, (product["vendor"], product["product"], product["versions"])))


def document(
    before: Json, name: str, items: Iterable[Json], *, after: Callable[[], Json] = dict
) -> Iterator[str]:
    r"""Write a JSON object with a long list, an item a line; no list without an item.

    What stands `after` the list is asked for when it is written.

    >>> "".join(document({"a": 1}, "b", [{"c": 2}, {"c": 3}]))
    '{"a": 1, "b": [\n{"c": 2},\n{"c": 3}\n]}\n'
    """
    yield escape(_encode(before))[:-1]
    between = f", {_encode(name)}: [\n" if before else f"{_encode(name)}: [\n"
    end = ""
    for item in items:
        yield between + line(item)[:-1]
        between, end = ",\n", "\n]"
    rest = escape(_encode(after()))[1:-1]
    yield end + (f", {rest}" if rest and (before or end) else rest) + "}\n"
