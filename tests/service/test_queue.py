"""The queue: its orders, filters and pages."""

from __future__ import annotations

import base64
import json

import pytest
from pydantic import ValidationError
from sqlalchemy import event

from cybersecqwen.analyst.classification import Given
from cybersecqwen.errors import InputError
from cybersecqwen.records import AffectedProduct, Vulnerability
from cybersecqwen.service.database import Database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.queue import Filters, count, page, similar, states
from cybersecqwen.service.reviews import Decision, decide
from cybersecqwen.service.tables import Record

from .conftest import ANA, add_texts

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
TEXTS = {
    "CVE-2021-44228": "Remote code injection through JNDI lookups in log messages.",  # is exploited
    "CVE-2030-1001": "SQL injection in login.php of Foo allows attackers to read the database.",
    "CVE-2030-1002": "SQL injection in search.php of Foo allows attackers to read the database.",
    "CVE-2030-1003": "Something is wrong.",
}
VECTORS = {"CVE-2030-1001": LOW, "CVE-2030-1002": CRITICAL}


@pytest.fixture(autouse=True)
def _records(importer: Importer) -> None:
    given = []
    for name, text in TEXTS.items():
        record = Vulnerability(
            name, f"{name[4:8]}-05-01", text, ("CWE-79",), cvss3_vector=VECTORS.get(name)
        )
        given.append(Given(name, text, record=record))
    add_texts(importer, given)


def names(database: Database, **filters: object) -> list[str]:
    with database.read() as session:
        return [record.name for record in page(session, Filters(**filters)).records]


def test_the_orders(database: Database) -> None:
    urgent = ["CVE-2021-44228", "CVE-2030-1002", "CVE-2030-1001", "CVE-2030-1003"]
    assert names(database, order="urgency") == urgent
    assert names(database, order="severity")[:2] == ["CVE-2030-1002", "CVE-2030-1001"]
    assert names(database, order="newest")[-1] == "CVE-2021-44228"
    with database.read() as session:
        shares = [one.confidence for one in page(session, Filters(order="uncertainty")).records]
    assert shares == sorted(shares)


def test_the_filters(database: Database) -> None:
    assert names(database, exploited=True) == ["CVE-2021-44228"]
    assert names(database, min_severity=9) == ["CVE-2030-1002"]
    assert names(database, text="SEARCH.PHP") == ["CVE-2030-1002"]
    for text in ("100%", "zz", "'; DROP", '"search'):
        assert names(database, text=text) == []
    assert names(database, text="in s") == ["CVE-2030-1002"]
    assert names(database, text="mE") == ["CVE-2021-44228", "CVE-2030-1003"]
    assert names(database, name="cve-2021") == ["CVE-2021-44228"]
    assert names(database, name="CVE-2021-44228") == ["CVE-2021-44228"]
    assert names(database, name="VE-2021") == names(database, name="%") == []
    assert names(database, cwe="cwe 89", order="newest") == ["CVE-2030-1002", "CVE-2030-1001"]
    assert set(names(database, differs=True)) >= {"CVE-2030-1001", "CVE-2030-1002"}
    assert names(database, state="decided") == []
    with database.read() as session:
        assert count(session, Filters(cwe="CWE-89")) == 2
    with pytest.raises(ValidationError):
        Filters(order="alphabet")


def test_a_description_that_changes_is_found_by_what_it_says_now(
    database: Database, importer: Importer
) -> None:
    add_texts(importer, [Given("CVE-2030-1003", "A flaw in zip files.")])
    assert names(database, text="zip files") == ["CVE-2030-1003"]
    assert names(database, text="Something is") == []


def test_records_are_found_by_what_is_affected_now(database: Database, importer: Importer) -> None:
    name, text = "CVE-2030-2001", "A flaw."
    every = AffectedProduct("apache", "http_server"), AffectedProduct("Acme\0", "Log4j-core", "< 2")
    for affected, missed in ((every, ["server http", "log", "%", "4"]), (every[:1], ["log4j"])):
        record = Vulnerability(name, "2030-01-01", text, affected=affected)
        add_texts(importer, [Given(name, text, record=record)] * 2)
        for product in ("http server", "Apache HTTP-Server", "HTTP_SERVER "):
            assert names(database, product=product) == [name]
        for product in missed:
            assert names(database, product=product) == []
    add_texts(importer, [Given(name, text)])
    assert names(database, product="http server") == []


@pytest.mark.parametrize("order", ["urgency", "uncertainty", "severity", "newest"])
def test_pages_show_each_record_once(database: Database, order: str) -> None:
    seen, after = [], ""
    with database.read() as session:
        while True:
            some = page(session, Filters(order=order), limit=1, after=after)
            seen += [record.name for record in some.records]
            if not (after := some.next):
                break
    assert seen == names(database, order=order)
    assert set(seen) == set(TEXTS)


def place(*value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    ["x", "bnVsbA", "W10", place("2020", 1), place(1.0, 2**70), place(2**70, 1), place(1.0, True)],
)
def test_a_place_that_no_page_gave_is_refused(database: Database, after: str) -> None:
    with pytest.raises(InputError, match="none that a page gave"), database.read() as session:
        page(session, Filters(), after=after)


def test_similar_decided_records(database: Database) -> None:
    with database.write() as session:
        first = session.query(Record).filter_by(name="CVE-2030-1001").one()
        decide(session, first, Decision("accept"), actor=ANA)
    with database.read() as session:
        second = session.query(Record).filter_by(name="CVE-2030-1002").one()
        [(other, share)] = similar(session, second)
        assert (other.name, share > 0.5) == ("CVE-2030-1001", True)
        assert states(session) == {"open": 3, "second": 0, "disputed": 0, "decided": 1}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_finds_a_name_by_its_index(database: Database) -> None:
    asked = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    with database.read() as session:
        page(session, Filters(name="ghsa-"))
    with database.engine.connect() as connection:
        [plan] = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()
            for query, values in asked[-1:]
        ]
    assert any("records_by_name" in str(step) for step in plan)
