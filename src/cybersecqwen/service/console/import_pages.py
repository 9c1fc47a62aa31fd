"""Imports: files in, their progress, and every row that was refused."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cybersecqwen.errors import InputError
from cybersecqwen.service.console.page import (
    PageRoute,
    Posted,
    Visited,
    redirect,
    render_page,
    require,
)
from cybersecqwen.service.imports import begin
from cybersecqwen.service.tables import Import

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_NEWEST = 50  # imports of the page
_COUNTS = ("new", "changed", "unchanged", "refused")


@router.get("/imports")
def imports(request: Request, visit: Visited) -> Response:
    """Show the newest imports, and where to add files."""
    newest = select(Import).order_by(Import.id.desc()).limit(_NEWEST)
    with request.app.state.database.read() as session:
        rows = list(session.scalars(newest))
    running = any(row.state == "running" for row in rows)
    return render_page(request, visit, "imports", rows=rows, running=running)


@router.post("/imports")
async def add(request: Request, visit: Visited, form: Posted) -> Response:
    """Take files in; each is safe on disk before the answer."""
    require(visit, "reviewer", "import files")
    state = request.app.state
    files = [one for one in form.getlist("file") if isinstance(one, UploadFile) and one.filename]
    if not files:
        raise InputError("no file was chosen", tip="choose one or more")
    for upload in files:
        number = await run_in_threadpool(
            begin,
            state.database,
            upload.filename or "upload",
            upload.file,
            actor=visit.actor,
            folder=state.settings.import_folder,
        )
        state.start_import(number)
    return redirect("/imports")


@router.get("/imports/{import_id:int}")
def one_import(request: Request, visit: Visited, import_id: int) -> Response:
    """Show an import with the rows that were refused, and why."""
    with request.app.state.database.read() as session:
        row = session.get(Import, import_id) if import_id < 2**63 else None
        if row is None:
            raise HTTPException(404, f"there is no import {import_id}")
        return render_page(request, visit, "import", row=row, problems=row.problems)


@router.get("/imports/progress")
def progress(request: Request, visit: Visited) -> Response:
    """Return the state and counts of the newest imports, for the script to show."""
    newest = select(Import).order_by(Import.id.desc()).limit(_NEWEST)
    with request.app.state.database.read() as session:
        rows = {
            str(row.id): {"state": row.state} | {name: getattr(row, name) for name in _COUNTS}
            for row in session.scalars(newest)
        }
    return JSONResponse(rows, headers={"Cache-Control": "no-store"})
