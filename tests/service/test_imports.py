"""Imports: every row becomes a record, is counted as unchanged, or is named."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cybersecqwen.analyst.classification import Given
from cybersecqwen.records import Prediction
from cybersecqwen.service import imports
from cybersecqwen.service.audit_trail import events, verify
from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer, begin
from cybersecqwen.service.tables import Import, Record

from .conftest import ANA, add_texts

ROWS = [
    {"id": "CVE-2030-1001", "text": "SQL injection in login.php."},
    {"id": "CVE-2030-1002", "text": "A stack-based buffer overflow in the parser."},
    {"text": "Cross-site scripting in the comment field."},
]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def take(importer: Importer, folder: Path, data: bytes, name: str = "feed.jsonl") -> Import:
    number = begin(importer.database, name, io.BytesIO(data), actor=ANA, folder=folder)
    return importer.finish(number)


def problems(database: Database, number: int) -> list[str]:
    with database.read() as session:
        return [one.message for one in session.get_one(Import, number).problems]


def counts(row: Import) -> tuple[int, int, int, int]:
    return row.new, row.changed, row.unchanged, row.refused


def test_every_row_is_a_record_or_named(importer: Importer, tmp_path: Path) -> None:
    done = take(importer, tmp_path / "in", lines(*ROWS, {"id": "x"}) + b"{broken\n")
    assert (done.state, counts(done)) == ("done", (3, 0, 0, 2))
    said = problems(importer.database, done.id)
    assert ["feed.jsonl:4: no text" in said[0], "feed.jsonl:5" in said[1]] == [True, True]
    assert not any(str(tmp_path) in one for one in said)
    with importer.database.read() as session:
        held = {one.name: one.suggested for one in session.query(Record)}
    assert held["CVE-2030-1001"] == "CWE-89"
    assert held["feed.jsonl:3"] == "CWE-79"
    assert list((tmp_path / "in").iterdir()) == []


def test_what_is_known_is_unchanged_and_what_is_rewritten_changed(
    importer: Importer, tmp_path: Path
) -> None:
    take(importer, tmp_path, lines(*ROWS))
    again = ROWS[0] | {"text": "Path traversal in the download."}
    assert counts(take(importer, tmp_path, lines(again, *ROWS[1:]))) == (0, 1, 2, 0)


def test_of_one_name_in_one_file_each_row_counts(importer: Importer, tmp_path: Path) -> None:
    again = ROWS[0] | {"text": "Path traversal in the download."}
    assert counts(take(importer, tmp_path, lines(ROWS[0], again, again))) == (1, 1, 1, 0)


def test_a_file_that_cannot_be_read_fails_and_says_why(importer: Importer, tmp_path: Path) -> None:
    done = take(importer, tmp_path, b"", "empty.json")
    assert (done.state, done.error) == (
        "failed",
        "empty.json: is empty (give a text, JSONL, CSV or a feed)",
    )


def test_a_process_that_was_frozen_leaves_an_import_to_the_one_that_went_on(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BATCH", 1)
    database, take_some = importer.database, importer._take
    number = begin(database, "f.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    other = replace(importer)
    taken: list[bool] = []

    def take_after_the_other(*given: Any) -> bool:
        if len(taken) == 1:  # it has stored one record, and is frozen
            other.finish(number)
        taken.append(take_some(*given))
        return taken[-1]

    monkeypatch.setattr(importer, "_take", take_after_the_other)
    assert counts(importer.finish(number)) == (3, 0, 0, 0)
    assert taken == [True, False]
    with database.read() as session:
        ended = [one for one in events(session) if one.action == "import done"]
    assert len(ended) == 1


def test_an_import_goes_on_behind_what_was_stored(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BATCH", 2)
    taken, take_some = [], importer._take

    def take_one_batch(*given: Any) -> bool:
        if taken:
            raise KeyboardInterrupt
        taken.append(take_some(*given))
        return taken[-1]

    monkeypatch.setattr(importer, "_take", take_one_batch)
    data = lines({"id": "x"}, *ROWS)
    number = begin(importer.database, "f.jsonl", io.BytesIO(data), actor=ANA, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        importer.finish(number)
    monkeypatch.setattr(importer, "_take", take_some)
    assert counts(importer.finish(number)) == (3, 0, 0, 1)


def test_what_was_refused_is_counted_once_wherever_an_import_goes_on(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected = {"id": "CVE-2030-1", "text": "** REJECT **", "rejected": True}
    data = lines({"id": "x"}, ROWS[0], {"id": "y"}, rejected, ROWS[0], rejected, *ROWS[1:])
    whole = take(importer, tmp_path, data)
    said = problems(importer.database, whole.id)
    monkeypatch.setattr(imports, "_BATCH", 2)
    take_some = importer._take
    for kept in range(3):
        number = begin(
            importer.database, "feed.jsonl", io.BytesIO(data), actor=ANA, folder=tmp_path
        )
        left = kept

        def take_one_batch(*given: Any) -> bool:
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            return take_some(*given)

        monkeypatch.setattr(importer, "_take", take_one_batch)
        with pytest.raises(KeyboardInterrupt):
            importer.finish(number)
        monkeypatch.setattr(importer, "_take", take_some)
        assert counts(importer.finish(number)) == (0, 0, 4, 4)
        assert problems(importer.database, number) == said


def test_what_postgresql_cannot_hold_does_not_end_an_import(
    importer: Importer, tmp_path: Path
) -> None:
    row = {"id": "a\0" + "b" * 300, "text": "SQL injection in \0 login.php."}
    done = take(importer, tmp_path, lines(row), "\0feed.jsonl")
    assert (done.state, counts(done)) == ("done", (1, 0, 0, 0))
    add_texts(importer, [Given("c\0" * 200, row["text"])])
    with importer.database.read() as session:
        assert {record.text for record in session.query(Record)} == {
            "SQL injection in \ufffd login.php."
        }
        assert verify(session).broken == ""


def test_a_long_name_of_a_file_is_cut(importer: Importer, tmp_path: Path) -> None:
    assert take(importer, tmp_path, lines(*ROWS), "報" * 150 + ".jsonl").state == "done"


def test_a_rejected_record_awaits_no_review(importer: Importer, tmp_path: Path) -> None:
    row = {"id": "CVE-2030-1", "text": "** REJECT **", "rejected": True}
    done = take(importer, tmp_path, lines(row))
    assert counts(done) == (0, 0, 0, 1)
    assert "rejected" in problems(importer.database, done.id)[0]


def test_others_write_while_a_file_is_copied(importer: Importer, tmp_path: Path) -> None:
    class Slow(io.BytesIO):
        def read(self, *size: int | None) -> bytes:
            add_texts(importer, [Given("a", "SQL injection.")])
            return super().read(*size)

    begin(importer.database, "f.jsonl", Slow(lines(*ROWS)), actor=ANA, folder=tmp_path)
    with importer.database.read() as session:
        assert session.query(Record).count() == 1


def test_a_name_that_leads_elsewhere_stays_in_the_folder(
    importer: Importer, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    done = take(importer, folder, lines(*ROWS), "../../escape.jsonl")
    assert done.state == "done"
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl") == []


@pytest.mark.shared
def test_a_real_feed_is_taken_in_with_labels_severity_and_exploitation(
    importer: Importer, tmp_path: Path, shared: Path
) -> None:
    data = (shared / "nvd" / "nvdcve-2.0-2015.json.gz").read_bytes()
    if importer.database.is_sqlite:
        done = take(importer, tmp_path, data, "nvd.json.gz")
        assert done.state == "done"
        with importer.database.read() as session:
            assert session.query(Record).count() == done.new
            assert session.query(Record).filter(Record.severity >= 0).count() > 0.9 * done.new
            assert session.query(Record).filter(Record.exploited).count() > 10


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_slow_model_does_not_look_like_a_killed_process(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BEAT", 0.01)
    database, beats = importer.database, []
    number = begin(database, "a.jsonl", io.BytesIO(lines(*ROWS)), actor=ANA, folder=tmp_path)
    embedded = importer.classifier

    def predict(texts: Sequence[str], *, top: int) -> Iterable[Prediction]:
        for _ in range(200):
            with database.read() as session:
                beats.append(session.get_one(Import, number).beat_at)
            if beats[-1] != beats[0]:
                break
            time.sleep(0.01)
        return embedded.predict(texts, top=top)

    importer.classifier = SimpleNamespace(predict=predict)
    importer.finish(number)
    assert beats[-1] > beats[0]
    assert not any(thread.name.startswith("beat") for thread in threading.enumerate())
