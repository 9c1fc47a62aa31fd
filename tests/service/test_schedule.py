"""What the service does by itself, each job by one process at a time."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cybersecqwen.analyst.drift import RULE, Alarm, DriftSettings
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.service import schedule as module
from cybersecqwen.service.database import Database
from cybersecqwen.service.drift import drift_report
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.keyring import open_keyring
from cybersecqwen.service.locks import Take, open_locks
from cybersecqwen.service.reviews import Actor, Decision, decide
from cybersecqwen.service.schedule import Schedule
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import (
    AuditEvent,
    Delivery,
    FeedUpdate,
    Import,
    Job,
    Record,
    utc_now,
)
from cybersecqwen.service.webhooks import add_webhook
from cybersecqwen.sources.recordstore.database import NAME
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import Outcome, import_files
from cybersecqwen.sources.recordstore.versions import Changes

from .conftest import ANA

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def planned(importer: Importer, tmp_path: Path, **settings: Any) -> Schedule:
    chosen = ServiceSettings(folder=tmp_path / "data", watch=tmp_path / "in", **settings)
    return Schedule(importer.database, lambda: importer, chosen, cache=tmp_path / "cache")


def line(name: str, text: str = "SQL injection in login.php of Foo.") -> bytes:
    return json.dumps({"id": name, "text": text}).encode() + b"\n"


def names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Record.name)))


def test_a_job_is_done_when_it_is_due_and_anew_where_it_was_cut_off(
    importer: Importer, tmp_path: Path
) -> None:
    one, other = (planned(importer, tmp_path) for _ in range(2))
    done: list[str] = []
    assert one.run("x", 3600.0, lambda: done.append("one"))
    assert not other.run("x", 3600.0, lambda: done.append("too early"))
    with importer.database.write() as session:  # as a process leaves it that was killed
        session.execute(update(Job).values(holder="gone 1"))
    assert other.run("x", 3600.0, lambda: done.append("again"))
    assert not one.run("x", 3600.0, lambda: done.append("too early"))
    assert done == ["one", "again"]

    def fail() -> None:
        raise CyberSecQwenError("no answer", where="nvd")

    assert one.run("x", 0.0, fail)
    with importer.database.read() as session:
        job = session.get_one(Job, "x")
    assert (job.error, job.holder) == ("nvd: no answer", "")


def test_the_jobs_are_one_process_s_until_it_ends(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.02)
    one, other = (planned(importer, tmp_path) for _ in range(2))
    jobs = {"messages", "drift", "limits", "watch"}
    one.start()
    wait_until(lambda: set(one._jobs) == jobs)
    other.start()
    with open_locks(importer.database) as take:
        assert not any(map(take, jobs))
    assert not other._jobs
    one.stop()
    wait_until(lambda: set(other._jobs) == jobs)
    other.stop()
    assert not [one.name for one in threading.enumerate() if one.name.startswith(("job ", "locks"))]


@sqlite
def test_the_jobs_begin_once_their_locks_can_be_taken(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.02)
    failures = [OSError(24, "Too many open files")]

    def open_or_fail(database: Database) -> AbstractContextManager[Take]:
        if failures:
            raise failures.pop()
        return open_locks(database)

    monkeypatch.setattr(module, "open_locks", open_or_fail)
    schedule = planned(importer, tmp_path)
    schedule.start()
    wait_until(lambda: "messages" in schedule._jobs)
    schedule.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@sqlite
def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = planned(importer, tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_bytes(line(f"CVE-2030-100{'ab'.index(name)}"))
    begin = module.begin

    def refuse(database: Database, name: str, *given: Any, **how: Any) -> int:
        if name == "a.jsonl":
            raise PermissionError(13, "Permission denied")
        return begin(database, name, *given, **how)

    monkeypatch.setattr(module, "begin", refuse)
    monkeypatch.setattr(module, "_STILL", 0.0)
    with pytest.raises(CyberSecQwenError, match="Permission denied"):
        schedule.take_files()
    assert names(importer.database) == {"CVE-2030-1001"}


@sqlite
def test_files_of_the_watch_folder_are_done_or_failed(importer: Importer, tmp_path: Path) -> None:
    schedule = planned(importer, tmp_path)
    assert schedule.files() == []
    folder = tmp_path / "in"
    (folder / "a.jsonl").write_bytes(line("CVE-2030-1001") + b'{"id": "x"}')
    (folder / "b.json").write_bytes(b"{broken")
    (folder / ".hidden.jsonl").write_bytes(line("CVE-2030-1002"))
    (folder / "folder").mkdir()
    (folder / "link.jsonl").symlink_to("/etc/hostname")
    (folder / "growing.jsonl").write_bytes(line("CVE-2030-1003"))
    for name in ("a.jsonl", "b.json", ".hidden.jsonl"):
        os.utime(folder / name, (time.time() - 60,) * 2)
    os.utime(folder / "growing.jsonl", (time.time() + 3600,) * 2)
    assert [path.name for path in schedule.files()] == ["a.jsonl", "b.json"]
    schedule.take_files()
    assert names(importer.database) == {"CVE-2030-1001"}
    assert (folder / "done" / "a.jsonl").is_file()
    assert "a.jsonl:2: no text" in (folder / "done" / "a.jsonl.txt").read_text()
    reason = (folder / "failed" / "b.json.txt").read_text()
    assert "b.json" in reason and str(tmp_path / "data") not in reason

    (folder / "a.jsonl").write_bytes(line("CVE-2030-1004"))
    os.utime(folder / "a.jsonl", (time.time() - 60,) * 2)
    schedule.take_files()
    assert sorted(path.name for path in (folder / "done").iterdir()) == [
        *("a-2.jsonl", "a.jsonl", "a.jsonl.txt"),
    ]
    assert names(importer.database) == {"CVE-2030-1001", "CVE-2030-1004"}
    with importer.database.read() as session:
        assert {one.actor for one in session.scalars(select(Import))} == {"watch folder"}


@sqlite
def test_the_jobs_are_done_until_they_are_stopped(importer: Importer, tmp_path: Path) -> None:
    schedule = planned(importer, tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(line("CVE-2030-1001"))
    os.utime(tmp_path / "in" / "a.jsonl", (time.time() - 60,) * 2)
    schedule.start()
    wait_until(lambda: bool(names(importer.database)))
    schedule.stop()
    assert names(importer.database) == {"CVE-2030-1001"}
    assert not schedule._jobs


@sqlite
def test_feeds_are_updated_and_new_records_come_into_the_queue(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = planned(importer, tmp_path, update_every=6, feeds=("nvd", "kev"))
    today = date.today()
    labels = {"cwe_nvd": ["CWE-89"], "cwe_cna": [], "cwe_cisa_adp": []}
    others = {"cvss3_vector": None, "assigner": None, "description_source": None}
    table = tmp_path / "records.jsonl"
    rows = [
        {"cve_id": name, "published": day.isoformat(), "description": f"A flaw in {name}."}
        | labels
        | others
        for name, day in (
            ("CVE-2030-1001", today),
            ("CVE-2030-1002", today - timedelta(days=40)),
        )
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def updated(options: UpdateOptions, *, only: tuple[str, ...]) -> Iterator[Outcome]:
        assert only == ("nvd", "kev")
        list(import_files(options, [table]))
        yield Outcome("nvd", Changes(received=2, new=2))
        yield Outcome("kev", Changes(), error=CyberSecQwenError("no answer", where="kev"))

    monkeypatch.setattr(module, "update", updated)
    assert schedule.run("feeds", 0.0, schedule.update_feeds)
    assert names(importer.database) == set()  # a first update does not flood the queue
    schedule.run("feeds", 0.0, schedule.update_feeds)
    assert names(importer.database) == {"CVE-2030-1001"}
    assert (tmp_path / "cache" / NAME).is_file()
    with importer.database.read() as session:
        feeds = {one.feed: one for one in session.scalars(select(FeedUpdate))}
        assert session.get_one(Job, "feeds").error == "not updated: kev"
    assert feeds["nvd"].changed_at and not feeds["nvd"].error
    assert not feeds["kev"].succeeded_at and "no answer" in feeds["kev"].error
    assert not any(schedule.settings.import_folder.iterdir())

    # One that was away brings what was published since its own last success, not the others'.
    with importer.database.write() as session:
        away = (today - timedelta(days=50)).isoformat()
        session.get_one(FeedUpdate, "nvd").succeeded_at = f"{away}T00:00:00.000Z"
        session.get_one(FeedUpdate, "kev").succeeded_at = utc_now()
    schedule.run("feeds", 0.0, schedule.update_feeds)
    assert names(importer.database) == {"CVE-2030-1001", "CVE-2030-1002"}


@sqlite
def test_an_alarm_is_told_once(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = planned(importer, tmp_path)
    assert schedule.watch_drift() == 0  # too few records to tell
    with importer.database.write() as session:
        chief = Actor("chief", "administrator")
        how = {"actor": chief, "keyring": open_keyring(tmp_path, create=True)}
        add_webhook(session, "https://soc.example/", events=["drift-alarm"], **how)
    alarm = Alarm("2030-01", "2030-02", "all", "class_mix", "CWE-79 went up", "look at it")
    monkeypatch.setattr(module, "drift_report", lambda _: type("R", (), {"alarms": [alarm]}))
    assert (schedule.watch_drift(), schedule.watch_drift()) == (1, 0)
    with importer.database.read() as session:
        [message] = session.scalars(select(Delivery))
        assert session.scalars(select(AuditEvent).where(AuditEvent.actor == "drift")).one()
    assert message.body["alarm"]["what"] == "CWE-79 went up"


@sqlite
def test_drift_is_measured_on_what_the_workplace_holds(importer: Importer) -> None:
    with pytest.raises(InputError):
        drift_report(importer.database)
    first = date.today().replace(day=1)
    months = [(first - timedelta(days=30 * month)).replace(day=2) for month in range(1, 14)]
    with importer.database.write() as session:
        for number in range(20 * len(months)):
            cwe = "CWE-79" if number % 3 else "CWE-89"
            session.add(
                Record(
                    name=f"CVE-2030-{number + 10_000}",
                    text=f"A flaw of {cwe} in page {number % 7} of Foo.",
                    text_sha256="0" * 64,
                    source="test",
                    published=months[number % len(months)].isoformat(),
                    labels=[{"source": "nvd", "cwe": "CWE-79"}],
                    imported_at=utc_now(),
                    suggested=cwe,
                    confidence=0.5,
                    classification={"feed_label": {"cwe": cwe, "confidence": 0.6}},
                    engine="embedded",
                    artifact="0" * 64,
                    classified_at=utc_now(),
                )
            )
        for record in session.scalars(select(Record).limit(40)):
            decide(session, record, Decision("correct", "CWE-89"), actor=ANA)
    rule = RULE._replace(least_records=20)
    outcome = drift_report(importer.database, DriftSettings(rule=rule))
    counts = {window.name: (window.records, window.verdicts) for window in outcome.windows}
    assert {records for records, verdicts in counts.values() if not verdicts} == {20}
    assert counts[utc_now()[:7]] == (0, 40)
