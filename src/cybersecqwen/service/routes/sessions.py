"""POST /login and /logout: the session of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cybersecqwen.service.accounts import SESSION_HOURS, authenticate, begin_session, log_out
from cybersecqwen.service.authentication import COOKIE

if TYPE_CHECKING:
    from cybersecqwen.service.database import Database

router = APIRouter(include_in_schema=False)

_WRONG = "the name or the password is wrong"


@router.post("/login")
async def login(request: Request) -> Response:
    """Check a name and password, and begin a session."""
    form = await request.form(max_files=0, max_fields=10)
    state = request.app.state
    state.authentication.check_login(form.get("csrf"))
    name, password = str(form.get("name", "")), str(form.get("password", ""))
    target = str(form.get("next", ""))
    address = request.client.host if request.client else ""
    limit = state.login_limit
    wait = max([await limit.wait(who) for who in (f"address {address}", f"name {name[:100]}")])
    if wait:
        return _refused(request, target, f"too many attempts: wait {wait:.0f} s", 429)
    secret = await run_in_threadpool(_log_in, state.database, name, password)
    if secret is None:
        return _refused(request, target, _WRONG, 401)
    answer = RedirectResponse(_own_page(target), 303)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=SESSION_HOURS * 3600,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def _log_in(database: Database, name: str, password: str) -> str | None:
    with database.read() as session:  # others write while it hashes
        user = authenticate(session, name, password)
    if user is None:
        return None
    with database.write() as session:
        return begin_session(session, user)


def _own_page(target: str) -> str:
    """Return a page of ours to go on to; no link in a mail leads elsewhere through the login."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"


def _refused(request: Request, target: str, error: str, status: int) -> Response:
    page = request.app.state.login_page
    answer: Response = page(request, target=target, error=error, status=status)
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End a session."""
    form = await request.form(max_files=0, max_fields=10)
    state = request.app.state
    secret = request.cookies.get(COOKIE, "")
    await run_in_threadpool(state.check_form, request, form.get("csrf"))
    await run_in_threadpool(_log_out, state.database, secret)
    state.authentication.forget(secret)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _log_out(database: Database, secret: str) -> None:
    with database.write() as session:
        log_out(session, secret)
