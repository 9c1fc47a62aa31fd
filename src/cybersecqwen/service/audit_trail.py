"""The audit trail: who did what to which record, when, why, and what was shown.

Each event holds the SHA-256 of the one before it, and its own is over everything it says. Changing,
inserting or deleting one breaks the chain there; the database refuses all three by triggers. What a
chain alone cannot show is that its newest events were cut off: for that, keep the `head` that
`verify` prints elsewhere, and verify against it.

    with database.write() as session:
        append(session, actor="ana", action="accept", subject="CVE-2021-44228", details={…})
    with database.read() as session:
        verify(session).broken     # "" where the chain is whole
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.files import Json
from cybersecqwen.service.tables import AuditEvent, Record, Review, utc_now

FIRST = "0" * 64  # what the first event has in the place of the hash of the one before
_BATCH = 5000  # events


class Verification(NamedTuple):
    """How many events there are, the hash of the last one, and where the chain is broken, if so."""

    events: int
    head: str
    broken: str = ""


def append(
    session: Session, *, actor: str, action: str, subject: str, details: Json | None = None
) -> AuditEvent:
    """Add an event in the transaction of what it tells; both are committed, or neither is.

    The session is one that writes, of which there is one at a time.
    """
    newest = select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)
    last = session.scalars(newest).first()
    event = AuditEvent(
        sequence=last.sequence + 1 if last else 1,
        at=utc_now(),
        actor=actor,
        action=action,
        subject=subject,
        details=_canonical(details or {}),
        previous=last.sha256 if last else FIRST,
    )
    event.sha256 = _sha256(event)
    session.add(event)
    session.flush()
    return event


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _sha256(event: AuditEvent) -> str:
    """Return the hash over all that an event says, the hash of the one before it included."""
    said = [event.sequence, event.at, event.actor, event.action, event.subject]
    return hashlib.sha256(_canonical([*said, event.details, event.previous]).encode()).hexdigest()


def verify(session: Session, *, head: str = "") -> Verification:
    """Follow the whole chain, and compare the verdicts that count with what it tells of them.

    With `head`, the hash that an earlier verification printed, the chain must contain that event.
    """
    previous, number, seen = FIRST, 0, not head
    verdicts: dict[int, str] = {}  # of each record: its reviews that count, as the trail tells them
    for event in events(session):
        number += 1
        if event.sequence != number:
            return Verification(number - 1, previous, f"event {number} is missing")
        if event.previous != previous or event.sha256 != _sha256(event):
            return Verification(number - 1, previous, f"event {number} was changed")
        previous = event.sha256
        seen = seen or previous == head
        _replay(event, verdicts)
    if not seen:
        return Verification(number, previous, f"it does not contain the event {head}")
    return Verification(number, previous, _difference(session, verdicts))


def events(session: Session, subject: str = "") -> Iterator[AuditEvent]:
    """Yield the events in their order, all of them or those about one record."""
    query = select(AuditEvent).order_by(AuditEvent.sequence)
    if subject:
        query = query.where(AuditEvent.subject == subject)
    yield from session.scalars(query.execution_options(yield_per=_BATCH))


def _replay(event: AuditEvent, verdicts: dict[int, str]) -> None:
    details = json.loads(event.details)
    if "review" in details:
        verdicts[details["review"]] = _canonical([event.actor, details["verdict"], details["cwe"]])
    for withdrawn in details.get("withdrawn", ()):
        verdicts.pop(withdrawn, None)


def _difference(session: Session, verdicts: dict[int, str]) -> str:
    """Say which verdict the tables hold that the trail does not tell, or the other way round."""
    # By the columns that every version has: a backup may be of an older one.
    said = select(Review.id, Review.reviewer, Review.verdict, Review.cwe, Record.name)
    counting = said.join(Record).where(Review.withdrawn_at == "")
    for number, *verdict, name in session.execute(counting.execution_options(yield_per=_BATCH)):
        if verdicts.pop(number, "") != _canonical(verdict):
            return f"the verdict of {verdict[0]} on {name} is not the one that it tells"
    if verdicts:
        return f"{len(verdicts)} verdicts that it tells are not in the table"
    return ""
