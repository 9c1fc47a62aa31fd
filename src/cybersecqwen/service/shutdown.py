"""How a process of the service ends when it is told to, or can no longer work on the database."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State

from cybersecqwen.errors import InputError
from cybersecqwen.service.database import Database
from cybersecqwen.service.upgrade import check_schema

_LOOK = 5.0  # seconds between two looks at the schema
_log = logging.getLogger(__name__)


def drain_first(state: State, seconds: float) -> None:
    """Have SIGTERM fail /ready for some seconds first, so that a balancer sends nothing more.

    The server ends after them, or at the second signal. It is called in the server's event loop.
    """
    end = signal.getsignal(signal.SIGTERM)
    in_main = threading.current_thread() is threading.main_thread()  # signals are for it alone
    if not seconds or not callable(end) or not in_main:
        return
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        if state.stopping:
            end(number, frame)
            return
        state.stopping = True
        loop.call_soon_threadsafe(loop.call_later, seconds, end, number, None)

    signal.signal(signal.SIGTERM, drain)


async def end_outdated(state: State) -> None:
    """End the service once a newer version has made a schema that this one cannot work on."""
    while not state.stopping:
        await asyncio.sleep(_LOOK)
        try:
            await run_in_threadpool(_look, state.database)
        except SQLAlchemyError:
            continue  # /ready says so, and it may answer again
        except InputError as error:
            _log.error("the service ends: %s", error)
            state.stopping = True
            _end_service()


def _look(database: Database) -> None:
    with database.read() as session:
        check_schema(session.connection())


def _end_service() -> None:
    """End all processes of the service, of which this may be a worker."""
    worker = multiprocessing.parent_process() is not None
    os.kill(os.getppid() if worker else os.getpid(), signal.SIGTERM)
