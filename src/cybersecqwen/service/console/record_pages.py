"""One record a page: what it says, what is suggested and why, and the verdict on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Span
from cybersecqwen.service.audit_trail import events
from cybersecqwen.service.authentication import Visit
from cybersecqwen.service.console.cwe_tree import search, tree
from cybersecqwen.service.console.page import (
    PageRoute,
    Posted,
    Visited,
    field,
    number,
    redirect,
    render_page,
    render_part,
)
from cybersecqwen.service.console.queue_pages import filters_query, read_filters
from cybersecqwen.service.console.text_marks import hidden, pieces
from cybersecqwen.service.problems import as_problem
from cybersecqwen.service.queue import Filters, following, similar
from cybersecqwen.service.reviews import (
    Decision,
    Verdict,
    add_comment,
    counting,
    decide,
    is_blind,
    send_back,
    undo,
    visible,
    visible_comments,
)
from cybersecqwen.service.tables import AuditEvent, Record, Review

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_VERDICTS: dict[str, Verdict] = {"accept": "accept", "correct": "correct", "reject": "reject"}


class Draft(NamedTuple):
    """What a reviewer has typed, kept where it could not be saved."""

    note: str = ""
    cwe: str = ""
    error: str = ""
    status: int = 200


class Event(NamedTuple):
    """An event of the audit trail in words; of one that is hidden, only that there is one."""

    at: str
    actor: str
    action: str
    cwe: str
    reason: str


@router.get("/records/{record_id:int}")
def record(request: Request, visit: Visited, record_id: int) -> Response:
    """Show a record; `done` is the verdict just given on another."""
    filters, _ = read_filters(request.url.query)
    with request.app.state.database.read() as session:
        return _page(request, visit, session, find(session, record_id), filters, draft=Draft())


def find(session: Session, record_id: int) -> Record:
    """Return a record by its number; raises HTTPException 404 where there is none."""
    held = session.get(Record, record_id) if record_id < 2**63 else None
    if held is None:
        raise HTTPException(404, f"there is no record {record_id}")
    return held


def _page(
    request: Request,
    visit: Visit,
    session: Session,
    one: Record,
    filters: Filters,
    *,
    draft: Draft,
) -> Response:
    after = following(session, filters, one)
    return render_page(
        request,
        visit,
        "record",
        status=draft.status,
        record=one,
        draft=draft,
        reviews=visible(one, visit.actor),
        blind=is_blind(one, visit.actor),
        may_judge=_may_judge(one, visit),
        comments=visible_comments(one, visit.actor),
        history=_history(session, one, visit),
        similar=similar(session, one),
        hits=search(draft.cwe),
        own_query=filters_query(filters),
        after=after,
        done=_done(session, request, visit),
        **suggestion(one.classification, one.text, one.labels),
    )


def suggestion(row: Json, text: str, labels: Sequence[Json] = ()) -> dict[str, Any]:
    """Return what a template shows of a classification, as `classify --json` prints it."""
    spans = [Span(**span) for span in row.get("evidence", ())]
    given: dict[str, list[str]] = {}
    for label in labels:
        given.setdefault(label["cwe"], []).append(LABEL_SOURCES[label["source"]])
    candidates = row.get("candidates", ())
    shares = [(one["cwe"], one["confidence"]) for one in candidates]
    return {
        "row": row,
        "pieces": list(pieces(text, spans)),
        "hidden": hidden(text),
        "given": given,
        "candidates": candidates,
        "tree": tree(shares, {cwe: who for cwe, who in given.items() if cwe in load_catalogue()}),
    }


def _may_judge(one: Record, visit: Visit) -> bool:
    """Tell whether to offer the verdicts: to reviewers who have not judged it yet."""
    if one.state == "decided":
        return False
    role = "resolver" if one.state == "disputed" else "reviewer"
    judged = any(review.reviewer == visit.actor.name for review in counting(one))
    return visit.actor.may(role) and not judged  # type: ignore[arg-type]


def _history(session: Session, one: Record, visit: Visit) -> list[Event]:
    blind = is_blind(one, visit.actor)
    return [in_words(event, visit, blind=blind) for event in events(session, one.name)][::-1]


def in_words(event: AuditEvent, visit: Visit, *, blind: bool) -> Event:
    """Word an event; to who is `blind` it only says that others gave a verdict or a comment."""
    details = json.loads(event.details)
    is_comment = event.action == "comment"
    if blind and event.actor != visit.actor.name and (is_comment or "review" in details):
        action = "comment" if is_comment else "verdict"
        return Event(event.at, "a reviewer", action, "", "hidden until you have judged it")
    reason = details.get("reason") or details.get("text") or details.get("error") or ""
    return Event(event.at, event.actor, event.action, details.get("cwe", ""), str(reason))


def _done(session: Session, request: Request, visit: Visit) -> Review | None:
    """Return the visitor's verdict that led to this page, to tell of it and offer its undoing."""
    given = request.query_params.get("done", "")
    review = session.get(Review, number(given, "the verdict")) if given else None
    own = review is not None and review.reviewer == visit.actor.name and not review.withdrawn_at
    return review if own else None


