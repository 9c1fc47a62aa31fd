"""The audit trail: nothing in it can be changed, and what is changed behind its back is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from cybersecqwen.analyst.classification import Given
from cybersecqwen.service.audit_trail import append, verify
from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.reviews import Decision, decide
from cybersecqwen.service.tables import Record

from .conftest import ANA, add_texts


def fill(database: Database, events: int = 5) -> None:
    for number in range(events):
        with database.write() as session:
            append(session, actor="ana", action="note", subject=f"n{number}", details={"n": number})


def tamper(database: Database, *statements: str) -> None:
    """Change the table as somebody with the database's own password would."""
    with database.engine.begin() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_events_no_UPDATE"))
            connection.execute(text("DROP TRIGGER audit_events_no_DELETE"))
        else:
            connection.execute(text("DROP TRIGGER audit_events_no_change ON audit_events"))
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_chain_is_whole_and_has_a_head(database: Database) -> None:
    fill(database)
    with database.read() as session:
        events, head, broken = verify(session)
    assert (events, len(head), broken) == (5, 64, "")
    fill(database, 1)
    with database.read() as session:
        assert verify(session, head=head).broken == ""


@pytest.mark.parametrize(
    "action", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"]
)
def test_the_database_refuses_to_change_it(database: Database, action: str) -> None:
    fill(database)
    with pytest.raises(DatabaseError, match="append-only"), database.write() as session:
        session.execute(text(action))


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_events SET actor = 'eve' WHERE sequence = 3", "event 3 was changed"),
        ("UPDATE audit_events SET details = '{\"n\":7}' WHERE sequence = 5", "event 5 was changed"),
        ("DELETE FROM audit_events WHERE sequence = 3", "event 3 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 1", "event 1 is missing"),
    ],
)
def test_a_change_is_found(database: Database, statement: str, broken: str) -> None:
    fill(database)
    tamper(database, statement)
    with database.read() as session:
        assert verify(session).broken == broken


def test_an_end_that_was_cut_off_is_found_by_the_head(database: Database) -> None:
    fill(database)
    with database.read() as session:
        head = verify(session).head
    tamper(database, "DELETE FROM audit_events WHERE sequence = 5")
    with database.read() as session:
        assert verify(session).broken == ""
        assert head in verify(session, head=head).broken


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reviews SET cwe = 'CWE-79'",
        "UPDATE reviews SET withdrawn_at = '2030-01-01T00:00:00.000Z'",
        "DELETE FROM reviews",
    ],
)
def test_a_verdict_that_was_changed_is_found(
    database: Database, importer: Importer, statement: str
) -> None:
    add_texts(importer, [Given("a", "SQL injection in login.php.")])
    with database.write() as session:
        decide(session, session.query(Record).one(), Decision("accept"), actor=ANA)
    with database.read() as session:
        assert verify(session).broken == ""
    with database.engine.begin() as connection:
        connection.execute(text(statement))
    with database.read() as session:
        assert "verdict" in verify(session).broken


def test_many_writers_make_one_chain(database: Database) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: fill(database, 5), range(4)))
    with database.read() as session:
        assert verify(session)[::2] == (20, "")
