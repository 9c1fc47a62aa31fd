"""Questions, imports, the dashboard's numbers and the audit trail."""

from __future__ import annotations

import html
import json
import re
import time
from datetime import UTC, date, datetime

import pytest

from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.drift import RULE, DriftSettings, Observation, report
from cybersecqwen.service.console import drift_pages, figures
from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.reviews import Decision, decide
from cybersecqwen.service.tables import FeedUpdate, Record

from ..conftest import ANA, BEN, READER, add_texts
from .conftest import TEXT, Console, visible


def hidden(page: str, name: str) -> str:
    match = re.search(f'name="{name}" value="([^"]*)"', page)
    assert match is not None
    return html.unescape(match[1])


def test_a_conversation_goes_on_from_what_the_page_holds(console: Console) -> None:
    page = console.post("/ask", question="What is T1059?").text
    held = {name: hidden(page, name) for name in ("turns", "about")}
    page = console.post("/ask", question="and its mitigations?", **held).text
    assert console.app.state.inference.asked[1] == ("and its mitigations?", ("T1059",))
    assert ["about What is T1059?" in page, "about and its" in page] == [True, True]
    page = console.post("/classify", text=TEXT, **held).text
    assert ["CWE-89" in page, "about What is T1059?" in page] == [True, True]


def test_evidence_names_the_second_entry_that_it_is_about(console: Console) -> None:
    page = console.post("/ask", question="What is T1059?").text
    assert '<a href="https://b.example" rel="noreferrer noopener" target="_blank">M1042</a>' in page
    assert "&lt;i&gt;Removal&lt;/i&gt;" in page


def test_the_address_of_a_classified_text_opens_the_page(console: Console) -> None:
    assert "Classify a text" in console.get("/classify").text


def test_a_conversation_brings_no_address_that_runs_something(console: Console) -> None:
    page = console.post("/ask", question="What is T1059?").text
    turns = json.loads(hidden(page, "turns"))
    for name in ("url", "other_url"):
        rests = turns[0]["evidence"][0] | {name: "javascript:alert(1)"}
        held = json.dumps([turns[0] | {"evidence": [rests]}])
        answer = console.post("/ask", question="and?", turns=held)
        assert (answer.status_code, "javascript:" in answer.text) == (422, False)


def test_a_question_that_is_refused_stays_typed(console: Console) -> None:
    assert "the question is empty" in console.post("/ask", question=" ").text
    assert "there is no text" in console.post("/classify", text="").text


def test_files_are_imported_and_every_refused_row_is_named(console: Console) -> None:
    rows = b'{"id": "a", "text": "SQL injection in login.php."}\n{"id": "b"}\n'
    page = visible(console.post("/imports", file=("feed.jsonl", rows)).text)
    assert "feed.jsonl done 1 0 0 1" in page
    assert "feed.jsonl:2: no text" in visible(console.get("/imports/1").text)
    assert console.get("/imports/progress").json() == {
        "1": {"state": "done", "new": 1, "changed": 0, "unchanged": 0, "refused": 1}
    }
    assert "no file was chosen" in console.post("/imports").text
    console.actor = READER
    assert console.post("/imports", file=("feed.jsonl", rows)).status_code == 403
    assert console.get("/imports/2").status_code == 404


