"""Imports that the service reads beside its requests, and those that it takes over from others.

    imports = BackgroundImports(database, settings)
    imports.start(import_id)
    await imports.resume()      # for as long as the service runs
    imports.close()

An import belongs to the process that beats for it. Where no beat comes for a minute another process
goes on with it, if it has the copy of the file.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer, open_importer
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import Import, timestamp, utc_now

_RESUME = 20.0  # seconds between looks for imports that nobody goes on with
_STALE = 60  # seconds without a beat after which another process goes on with an import
_ORPHANED = 24 * 3600  # seconds after which a copy that no import reads is one
_log = logging.getLogger(__name__)


class BackgroundImports:
    """Reads the files of imports beside the requests, one after the other."""

    def __init__(self, database: Database, settings: ServiceSettings) -> None:
        self._database, self._settings = database, settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imports")
        self._importer: Importer | None = None
        self._begun: set[int] = set()  # here, and not yet ended
        self._failed: set[int] = set()
        self._stopping = threading.Event()

    def importer(self) -> Importer:
        """Return what takes records in; its model is opened when it is first needed."""
        if self._importer is None:
            self._importer = open_importer(self._database, self._settings, stopping=self._stopping)
        return self._importer

    def start(self, import_id: int) -> None:
        """Have an import read that has begun; return at once."""
        self._begun.add(import_id)
        self._thread.submit(self._finish, import_id)

    async def resume(self) -> None:
        """Go on with the imports of processes that have ended, again and again."""
        folder = self._settings.import_folder
        while True:
            try:
                await run_in_threadpool(remove_orphans, self._database, folder)
                given = [*self._begun], [*self._failed]
                left = await run_in_threadpool(unfinished, self._database, *given)
            except (SQLAlchemyError, OSError) as error:  # database or folder may answer again
                _log.warning("the imports left by others are not known: %s", error)
                left = []
            for import_id in left:
                self.start(import_id)
            await asyncio.sleep(_RESUME)

    def _finish(self, import_id: int) -> None:
        try:
            left = self.importer().finish(import_id).state == "running"
            if left and self._stopping.is_set():
                return  # `close` releases it
        except Exception:  # noqa: BLE001 # whatever it is, the next import is begun
            self._failed.add(import_id)
            _log.exception(
                "import %d stopped; another process goes on with it, or this one started anew",
                import_id,
            )
        self._begun.discard(import_id)

    def close(self) -> None:
        """Leave the import under way after its batch; it goes on when a service starts."""
        self._stopping.set()
        self._thread.shutdown(cancel_futures=True)
        try:
            release(self._database, self._begun)
        except SQLAlchemyError as error:
            _log.warning("the imports go on a while after a service starts: %s", error)


def unfinished(
    database: Database, under_way: Collection[int] = (), failed: Collection[int] = ()
) -> list[int]:
    """Claim the imports that no process goes on with, such as those of a killed one.

    Those that are under way here, or wait for their turn, no other process may claim; those that
    failed here another one may. One whose copy lies on another machine is left to it for a day.
    """
    stale = timestamp(datetime.now(UTC) - timedelta(seconds=_STALE))
    running = select(Import).where(Import.state == "running", Import.id.not_in(failed))
    with database.write() as session:
        own = update(Import).where(Import.state == "running", Import.id.in_(under_way))
        session.execute(own.values(beat_at=utc_now()))
        left = [
            one for one in session.scalars(running.where(Import.beat_at < stale)) if _is_ours(one)
        ]
        for one in left:
            one.beat_at = utc_now()
        return [one.id for one in left]


def _is_ours(row: Import) -> bool:
    """Tell whether this process is to end an import: it has the copy, or nobody will have it."""
    if Path(row.path).is_file():
        return True
    _warn_once(f"import {row.id} of {row.name} waits: its copy is not on this machine")
    return row.begun_at < timestamp(datetime.now(UTC) - timedelta(seconds=_ORPHANED))


@cache
def _warn_once(problem: str) -> None:
    _log.warning("%s (give all replicas one folder, by XDG_DATA_HOME)", problem)


def release(database: Database, imports: Collection[int]) -> None:
    """Leave imports to whichever process looks for some first."""
    running = update(Import).where(Import.state == "running", Import.id.in_(imports))
    with database.write() as session:
        session.execute(running.values(beat_at=""))


def remove_orphans(database: Database, folder: Path) -> None:
    """Remove the copies that no import reads, as a kill leaves them, once they are a day old."""
    with database.read() as session:
        running = session.scalars(select(Import.path).where(Import.state == "running"))
        read = {Path(path).parent for path in running}
    for own in folder.glob("*/"):
        with suppress(FileNotFoundError):  # another process has removed it
            if own not in read and time.time() - own.stat().st_mtime > _ORPHANED:
                shutil.rmtree(own, ignore_errors=True)
