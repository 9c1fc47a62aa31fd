"""Imports beside the requests: left in order, claimed once, and taken over from who is gone."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from cybersecqwen.records import Prediction
from cybersecqwen.service import background_imports, imports
from cybersecqwen.service.background_imports import (
    BackgroundImports,
    release,
    remove_orphans,
    unfinished,
)
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.imports import Importer, begin
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import Import

from .conftest import ANA
from .test_imports import ROWS, counts, lines


def test_a_killed_import_is_claimed_once_and_ends_with_the_same_records(
    importer: Importer, tmp_path: Path
) -> None:
    database = importer.database
    number = begin(database, "f.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    assert unfinished(database) == []  # it may still be running
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE imports SET beat_at = '2020-01-01T00:00:00.000Z'"))
    assert unfinished(database) == [number]
    assert unfinished(database) == []
    assert counts(importer.finish(number)) == (3, 0, 0, 0)


def test_an_import_is_left_to_the_machine_that_has_its_copy_for_a_day(
    importer: Importer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = importer.database
    name = f"{database.engine.name}.jsonl"
    number = begin(database, name, io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    release(database, [number])
    [folder] = tmp_path.glob("*/")
    hidden = folder.rename(tmp_path.parent / folder.name)
    assert unfinished(database) == []
    assert f"import {number} of {name} waits: its copy is not on this machine" in caplog.text
    hidden.rename(folder)
    assert unfinished(database) == [number]
    release(database, [number])
    shutil.rmtree(folder)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE imports SET begun_at = '2020-01-01T00:00:00.000Z'"))
    assert unfinished(database) == [number]
    assert importer.finish(number).state == "failed"


def test_an_import_is_left_after_a_batch_and_taken_up_by_the_next_process(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BATCH", 1)
    database, take_some = importer.database, importer._take

    def take_and_stop(*given: object) -> None:
        take_some(*given)  # type: ignore[arg-type]
        importer.stopping.set()

    monkeypatch.setattr(importer, "_take", take_and_stop)
    number = begin(database, "f.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    left = importer.finish(number)
    assert (left.state, counts(left)) == ("running", (1, 0, 0, 0))
    release(database, [number])
    assert unfinished(database) == [number]
    monkeypatch.undo()
    importer.stopping.clear()
    assert (importer.finish(number).state, counts(importer.finish(number))) == (
        "done",
        (3, 0, 0, 0),
    )


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_service_that_ends_releases_its_imports(importer: Importer, tmp_path: Path) -> None:
    database, at_work = importer.database, threading.Event()
    service = BackgroundImports(database, ServiceSettings(folder=tmp_path))
    service._importer = importer
    importer.stopping = service._stopping
    embedded = importer.classifier

    def predict(texts: Sequence[str], *, top: int) -> Iterable[Prediction]:
        at_work.set()
        service._stopping.wait(60)
        return embedded.predict(texts, top=top)

    importer.classifier = SimpleNamespace(predict=predict)
    data = lines(*ROWS, *ROWS)
    numbers = [
        begin(database, name, io.BytesIO(data), actor=ANA, folder=tmp_path) for name in ("a", "b")
    ]
    for number in numbers:
        service.start(number)
    assert at_work.wait(60)
    service.close()
    with database.read() as session:
        assert [session.get_one(Import, n).state for n in numbers] == ["running", "running"]
        assert session.get_one(Import, numbers[0]).new > 0
    assert unfinished(database) == numbers


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_folder_that_cannot_be_read_is_read_again_later(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_imports, "_RESUME", 0.0)
    answers = iter((PermissionError(13, "Permission denied"), KeyboardInterrupt))

    def read(*_: object) -> None:
        raise next(answers)

    monkeypatch.setattr(background_imports, "remove_orphans", read)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(BackgroundImports(database, ServiceSettings(folder=tmp_path)).resume())


def test_an_import_that_waits_for_its_turn_is_not_claimed(
    importer: Importer, tmp_path: Path
) -> None:
    database = importer.database
    number = begin(database, "f.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    release(database, [number])
    assert unfinished(database, [number]) == []
    assert unfinished(database) == []
    importer.finish(number)
    assert importer.finish(number).state == "done"  # though its file is gone


def test_copies_of_no_import_are_removed_after_a_day(importer: Importer, tmp_path: Path) -> None:
    copies = tmp_path / "imports"
    begin(importer.database, "f.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=copies)
    [kept] = copies.iterdir()
    recent, orphan = copies / "recent", copies / "orphan"
    for folder in (recent, orphan):
        folder.mkdir()
    for folder in (kept, orphan):
        os.utime(folder, (0, 0))
    remove_orphans(importer.database, copies)
    assert sorted(copies.iterdir()) == sorted([kept, recent])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_copies_for_another_database_are_left(importer: Importer, tmp_path: Path) -> None:
    urls = (f"sqlite:///{tmp_path / name}.sqlite" for name in ("one", "other"))
    one, other = (ServiceSettings(folder=tmp_path, database=url) for url in urls)
    file = io.BytesIO(lines(*ROWS))
    begin(importer.database, "f.jsonl", file, actor=ANA, folder=one.import_folder)
    [copy] = one.import_folder.iterdir()
    os.utime(copy, (0, 0))
    remove_orphans(open_database(other.database_url), other.import_folder)
    assert copy.exists()