def test_the_dashboards_numbers(database: Database, importer: Importer) -> None:
    add_texts(importer, [Given(f"CVE-2030-{n}", TEXT) for n in range(1001, 1007)])
    given = [Decision("accept"), Decision("accept"), Decision("correct", "CWE-79")]
    with database.write() as session:
        records = session.query(Record).order_by(Record.id).all()
        for record, decision in zip(records, given, strict=False):
            decide(session, record, decision, actor=ANA)
        sent = decide(session, records[3], Decision("reject"), actor=BEN)
        sent.withdrawn_at = "2026-01-01T00:00:00.000Z"  # which no longer counts
        session.add(FeedUpdate(feed="kev", succeeded_at="2026-01-10T00:00:00.000Z"))
        session.add(FeedUpdate(feed="epss", error="503"))
    with database.read() as session:
        total, months = figures.agreement(session)
        assert total is not None
        assert (total.hits, total.number, len(months)) == (2, 3, 1)
        assert (round(total.low, 3), round(total.high, 3)) == (0.208, 0.939)
        [confident] = figures.calibration(session)
        assert (confident.low, confident.agreement.number) == (0.9, 3)
        assert figures.coverage(session, 0.3) == (6, 6, [0] * 9 + [6])
        days = figures.throughput(session)
        assert (len(days), days[-1].name, days[-1].number) == (28, str(datetime.now(UTC).date()), 4)
        assert figures.throughput(session, date(2020, 1, 1))[0].number == 0
        assert figures.reviewers(session) == [("ana", {"accept": 2, "correct": 1, "reject": 0})]
        ages = figures.feeds(session, datetime(2026, 1, 12, tzinfo=UTC))
        assert [(one.feed, one.days, one.overdue) for one in ages] == [
            ("epss", None, True),
            ("kev", 2.0, False),
        ]


def test_the_dashboard_shows_them_with_an_alarm(filled: Console) -> None:
    with filled.database.write() as session:
        session.add(FeedUpdate(feed="kev", succeeded_at="2020-01-10T00:00:00.000Z", error="<503>"))
        decide(session, session.get_one(Record, 1), Decision("accept"), actor=ANA)
    page = filled.get("/dashboard").text
    assert "1 of 1 first and second verdicts were the suggestion: 100% (20.7% to 100%)" in visible(
        page
    )
    assert "kev has not been updated for" in visible(page)
    assert "&lt;503&gt;" in page
    assert page.count('role="img"') == 4


def test_drift_is_shown_with_its_chart(filled: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        Observation(f"{month}-{n}", date(2025, month, 1 + n), TEXT, "CWE-89", 0.9)
        for month in range(1, 13)
        for n in range(6)
    ]
    settings = DriftSettings(rule=RULE._replace(least_records=5))
    outcome = report(given, settings=settings)
    monkeypatch.setattr(drift_pages, "drift_report", lambda *_: outcome)
    filled.app.state.figures._reports["drift"] = (1e12, drift_pages.measure(filled.database))
    page = filled.get("/dashboard/drift").text
    assert "<title>Drift by window</title>" in page
    assert page.count('class="notice bad"') == len(outcome.alarms)
    told = f"{len(outcome.alarms)} alarm" if outcome.alarms else "No alarm in 12 months."
    assert told in visible(filled.get("/dashboard").text)


def test_drift_is_measured_beside_the_page(filled: Console) -> None:
    assert "It is being measured" in filled.get("/dashboard/drift").text
    kept = filled.app.state.figures
    while kept.later("drift", lambda: None, seconds=3600) is None:
        time.sleep(0.01)
    assert "Not enough to measure yet" in filled.get("/dashboard/drift").text
    assert "Not enough to measure yet" in filled.get("/dashboard").text


def test_the_audit_trail_is_listed_and_verified(filled: Console) -> None:
    filled.post("/records/1/verdict", action="reject", note="no flaw", version="1")
    assert "reject CVE-2030-1001 no flaw" in visible(filled.get("/audit-trail").text)
    assert "no flaw" not in filled.get("/audit-trail?subject=CVE-2030-1002").text
    assert "The chain of 2 events is whole." in visible(filled.post("/audit-trail/verify").text)
    assert filled.get("/audit-trail?before=x").status_code == 422


def test_the_catalogue_tells_the_mapping_usage_that_suggestions_have(console: Console) -> None:
    said = visible(console.get("/catalogue?text=CWE-1427").text)
    assert said.startswith("Weaknesses that fit CWE-1427")
    assert "Prohibited" not in said  # it was published without a usage, and is mapped to
    assert "Discouraged" in visible(console.get("/catalogue?text=CWE-20").text)
