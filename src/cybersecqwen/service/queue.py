"""The queue: which records await review, in what order, a page at a time.

    filters = Filters(state="open", order="uncertainty", exploited=True)
    first = page(session, filters, limit=50)
    second = page(session, filters, limit=50, after=first.next)

A page begins after the last record of the one before (keyset), so that any page of a million
records costs the same, and none is shown twice or left out while others are being decided.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import Boolean, ColumnElement, Select, func, literal, select, tuple_, union
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, defer
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.embedded.tokenizer import words
from cybersecqwen.errors import InputError
from cybersecqwen.service.products import affects
from cybersecqwen.service.reviews import STATES, State
from cybersecqwen.service.tables import EXPLOITED, Record

Order = Literal["urgency", "uncertainty", "severity", "newest"]
ORDERS: dict[Order, tuple[Any, bool]] = {  # by which column, and whether the highest comes first
    "urgency": (Record.urgency, True),
    "uncertainty": (Record.confidence, False),
    "severity": (Record.severity, True),
    "newest": (Record.published, True),
}
MOST = 500  # records of a page
_LAST = chr(0x10FFFF)  # sorts behind every name
_TRIGRAM = 3  # characters, of which SQLite's index of descriptions is made
_COMPARED = 200  # decided records that a record is compared with, twice
_LATEST = 1000  # decisions that are looked through for the same weakness


class Filters(BaseModel):
    """Which records are asked for, and in what order; what is not set does not count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State | None = "open"
    order: Order = "urgency"
    name: str = Field(default="", max_length=200)  # how it begins
    text: str = Field(default="", max_length=200)  # that the description contains
    product: str = Field(default="", max_length=200)  # affected, by words of its name
    cwe: str = Field(default="", max_length=20)  # suggested
    exploited: bool | None = None
    differs: bool | None = None
    abstained: bool | None = None
    min_severity: float | None = Field(default=None, ge=0, le=10)
    max_confidence: float | None = Field(default=None, ge=0, le=1)
    import_id: int | None = Field(default=None, ge=1, lt=2**31)

    @field_validator("cwe")
    @classmethod
    def _usual(cls, value: str) -> str:
        return normalise_ids(value.strip())


@dataclass(frozen=True)
class Page:
    """Some records in their order; `next` continues after them, "" where none are left."""

    records: Sequence[Record]
    next: str


def page(session: Session, filters: Filters, *, limit: int = 50, after: str = "") -> Page:
    """Read a page of the queue. Raises InputError for an `after` that no page gave."""
    column, descending = ORDERS[filters.order]
    query = select(Record).options(defer(Record.text))
    if after:
        last = tuple_(*_parse(after, column.type.python_type))
        key = tuple_(column, Record.id)
        query = query.where(key < last if descending else key > last)
    ordered = (column.desc(), Record.id.desc()) if descending else (column, Record.id)
    limit = min(limit, MOST)
    query = query.order_by(*ordered).limit(limit + 1)
    # The indexes are by state: of all states the first ones of each are taken, and merged.
    some = [
        filters.model_copy(update={"state": state})
        for state in ([filters.state] if filters.state else STATES)
    ]
    records = [r for one in some for r in session.scalars(query.where(*conditions(one)))]
    if len(some) > 1:
        records.sort(key=lambda r: (getattr(r, column.key), r.id), reverse=descending)
    more = len(records) > limit
    records = records[:limit]
    return Page(records, _cursor(records[-1], column.key) if more else "")


def following(session: Session, filters: Filters, record: Record) -> int | None:
    """Return the id of the record that comes after one in the queue; None where it is the last."""
    after = page(session, filters, limit=1, after=_cursor(record, ORDERS[filters.order][0].key))
    return after.records[0].id if after.records else None


def _cursor(record: Record, column: str) -> str:
    value = json.dumps([getattr(record, column), record.id])
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


def _parse(cursor: str, kind: type) -> tuple[Any, int]:
    try:
        value, number = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(value) is not kind or type(number) is not int or not 0 < number < 2**31:
            raise TypeError
    except (ValueError, TypeError) as error:
        raise InputError("the place to go on from is none that a page gave") from error
    return value, number


