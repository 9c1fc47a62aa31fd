"""Verdicts: who may give which, what becomes of the record, and that the trail tells it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.orm import Session

from cybersecqwen.analyst.classification import Given
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.service import reviews
from cybersecqwen.service.audit_trail import events, verify
from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.reviews import ConflictError, Decision, ForbiddenError, decide
from cybersecqwen.service.tables import Record

from .conftest import ANA, BEN, CHIEF, READER, add_texts

ACCEPT, REJECT = Decision("accept"), Decision("reject", reason="not a vulnerability")
XSS = Decision("correct", "cwe 79", "it is scripting")


@pytest.fixture(autouse=True)
def _records(importer: Importer) -> None:
    text = "SQL injection in login.php allows attackers to read the database."
    given = [Given(f"CVE-2030-{number}", text) for number in range(1001, 1004)]
    add_texts(importer, given)


def record(session: Session, number: int = 1001) -> Record:
    return session.query(Record).filter_by(name=f"CVE-2030-{number}").one()


def state(database: Database, number: int = 1001) -> tuple[str, str]:
    with database.read() as session:
        held = record(session, number)
        return held.state, held.decided


def test_a_suggestion_is_accepted_corrected_or_rejected(database: Database) -> None:
    for number, decision in ((1001, ACCEPT), (1002, XSS), (1003, REJECT)):
        with database.write() as session:
            decide(session, record(session, number), decision, actor=ANA)
    assert state(database, 1001) == ("decided", "CWE-89")
    assert state(database, 1002) == ("decided", "CWE-79")
    assert state(database, 1003) == ("decided", "")


def test_a_second_reviewer_is_blind_and_a_third_resolves(database: Database) -> None:
    with database.write() as session:
        decide(session, record(session), ACCEPT, actor=ANA, second_share=1)
    assert state(database) == ("second", "")
    with database.read() as session:
        assert reviews.visible(record(session), BEN) == []
        assert len(reviews.visible(record(session), ANA)) == 1
    with pytest.raises(ForbiddenError, match="same person"), database.write() as session:
        decide(session, record(session), ACCEPT, actor=ANA)
    with database.write() as session:
        decide(session, record(session), XSS, actor=BEN, second_share=1)
    assert state(database) == ("disputed", "")
    with pytest.raises(ForbiddenError, match="reviewer may not"), database.write() as session:
        decide(session, record(session), ACCEPT, actor=reviews.Actor("cyd"))
    with database.write() as session:
        decide(session, record(session), ACCEPT, actor=CHIEF)
    assert state(database) == ("decided", "CWE-89")
    with database.read() as session:
        told = [json.loads(event.details) for event in events(session, "CVE-2030-1001")]
        assert [one["shown"]["first_verdict_hidden"] for one in told] == [False, True, False]


def test_two_who_agree_decide(database: Database) -> None:
    for actor in (ANA, BEN):
        with database.write() as session:
            decide(session, record(session), XSS, actor=actor, second_share=1)
    assert state(database) == ("decided", "CWE-79")


def test_undo_and_sending_back_withdraw_and_delete_nothing(database: Database) -> None:
    with database.write() as session:
        decide(session, record(session), ACCEPT, actor=ANA)
    with database.write() as session:
        reviews.undo(session, ANA)
    assert state(database) == ("open", "")
    with database.write() as session:
        decide(session, record(session), XSS, actor=ANA)
    with database.write() as session:
        reviews.send_back(session, record(session), actor=BEN, reason="look again")
    assert state(database) == ("open", "")
    with pytest.raises(ConflictError, match="no verdict to undo"), database.write() as session:
        reviews.undo(session, ANA)
    with database.read() as session:
        assert len(record(session).reviews) == 2
        assert reviews.counting(record(session)) == []
        assert verify(session).broken == ""


def test_each_undo_withdraws_one_more(database: Database) -> None:
    for number in (1001, 1002):
        with database.write() as session:
            decide(session, record(session, number), ACCEPT, actor=ANA)
    for number in (1002, 1001):
        with database.write() as session:
            assert reviews.undo(session, ANA).records[0].name == f"CVE-2030-{number}"
        assert state(database, number) == ("open", "")


def test_what_was_given_at_once_is_undone_at_once_but_for_what_has_gone_on(
    database: Database,
) -> None:
    with database.write() as session:
        many = [record(session, number) for number in (1001, 1002)]
        reviews.decide_all(session, many, XSS._replace(bulk="b1"), actor=ANA, second_share=1)
        with pytest.raises(ConflictError, match="no verdict to undo"):
            reviews.undo(session, BEN, bulk="b1")
    with database.write() as session:
        decide(session, record(session, 1002), ACCEPT, actor=BEN)
        decide(session, record(session, 1003), ACCEPT, actor=ANA)
    with database.write() as session:
        undone = reviews.undo(session, ANA, bulk="b1")  # which is not the newest
        assert [one.name for one in undone.records] == ["CVE-2030-1001"]
        assert [one.name for one in undone.left] == ["CVE-2030-1002"]
    assert [state(database, n)[0] for n in (1001, 1002, 1003)] == ["open", "disputed", "decided"]
    with database.read() as session:
        told = [(one.action, json.loads(one.details)) for one in events(session, "CVE-2030-1001")]
        assert [(action, details["bulk"]) for action, details in told] == [
            ("correct", "b1"),
            ("undo", "b1"),
        ]
        assert told[1][1]["reason"] == "one of 2 verdicts given at once"
        assert verify(session).broken == ""


def test_what_another_has_judged_since_is_not_undone(database: Database) -> None:
    for actor in (ANA, BEN):
        with database.write() as session:
            decide(session, record(session), XSS, actor=actor, second_share=1)
    with pytest.raises(ConflictError, match="gone on since"), database.write() as session:
        reviews.undo(session, ANA)


@pytest.mark.parametrize(
    ("decision", "actor", "error"),
    [
        (ACCEPT, READER, "reader may not judge"),
        (Decision("correct", "CWE-99999"), ANA, "no weakness"),
        (Decision("correct", "CWE-1000"), ANA, "no weakness"),  # a view
    ],
)
def test_what_may_not_be_leaves_no_trace(
    database: Database, decision: Decision, actor: reviews.Actor, error: str
) -> None:
    with pytest.raises(CyberSecQwenError, match=error), database.write() as session:
        decide(session, record(session), decision, actor=actor)
    with database.read() as session:
        assert record(session).state == "open"
        assert list(events(session, "CVE-2030-1001")) == []


def test_a_verdict_on_what_has_changed_is_refused(database: Database, importer: Importer) -> None:
    with database.read() as session:
        seen = record(session).version
    changed = Given("CVE-2030-1001", "A buffer overflow in the parser of Foo.")
    add_texts(importer, [changed], actor=BEN)
    with pytest.raises(ConflictError, match="changed meanwhile"), database.write() as session:
        decide(session, record(session), ACCEPT, actor=ANA, version=seen)


def test_a_text_that_changes_reopens_what_was_decided(
    database: Database, importer: Importer
) -> None:
    with database.write() as session:
        decide(session, record(session), ACCEPT, actor=ANA)
    changed = Given("CVE-2030-1001", "A buffer overflow in the parser of Foo.")
    add_texts(importer, [changed], actor=BEN)
    assert state(database) == ("open", "")
    with database.read() as session:
        assert verify(session).broken == ""


def test_bulk_says_before_what_it_does_then(database: Database) -> None:
    with database.write() as session:
        decide(session, record(session), REJECT, actor=BEN)
    with database.write() as session:
        every = session.query(Record).order_by(Record.id).all()
        foreseen = reviews.preview(every, XSS, actor=ANA)
        assert foreseen == ({"CWE-79": 2}, {"it is decided already": 1})
        assert reviews.decide_all(session, every, XSS, actor=ANA) == foreseen


def test_a_second_reviewer_sees_no_comment_of_others(database: Database) -> None:
    with database.write() as session:
        reviews.add_comment(session, record(session), "it is scripting", actor=ANA)
        reviews.add_comment(session, record(session), "is it reachable?", actor=BEN)
        decide(session, record(session), XSS, actor=ANA, second_share=1.0)
        assert len(reviews.visible_comments(record(session), ANA)) == 2
        own = reviews.visible_comments(record(session), BEN)
        assert [one.text for one in own] == ["is it reachable?"]
        decide(session, record(session), XSS, actor=BEN)
        assert len(reviews.visible_comments(record(session), BEN)) == 2


def test_a_comment_is_kept_and_an_empty_one_refused(database: Database) -> None:
    with database.write() as session:
        reviews.add_comment(session, record(session), " see the patch ", actor=ANA)
    with database.read() as session:
        assert [one.text for one in record(session).comments] == ["see the patch"]
    with pytest.raises(InputError, match="empty"), database.write() as session:
        reviews.add_comment(session, record(session), "  ", actor=ANA)