@router.post("/records/{record_id:int}/verdict")
def give_verdict(request: Request, visit: Visited, form: Posted, record_id: int) -> Response:
    """Judge, comment on or send back a record; what cannot be saved comes back as it was typed."""
    filters, _ = read_filters(field(form, "query"))
    database = request.app.state.database
    action, note, cwe = field(form, "action"), field(form, "note"), field(form, "cwe")
    try:
        with database.write() as session:
            one = find(session, record_id)
            if action in _VERDICTS:
                cwe = _meant(cwe) if action == "correct" else ""
                decision = Decision(_VERDICTS[action], cwe, note)
                return _decide(request, visit, session, one, decision, form)
            if action == "comment":
                add_comment(session, one, note, actor=visit.actor)
            elif action == "send back":
                send_back(session, one, actor=visit.actor, reason=note)
            else:
                raise InputError("no verdict was chosen", tip="accept, correct or reject")
    except CyberSecQwenError as error:
        draft = Draft(note, cwe, str(error), as_problem(error).status)
        with database.read() as session:
            return _page(request, visit, session, find(session, record_id), filters, draft=draft)
    return redirect(f"/records/{record_id}", filters_query(filters))


def _decide(
    request: Request, visit: Visit, session: Session, one: Record, decision: Decision, form: Any
) -> Response:
    """Give a verdict, and go on to the next record of the queue."""
    filters, _ = read_filters(field(form, "query"))
    review = decide(
        session,
        one,
        decision,
        actor=visit.actor,
        version=number(field(form, "version"), "the version"),
        second_share=request.app.state.settings.second_share,
    )
    after = following(session, filters, one)
    query = "&".join(filter(None, [filters_query(filters), f"done={review.id}"]))
    return redirect(f"/records/{after if after else one.id}", query)


def _meant(text: str) -> str:
    """Return the id that a correction names; a name that says more than one entry is refused."""
    if not text:
        raise InputError("no weakness was named", tip="type an id or a name, and choose one")
    cwe = normalise_ids(f"CWE-{text}" if text.isdigit() else text).partition(" ")[0]
    if cwe in load_catalogue():
        return cwe
    raise InputError(f"{text!r} is not the id of a weakness", tip="choose one of those listed")


@router.post("/undo")
def undo_last(request: Request, visit: Visited, form: Posted) -> Response:
    """Withdraw the visitor's newest verdict, or a bulk of them, and show what it was on."""
    filters, _ = read_filters(field(form, "query"))
    with request.app.state.database.write() as session:
        undone = undo(session, visit.actor, bulk=field(form, "bulk"))
    query = filters_query(filters)
    if len(undone.records) + len(undone.left) > 1:
        return render_page(request, visit, "bulk_undone", undone=undone, own_query=query)
    return redirect(f"/records/{undone.records[0].id}", query)


@router.get("/records/by-name")
def by_name(request: Request, visit: Visited, name: str = "") -> Response:
    """Go to the record of a name, such as a CVE id."""
    wanted = normalise_ids(name.strip())
    with request.app.state.database.read() as session:
        held = session.scalars(select(Record.id).where(Record.name == wanted)).first()
    if held is None:
        raise InputError(f"there is no record {wanted!r}", tip="import it first")
    return redirect(f"/records/{held}")


@router.get("/catalogue")
def catalogue(visit: Visited, text: str = "") -> Response:
    """Return what a search of the catalogue finds, for the script to list."""
    return render_part("catalogue", hits=search(text))