def conditions(filters: Filters) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter."""
    exact = {
        Record.state: filters.state,
        Record.suggested: filters.cwe or None,
        Record.exploited: filters.exploited,
        Record.differs: filters.differs,
        Record.abstained: filters.abstained,
        Record.import_id: filters.import_id,
    }
    chosen: list[ColumnElement[bool]] = [
        column == value for column, value in exact.items() if value is not None
    ]
    if filters.exploited:  # by an index
        chosen.append(Record.urgency >= EXPLOITED)
    if filters.name:
        chosen.append(_begins(filters.name))
    if filters.text:
        chosen.append(_contains(filters.text))
    if filters.product:
        chosen.append(affects(filters.product))
    if filters.min_severity is not None:
        chosen.append(Record.severity >= filters.min_severity)
    if filters.max_confidence is not None:
        chosen.append(Record.confidence <= filters.max_confidence)
    return chosen


class _Searched(FunctionElement[bool]):
    """A condition that PostgreSQL finds by its own index, and SQLite by a subquery for its."""

    type = Boolean()


class _Beginning(_Searched):
    """That a name begins with something, in capitals or not."""

    name = "beginning"
    inherit_cache = True


class _Containing(_Searched):
    """That a description contains something."""

    name = "containing"
    inherit_cache = True


def _begins(name: str) -> ColumnElement[bool]:
    by_reading = Record.name.istartswith(name, autoescape=True)
    return _Beginning(by_reading, literal(name), literal(f"{name}{_LAST}"))


def _contains(text: str) -> ColumnElement[bool]:
    by_reading = Record.text.icontains(text, autoescape=True)
    if len(text) < _TRIGRAM:
        return by_reading
    phrase = '"{}"'.format(text.replace('"', '""'))
    return _Containing(by_reading, literal(phrase))


@compiles(_Searched)
def _by_reading(element: _Searched, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **options)


@compiles(_Beginning, "sqlite")
def _by_name(element: _Beginning, compiler: SQLCompiler, **options: Any) -> str:
    _, low, high = (compiler.process(clause, **options) for clause in element.clauses)
    name = "named.name COLLATE NOCASE"
    named = f"SELECT named.id FROM records AS named WHERE {name} >= {low} AND {name} < {high}"
    return f"records.id IN ({named})"


@compiles(_Containing, "sqlite")
def _by_index(element: _Containing, compiler: SQLCompiler, **options: Any) -> str:
    _, phrase = (compiler.process(clause, **options) for clause in element.clauses)
    return f"records.id IN (SELECT rowid FROM record_texts WHERE record_texts MATCH {phrase})"


def count(session: Session, filters: Filters) -> int:
    """Count the records that a filter lets through."""
    return session.scalar(select(func.count()).select_from(Record).where(*conditions(filters))) or 0


def states(session: Session) -> dict[str, int]:
    """Count the records by state, a state of none included."""
    query = select(Record.state, func.count()).group_by(Record.state)
    counted = {state: number for state, number in session.execute(query)}  # noqa: C416 # of rows
    return dict.fromkeys(STATES, 0) | counted


def similar(session: Session, record: Record, *, limit: int = 5) -> list[tuple[Record, float]]:
    """Return decided records whose descriptions share most words with this one's, and how many.

    The share is Jaccard's, 0 to 1. Compared are the latest records that were suggested the weakness
    that is suggested here, and those among the latest decisions that were for it.
    """
    own = _telling(record.text)
    scored = []
    for other in session.scalars(_decided_alike(record)):
        theirs = _telling(other.text)
        scored.append((other, len(own & theirs) / max(len(own | theirs), 1)))
    scored.sort(key=lambda pair: -pair[1])
    return [pair for pair in scored[:limit] if pair[1]]


def _decided_alike(record: Record) -> Select[Record]:
    """Look no further than a number of records, however many there are."""
    suggested = (
        select(Record.id)
        .where(Record.suggested == record.suggested, Record.state == "decided")
        .order_by(Record.id.desc())
        .limit(_COMPARED)
        .subquery()
    )
    latest = (
        select(Record.id, Record.decided)
        .where(Record.state == "decided")
        .order_by(Record.decided_at.desc())
        .limit(_LATEST)
        .subquery()
    )
    decided = select(latest.c.id).where(latest.c.decided == record.suggested).limit(_COMPARED)
    # Where they are joined by OR, PostgreSQL reads every record.
    alike = union(select(suggested.c.id), select(decided.subquery().c.id))
    return (
        select(Record)
        .where(Record.id.in_(alike), Record.id != record.id)
        .options(defer(Record.classification), defer(Record.labels))
    )


def _telling(text: str) -> frozenset[str]:
    return frozenset(words(text)) - STOP_WORDS
