"""Verdicts on records: the first, a blind second, and a third who resolves where the two differ.

    open ──verdict──▶ decided                       or, of a share of the records,
    open ──verdict──▶ second ──same──▶ decided
                             └─other──▶ disputed ──resolution──▶ decided

A record can be sent back from anywhere to `open`; its verdicts are then withdrawn, never deleted.
Every function works in the session that it is given and appends to the audit trail there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.tables import Comment, Record, Review, utc_now

Verdict = Literal["accept", "correct", "reject"]
State = Literal["open", "second", "disputed", "decided"]
Role = Literal["reader", "reviewer", "resolver", "administrator"]
ROLES: tuple[Role, ...] = ("reader", "reviewer", "resolver", "administrator")
STATES: tuple[State, ...] = ("open", "second", "disputed", "decided")
_STAGES = {"open": "first", "second": "second", "disputed": "resolution"}
_LONGEST = 5000  # characters of a reason or comment
_SHOWN = 5  # candidates that the audit trail keeps of what was shown


class ConflictError(CyberSecQwenError):
    """A verdict that does not fit the state that the record is in by now."""


class ForbiddenError(CyberSecQwenError):
    """Something that the actor's role, or an earlier verdict of theirs, does not allow."""


class Actor(NamedTuple):
    """Who acts, and what they may do."""

    name: str
    role: Role = "reviewer"

    def may(self, role: Role) -> bool:
        """Tell whether the actor has a role or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Decision(NamedTuple):
    """A verdict; `cwe` is the weakness that a correction names, "" otherwise.

    Verdicts of one `bulk` are undone as one.
    """

    verdict: Verdict
    cwe: str = ""
    reason: str = ""
    bulk: str = ""


class Undone(NamedTuple):
    """The records whose verdicts were withdrawn, and those of a bulk that have gone on since."""

    records: list[Record]
    left: list[Record]


class BulkPreview(NamedTuple):
    """What a decision on many records would do: how many to which CWE, and whom it cannot reach."""

    decisions: dict[str, int]  # by CWE, "" for rejected ones
    refused: dict[str, int]  # by reason


def decide(
    session: Session,
    record: Record,
    decision: Decision,
    *,
    actor: Actor,
    version: int | None = None,
    second_share: float = 0.0,
) -> Review:
    """Give a verdict on a record, and move it on.

    Raises ForbiddenError where the actor may not judge it, ConflictError where it is decided or no
    longer the `version` that the actor saw, and InputError for a correction to what is no weakness.
    """
    if version not in (None, record.version):
        raise ConflictError("it has changed meanwhile", where=record.name, tip="look at it again")
    _check(record, actor)
    cwe = _decided_cwe(record, decision)
    stage = _STAGES[record.state]
    review = Review(
        reviewer=actor.name,
        stage=stage,
        verdict=decision.verdict,
        cwe=cwe,
        reason=decision.reason[:_LONGEST],
        suggested=record.suggested,
        confidence=record.confidence,
        at=utc_now(),
        bulk=decision.bulk,
    )
    first = next((one for one in counting(record) if one.stage == "first"), None)
    record.reviews.append(review)
    if stage == "first" and needs_second(record.name, second_share):
        record.state = "second"
    elif stage == "second" and first and first.cwe != cwe:
        record.state = "disputed"
    else:
        record.state, record.decided, record.decided_at = "decided", cwe, review.at
    session.flush()
    append(
        session,
        actor=actor.name,
        action=decision.verdict,
        subject=record.name,
        details={
            "review": review.id,
            "stage": stage,
            "verdict": review.verdict,
            "cwe": cwe,
            "reason": review.reason,
            "state": record.state,
            "shown": shown(record, blind=stage == "second"),
        }
        | ({"bulk": review.bulk} if review.bulk else {}),
    )
    return review


def _check(record: Record, actor: Actor) -> None:
    if record.state not in _STAGES:
        raise ConflictError("it is decided already", where=record.name, tip="send it back first")
    if not actor.may("resolver" if record.state == "disputed" else "reviewer"):
        raise ForbiddenError(
            f"a {actor.role} may not judge a record that is {record.state}", where=record.name
        )
    if any(one.reviewer == actor.name for one in counting(record)):
        raise ForbiddenError(
            "the same person may not judge it twice", where=record.name, tip="leave it to another"
        )


def _decided_cwe(record: Record, decision: Decision) -> str:
    if decision.verdict == "reject":
        return ""
    if decision.verdict == "accept":
        if not record.suggested:
            raise InputError("there is no suggestion to accept", where=record.name)
        return record.suggested
    cwe = normalise_ids(decision.cwe.strip())
    entry = load_catalogue().get(cwe)
    if entry is None or entry.kind != "weakness":
        raise InputError(
            f"{decision.cwe!r} is no weakness of the CWE catalogue",
            where=record.name,
            tip="give an id such as CWE-79",
        )
    return cwe


def counting(record: Record) -> list[Review]:
    """Return the verdicts on a record that were not withdrawn, the first one first."""
    return [review for review in record.reviews if not review.withdrawn_at]


def needs_second(name: str, share: float) -> bool:
    """Tell whether a record is of the share that a second reviewer judges; it always is or not.

    >>> sum(needs_second(f"CVE-2021-{number}", 0.1) for number in range(1000, 2000))
    109
    """
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return drawn < share * 2**32


def shown(record: Record, *, blind: bool = False) -> Json:
    """Return what a reviewer saw of a record: its text by hash, the suggestion, and by whom."""
    return {
        "text_sha256": record.text_sha256,
        "candidates": [
            [one["cwe"], one["confidence"]]
            for one in record.classification.get("candidates", ())[:_SHOWN]
        ],
        "labels": record.labels,
        "engine": record.engine,
        "artifact": record.artifact,
        "classified_at": record.classified_at,
        "first_verdict_hidden": blind,
    }


def visible(record: Record, actor: Actor) -> list[Review]:
    """Return the verdicts that an actor may see: while a second one is due, none but their own."""
    given = counting(record)
    return [one for one in given if record.state != "second" or one.reviewer == actor.name]


def is_blind(record: Record, actor: Actor) -> bool:
    """Tell whether there are verdicts that an actor may not see yet."""
    return len(visible(record, actor)) < len(counting(record))


def visible_comments(record: Record, actor: Actor) -> list[Comment]:
    """Return the comments that an actor may see; those of others could give verdicts away."""
    blind = is_blind(record, actor)
    return [one for one in record.comments if not blind or one.author == actor.name]


def undo(session: Session, actor: Actor, *, bulk: str = "") -> Undone:
    """Withdraw the actor's newest verdict that counts, with all that were given at once with it.

    With `bulk` it is the newest of those. What somebody has judged since is left as it is; raises
    ConflictError where that is all of it.
    """
    own = select(Review).where(Review.reviewer == actor.name, Review.withdrawn_at == "")
    own = own.order_by(Review.id.desc())
    asked = own.where(Review.bulk == bulk) if bulk else own
    newest = session.scalars(asked.limit(1)).first()
    if newest is None:
        raise ConflictError("there is no verdict to undo")
    given = [newest]
    if newest.bulk:
        given = list(session.scalars(own.where(Review.bulk == newest.bulk)))
    last = [review for review in given if counting(review.record)[-1] is review]
    if not last:
        name = newest.record.name
        raise ConflictError("the record has gone on since", where=name, tip="send it back")
    reason = f"one of {len(given)} verdicts given at once" if newest.bulk else ""
    for review in last:
        _undo(session, review, actor, reason=reason)
    left = [review.record for review in given if review not in last]
    return Undone([review.record for review in last], left)


def _undo(session: Session, review: Review, actor: Actor, *, reason: str) -> None:
    record = review.record
    review.withdrawn_at = utc_now()
    record.state = next(state for state, stage in _STAGES.items() if stage == review.stage)
    record.decided = record.decided_at = ""
    _append_withdrawal(session, actor, "undo", record, [review], reason)


def send_back(session: Session, record: Record, *, actor: Actor, reason: str) -> None:
    """Reopen a record: its verdicts are withdrawn, and it awaits a first one again."""
    if not actor.may("reviewer"):
        raise ForbiddenError(f"a {actor.role} may not send a record back", where=record.name)
    if record.state == "open":
        raise ConflictError("it is open already", where=record.name)
    reopen(session, record, actor=actor, action="send back", reason=reason)


def reopen(session: Session, record: Record, *, actor: Actor, action: str, reason: str) -> None:
    """Withdraw every verdict on a record, for a reason."""
    given = counting(record)
    for review in given:
        review.withdrawn_at = utc_now()
    record.state = "open"
    record.decided = record.decided_at = ""
    _append_withdrawal(session, actor, action, record, given, reason)


def _append_withdrawal(
    session: Session,
    actor: Actor,
    action: str,
    record: Record,
    given: Sequence[Review],
    reason: str = "",
) -> None:
    session.flush()
    ids = [review.id for review in given]
    details: Json = {"withdrawn": ids, "state": record.state, "reason": reason[:_LONGEST]}
    if bulk := next((review.bulk for review in given if review.bulk), ""):
        details["bulk"] = bulk
    append(session, actor=actor.name, action=action, subject=record.name, details=details)


def add_comment(session: Session, record: Record, text: str, *, actor: Actor) -> Comment:
    """Add what somebody has to say of a record."""
    if not text.strip():
        raise InputError("the comment is empty", where=record.name)
    comment = Comment(author=actor.name, text=text.strip()[:_LONGEST], at=utc_now())
    record.comments.append(comment)
    session.flush()
    details = {"comment": comment.id, "text": comment.text}
    append(session, actor=actor.name, action="comment", subject=record.name, details=details)
    return comment


def preview(records: Iterable[Record], decision: Decision, *, actor: Actor) -> BulkPreview:
    """Say what a decision on many records would do, without doing it."""
    decisions: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for record in records:
        try:
            _check(record, actor)
            decisions[_decided_cwe(record, decision)] += 1
        except CyberSecQwenError as error:
            refused[error.what] += 1
    return BulkPreview(dict(decisions), dict(refused))


def decide_all(
    session: Session,
    records: Iterable[Record],
    decision: Decision,
    *,
    actor: Actor,
    second_share: float = 0.0,
) -> BulkPreview:
    """Give one verdict on many records, each an event of its own; return what was done.

    Under one `bulk` they are undone at once.
    """
    decisions: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for record in records:
        try:
            review = decide(session, record, decision, actor=actor, second_share=second_share)
            decisions[review.cwe] += 1
        except CyberSecQwenError as error:
            refused[error.what] += 1
    return BulkPreview(dict(decisions), dict(refused))
