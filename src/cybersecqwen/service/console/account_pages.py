"""Logging in and out, the audit trail, help, and our own files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session, load_only, selectinload
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.service.audit_trail import verify
from cybersecqwen.service.authentication import Visit
from cybersecqwen.service.console.page import (
    PageRoute,
    Posted,
    Visited,
    figures,
    number,
    render_page,
    require,
    static,
)
from cybersecqwen.service.console.record_pages import in_words
from cybersecqwen.service.reviews import is_blind
from cybersecqwen.service.tables import AuditEvent, Record

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_EVENTS = 100  # of a page
_FRESH = 60.0  # seconds for which a verification is not done anew


@router.get("/login")
def login(request: Request) -> Response:
    """Show where to log in."""
    return login_page(request, target=request.query_params.get("next", ""))


def login_page(
    request: Request, *, target: str = "", error: str = "", status: int = 200
) -> Response:
    """Return the page on which to log in; `target` is where to go on to."""
    state = request.app.state
    token: Callable[[Request], str] | None = getattr(state, "login_token", None)
    return render_page(
        request,
        state.visit(request),
        "login",
        status=status,
        target=target,
        error=error,
        csrf=token(request) if token else "",
    )


@router.get("/audit-trail")
def audit_trail(request: Request, visit: Visited) -> Response:
    """Show the events, the newest first."""
    subject = request.query_params.get("subject", "").strip()[:200]
    before = request.query_params.get("before", "")
    query = select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(_EVENTS + 1)
    if subject:
        query = query.where(AuditEvent.subject == subject)
    if before:
        query = query.where(AuditEvent.sequence < number(before, "the event"))
    with request.app.state.database.read() as session:
        rows = list(session.scalars(query))
        hidden = _hidden(session, rows, visit)
    shown = [(row, in_words(row, visit, blind=row.subject in hidden)) for row in rows[:_EVENTS]]
    older = rows[_EVENTS - 1].sequence if len(rows) > _EVENTS else None
    return render_page(
        request, visit, "audit_trail", events=shown, subject=subject, older=older, checked=None
    )


def _hidden(session: Session, rows: Sequence[AuditEvent], visit: Visit) -> set[str]:
    """Return the names of the records that a second reviewer has yet to judge."""
    query = (
        select(Record)
        .where(Record.name.in_({row.subject for row in rows}), Record.state == "second")
        .options(load_only(Record.name, Record.state), selectinload(Record.reviews))
    )
    return {record.name for record in session.scalars(query) if is_blind(record, visit.actor)}


@router.post("/audit-trail/verify")
def verify_trail(request: Request, visit: Visited, form: Posted) -> Response:
    """Follow the whole chain, and say whether it holds."""
    require(visit, "reviewer", "verify the audit trail")
    with request.app.state.database.read() as session:
        checked = figures(request).get("verified", lambda: verify(session), seconds=_FRESH)
    return render_page(
        request, visit, "audit_trail", events=[], subject="", older=None, checked=checked
    )


@router.get("/help")
def help_page(request: Request, visit: Visited) -> Response:
    """Show the keys, the states and the roles."""
    return render_page(request, visit, "help")


@router.get("/static/{name}")
def own_file(name: str) -> Response:
    """Return our style sheet, script or icon."""
    return static(name)
