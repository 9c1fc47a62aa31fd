"""What the service does by itself: a watch folder, feeds, messages to webhooks, drift.

    schedule = Schedule(database, lambda: importer, settings)
    schedule.start()
    …
    schedule.stop()       # lets what has begun finish

Of several processes on one database, on one machine or several, one does a job: the one that holds
its lock. Where it ends or is killed another one gets the lock, and does anew what was cut off. One
that has lost the lock, with its connection, ends what it has begun: nothing is harmed where two do
the same. A job that fails says so in the log and in its row, and is done again at its next time.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cybersecqwen.errors import CyberSecQwenError, InputError, clean
from cybersecqwen.files import write_text
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.database import Database
from cybersecqwen.service.delivery import deliver_due
from cybersecqwen.service.drift import drift_report
from cybersecqwen.service.imports import Importer, begin
from cybersecqwen.service.locks import Take, open_locks
from cybersecqwen.service.rate_limit import remove_full
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import AuditEvent, FeedUpdate, Import, Job, timestamp, utc_now
from cybersecqwen.service.webhooks import emit
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import update
from cybersecqwen.sources.recordstore.versions import Changes

_log = logging.getLogger(__name__)

_PAUSE = 5.0  # seconds between two looks at what there is to do
_DAY = 86_400.0
_STILL = 2.0  # seconds for which a file must not have changed to be taken
_DONE, _FAILED = "done", "failed"
_WATCH, _FEEDS = Actor("watch folder"), Actor("feed update")


@dataclass
class Schedule:
    """The jobs of one process, each in a thread of its own; the importer is opened when needed."""

    database: Database
    importer: Callable[[], Importer]
    settings: ServiceSettings
    cache: Path | None = None  # of feeds; by default the one that `fetch` fills
    upstream: str = ""  # in the place of all feeds' hosts
    _locks: threading.Thread | None = None
    _jobs: dict[str, threading.Thread] = field(default_factory=dict)  # those of this process
    _stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def steps(self) -> dict[str, Callable[[], object]]:
        """What is done again and again, by name."""
        steps: dict[str, Callable[[], object]] = {
            "messages": self.deliver,
            "drift": lambda: self.run("drift", _DAY, self.watch_drift),
            "limits": lambda: self.run("limits", _DAY, lambda: remove_full(self.database)),
        }
        if self.settings.watch:
            steps["watch"] = lambda: self.files() and self.run("watch", 0.0, self.take_files)
        if self.settings.update_every:
            seconds = self.settings.update_every * 3600
            steps["feeds"] = lambda: self.run("feeds", seconds, self.update_feeds)
        return steps

    def start(self) -> None:
        """Begin to do the jobs, each once its lock is this process's."""
        self._locks = threading.Thread(target=self._hold_locks, name="locks", daemon=True)
        self._locks.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Begin nothing any more, and wait for what has begun; what is cut off is done again."""
        self._stopping.set()
        if self._locks:
            self._locks.join(timeout)

    def _hold_locks(self) -> None:
        while not self._stopping.is_set():
            try:
                with open_locks(self.database) as take:
                    while not self._stopping.wait(self._begin_jobs(take)):
                        pass
                    for job in self._jobs.values():
                        job.join()
            except (SQLAlchemyError, OSError) as error:  # database or folder may answer again
                _log.warning("the locks of the jobs are lost for now: %s", error)
            self._jobs = {}
            self._stopping.wait(_PAUSE)

    def _begin_jobs(self, take: Take) -> float:
        """Begin the jobs whose locks are free, and return the seconds until the next look."""
        for name, step in self.steps.items():
            if take(name) and name not in self._jobs:
                job = threading.Thread(
                    target=self._repeat, args=(name, step), name=f"job {name}", daemon=True
                )
                self._jobs[name] = job
                job.start()
        return _PAUSE

    def _repeat(self, name: str, step: Callable[[], object]) -> None:
        own = threading.current_thread()
        while not self._stopping.is_set() and self._jobs.get(name) is own:
            try:
                step()
            except CyberSecQwenError as error:
                _log.warning("%s: %s", name, error)
            except Exception:  # noqa: BLE001 # it is done again, and the service goes on
                _log.exception("%s failed", name)
            self._stopping.wait(_PAUSE)

    def run(self, name: str, seconds: float, work: Callable[[], object]) -> bool:
        """Do a job if it is due; tell whether it was done."""
        if not self._is_begun(name, seconds):
            return False
        error = ""
        try:
            work()
        except CyberSecQwenError as failure:
            error = str(failure)
            _log.warning("%s: %s", name, error)
        except Exception as failure:  # noqa: BLE001 # it stands in the job's row
            error = clean(f"{type(failure).__name__}: {failure}")
            _log.exception("%s failed", name)
        self._note_end(name, error)
        return True

    @property
    def _holder(self) -> str:
        return f"{socket.gethostname()[:60]} {os.getpid()}"

    def _is_begun(self, name: str, seconds: float) -> bool:
        """Write down that a job begins, if it is due, or was cut off where it was done last."""
        now = datetime.now(UTC)
        with self.database.read() as session:
            job = session.get(Job, name)
        if job and not job.holder and job.begun_at > timestamp(now - timedelta(seconds=seconds)):
            return False
        with self.database.write() as session:
            values = {"holder": self._holder, "begun_at": timestamp(now)}
            session.merge(Job(name=name, **values))
        return True

    def _note_end(self, name: str, error: str) -> None:
        with self.database.write() as session:
            job = session.get_one(Job, name)
            if job.holder == self._holder:
                job.holder, job.error = "", error

    def deliver(self) -> int:
        """Send the messages to webhooks that are due."""
        settings = self.settings
        return deliver_due(self.database, settings.folder, private=settings.private_webhooks)

    def files(self) -> list[Path]:
        """List the files of the watch folder that nobody writes to any more; it is made if need be.

        Hidden files, links and folders are not taken.
        """
        watched = self.settings.watch
        if watched is None:
            return []
        watched.mkdir(parents=True, exist_ok=True)
        return [path for path in sorted(watched.iterdir()) if _is_whole(path)]

    def take_files(self) -> list[Path]:
        """Import the files of the watch folder, and move each to done or failed.

        What was refused stands in a text beside the file. Raises CyberSecQwenError in the end
        where a file could not be read or moved.
        """
        taken, errors = [], []
        for path in self.files():
            if self.importer().stopping.is_set():
                break
            try:
                taken.append(self._take(path))
            except OSError as error:  # the others are taken all the same
                errors.append(f"{path.name}: {error.strerror or error}")
        if errors:
            raise CyberSecQwenError("; ".join(errors), where=self.settings.watch)
        return taken

    def _take(self, path: Path) -> Path:
        folder = self.settings.import_folder
        with path.open("rb") as stream:
            number = begin(self.database, path.name, stream, actor=_WATCH, folder=folder)
        row = self.importer().finish(number)
        taken = row.new + row.changed + row.unchanged
        failed = row.state == "failed" or (row.refused and not taken)
        target = _free(path.parent / (_FAILED if failed else _DONE) / path.name)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
        with self.database.read() as session:
            problems = session.get_one(Import, number).problems
            reasons = [one.message for one in problems] + ([row.error] if row.error else [])
        if reasons:
            write_text(target.with_name(f"{target.name}.txt"), "\n".join([*reasons, ""]))
        return target

    def update_feeds(self) -> None:
        """Bring the record store up to date, and the records that came since into the queue."""
        from cybersecqwen.sources.fetch import default_cache
        from cybersecqwen.sources.recordstore.database import NAME

        cache = self.cache or default_cache()
        before, days, failed = self._updated_until(), [], []
        options = UpdateOptions(cache / NAME, cache, url=self.upstream)
        for outcome in update(options, only=self.settings.feeds):
            self._note(outcome.feed, outcome.changes, str(outcome.error or ""))
            if outcome.error:
                failed.append(outcome.feed)
            elif outcome.feed in before:
                days.append(before[outcome.feed])
        if days:  # what a feed brings that was away is as old as its own last success
            self._take_new(cache / NAME, min(days))
        if failed:
            raise CyberSecQwenError(f"not updated: {', '.join(failed)}")

    def _updated_until(self) -> dict[str, str]:
        """Return the day of the last update of each feed that ever had one."""
        with self.database.read() as session:
            rows = session.scalars(select(FeedUpdate).where(FeedUpdate.succeeded_at != ""))
            return {row.feed: row.succeeded_at[:10] for row in rows}

    def _note(self, feed: str, changes: Changes, error: str) -> None:
        now = utc_now()
        with self.database.write() as session:
            row = session.get(FeedUpdate, feed)
            if row is None:
                row = FeedUpdate(feed=feed)
                session.add(row)
            row.checked_at, row.error = now, error
            if not error:
                row.succeeded_at = now
            if changes.new or changes.changed:
                row.changed_at = now

    def _take_new(self, store: Path, since: str) -> None:
        """Import what was published since a day, which is there already counts as unchanged."""
        from cybersecqwen.files import write_jsonl

        folder = self.settings.import_folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"published since {since}.jsonl"
        if not write_jsonl(path, query.rows(store, query.RecordFilter(since=since))):
            path.unlink()
            return
        with path.open("rb") as stream:
            number = begin(self.database, path.name, stream, actor=_FEEDS, folder=folder)
        path.unlink()
        self.importer().finish(number)

    def watch_drift(self) -> int:
        """Measure drift, and tell webhooks of alarms that were not raised before."""
        try:
            alarms = drift_report(self.database).alarms
        except InputError as error:
            _log.debug("drift is not measured: %s", error)
            return 0
        new = 0
        with self.database.write() as session:
            for alarm in alarms:
                subject = f"{alarm.group} {alarm.measure} {alarm.window}"
                known = select(AuditEvent).where(
                    AuditEvent.subject == subject, AuditEvent.action == "drift alarm"
                )
                if session.scalars(known).first():
                    continue
                details = alarm._asdict()
                append(
                    session,
                    actor="drift",
                    action="drift alarm",
                    subject=subject,
                    details=details,
                )
                emit(session, "drift-alarm", {"alarm": details})
                new += 1
        return new


def _is_whole(path: Path) -> bool:
    if path.name.startswith(".") or path.is_symlink() or not path.is_file():
        return False
    return time.time() - path.stat().st_mtime >= _STILL


def _free(path: Path) -> Path:
    """Return a path, with a number where there is such a file already."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
