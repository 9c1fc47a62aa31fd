"""What all pages of the console share: who visits, forms, templates, errors and our own assets.

    @router.get("/queue")
    def queue(request: Request, visit: Visited) -> Response:
        return render_page(request, visit, "queue", records=…)

A page is HTML that works without its script. The application's state holds `visit` (who is logged
in, None for nobody) and `check_form` (refuses a form whose token is not that visitor's own).
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cybersecqwen import __version__
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import mapping_usage
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.service.authentication import Visit
from cybersecqwen.service.console.text_marks import shown
from cybersecqwen.service.problems import ProblemError, as_problem
from cybersecqwen.service.reviews import ForbiddenError, Role
from cybersecqwen.templates import render

_log = logging.getLogger(__name__)

_TEMPLATES = "service/console/templates"
_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FIELDS, _FILES = 2000, 50  # of one form
_HELD = 500  # numbers that are held, such as the totals of filters


class LoginRequiredError(Exception):
    """A page that nobody sees who is not logged in."""


class Figures:
    """Numbers that cost a walk over an index: computed anew once they are some seconds old.

    Of several visitors who ask at once one waits for the numbers, and the others for that one.
    """

    def __init__(self, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._lock, self._slow = threading.Lock(), threading.Lock()
        self._held: dict[str, tuple[float, threading.Lock, Any]] = {}
        self._reports: dict[str, tuple[float, Any]] = {}

    def get(self, name: str, compute: Callable[[], Any], *, seconds: float | None = None) -> Any:
        """Return what `compute` returned last, or returns now."""
        longest = self._seconds if seconds is None else min(seconds, 100 * self._seconds)
        with self._lock:
            if len(self._held) > _HELD:
                self._held.clear()
            at, lock, value = self._held.setdefault(name, (-1e9, threading.Lock(), None))
        if time.monotonic() - at < longest:
            return value
        with lock:
            at, _, value = self._held.get(name, (-1e9, lock, None))
            if time.monotonic() - at >= longest:
                value = compute()
                self._held[name] = (time.monotonic(), lock, value)
        return value

    def later(self, name: str, compute: Callable[[], Any], *, seconds: float) -> Any:
        """Return what `compute` returned last, None for now; it works beside the pages."""
        at, value = self._reports.get(name, (-1e9, None))
        if time.monotonic() - at >= seconds and self._slow.acquire(blocking=False):
            threading.Thread(target=self._report, args=(name, compute), daemon=True).start()
        return value

    def _report(self, name: str, compute: Callable[[], Any]) -> None:
        try:
            self._reports[name] = (time.monotonic(), compute())
        except Exception:  # noqa: BLE001 # of any kind: the pages go on without the report
            _log.exception("the report %r could not be made", name)
        finally:
            self._slow.release()


class PageRoute(APIRoute):
    """A route whose errors are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                return await answer(request)
            except LoginRequiredError:
                target = request.url.path if request.method == "GET" else "/queue"
                query = f"?{request.url.query}" if request.method == "GET" else ""
                there = quote(target + query.rstrip("?"), safe="")
                return RedirectResponse(f"/login?next={there}", 303)
            except CyberSecQwenError as error:
                return error_page(request, as_problem(error).status, str(error))
            except ProblemError as problem:
                return error_page(request, problem.status, problem.detail)
            except HTTPException as error:
                return error_page(request, error.status_code, error.detail)
            except RequestValidationError as error:
                return error_page(request, 422, str(error.errors()[0]["msg"]))

        return page


def visitor(request: Request) -> Visit:
    """Return who visits; raises LoginRequiredError for nobody."""
    visit: Visit | None = request.app.state.visit(request)
    if visit is None:
        raise LoginRequiredError
    return visit


async def posted(request: Request) -> FormData:
    """Read a form, which has to bring back its token."""
    try:
        form = await request.form(max_files=_FILES, max_fields=_FIELDS)
    except HTTPException as error:
        raise InputError(f"the form cannot be read: {error.detail}") from error
    await run_in_threadpool(request.app.state.check_form, request, form.get("csrf"))
    return form


Visited = Annotated[Visit, Depends(visitor)]
Posted = Annotated[FormData, Depends(posted)]


def field(form: FormData, name: str, default: str = "") -> str:
    """Return a text field of a form, stripped."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else default


def number(value: str, what: str) -> int:
    """Read a whole number of a form or address."""
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise InputError(f"{what} {value!r} is not a number", tip="go back and load the page anew")
    return int(value)


def require(visit: Visit, role: Role, what: str) -> None:
    """Refuse what a visitor's role does not allow."""
    if not visit.actor.may(role):
        raise ForbiddenError(f"a {visit.actor.role} may not {what}", tip=f"ask a {role}")


def figures(request: Request) -> Figures:
    """Return the numbers that are held for a while."""
    held: Figures | None = getattr(request.app.state, "figures", None)
    if held is None:
        held = request.app.state.figures = Figures()
    return held


def render_page(
    request: Request, visit: Visit | None, name: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template of the console as a page."""
    body = render(
        f"{_TEMPLATES}/{name}.html.jinja",
        visit=visit,
        path=request.url.path,
        version=__version__,
        asset=asset,
        **words(),
        **values,
    )
    return HTMLResponse(body, status, {"Cache-Control": "no-store"})


def render_part(name: str, **values: Any) -> HTMLResponse:
    """Render a template that is a part of a page, for the script to put in its place."""
    body = render(f"{_TEMPLATES}/{name}.html.jinja", **words(), **values)
    return HTMLResponse(body, headers={"Cache-Control": "no-store"})


def words() -> dict[str, Any]:
    """Return the functions by which templates word values."""
    return {
        "shown": shown,
        "cwe_name": cwe_name,
        "mapping_usage": mapping_usage,
        "moment": moment,
        "query": address_query,
    }


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """Return a page that says what is wrong and what to do."""
    try:
        visit = request.app.state.visit(request)
    except Exception:  # noqa: BLE001 # the page tells of the first error, not of this one
        visit = None
    return render_page(request, visit, "error", status=status, code=status, detail=detail)


def redirect(path: str, query: str = "") -> RedirectResponse:
    """Send the browser on after a form."""
    return RedirectResponse(f"{path}?{query}" if query else path, 303)


def address_query(**values: object) -> str:
    """Write the query of an address, without what is empty."""
    return urlencode({name: value for name, value in values.items() if value not in ("", None)})


def asset(name: str) -> str:
    """Return the address of one of our own files, which changes with its content."""
    return f"/static/{name}?v={_assets()[name][1]}"


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    return {
        path.name: (data, hashlib.sha256(data).hexdigest()[:12])
        for path in _STATIC.iterdir()
        if path.suffix in _TYPES
        for data in [path.read_bytes()]
    }


def static(name: str) -> Response:
    """Return one of our own files."""
    held = _assets().get(name)
    if held is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(held[0], media_type=_TYPES[Path(name).suffix], headers=headers)


def cwe_name(cwe: str) -> str:
    """Return the name of a CWE, "" of what is not in the catalogue."""
    entry = load_catalogue().get(cwe)
    return entry.name if entry else ""


def moment(at: str) -> str:
    """Shorten a time to the minute, for people.

    >>> moment("2026-11-27T03:10:00.123Z")
    '2026-11-27 03:10'
    """
    return at[:16].replace("T", " ")
