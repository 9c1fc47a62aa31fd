"""Exports: what a person decided, with the audit trail, read back by our own readers."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cybersecqwen.analyst.texts import read_file
from cybersecqwen.errors import InputError
from cybersecqwen.formats.rows import refuse
from cybersecqwen.service import exports
from cybersecqwen.service.audit_trail import verify
from cybersecqwen.service.database import Database
from cybersecqwen.service.exports import EXPORTS, export, is_held_out
from cybersecqwen.service.imports import Importer, begin
from cybersecqwen.service.queue import Filters
from cybersecqwen.service.reviews import Decision, add_comment, decide
from cybersecqwen.service.tables import Record

from .conftest import ANA, BEN, add_texts

V31, V40 = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
)
FORMULA = '=HYPERLINK("http://evil") is run by Foo. SQL injection in\nlogin.php\u202e.'
TEXTS = {
    "CVE-2030-1001": ("SQL injection in login.php of Foo.", V31),
    "CVE-2030-1002": ("A stack-based buffer overflow in the parser of Foo.", V40),
    "CVE-2030-1003": ("Cross-site scripting in the comment field.", None),
    "CVE-2030-1004": (FORMULA, None),
    "TICKET-5": ("Path traversal in the download of Foo.", None),
}
DECIDED = {"CVE-2030-1001": "CWE-89", "CVE-2030-1002": "CWE-121", "TICKET-5": "CWE-22"}
AFFECTED = {
    "CVE-2030-1003": [["Acme", "Portal", ">= 2.0, < 2.4"], ["Acme", "Desk", ""], ["", "foo", "1"]],
}
EVERY = Filters(state=None)
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def row(name: str, text: str, vector: str | None) -> dict[str, Any]:
    labels = {"cwe_nvd": ["CWE-20"], "cwe_cna": ["CWE-89"], "cwe_cisa_adp": []}
    cvss = [["nvd", vector[5:8], vector, None]] if vector else None
    about = {"assigner": None, "description_source": None, "cvss3_vector": None, "cvss": cvss}
    about["affected"] = AFFECTED.get(name)
    return {"cve_id": name, "published": "2030-02-03", "description": text, **labels, **about}


@pytest.fixture
def reviewed(importer: Importer, tmp_path: Path) -> Database:
    """Five records: two accepted or corrected, one rejected, one judged once of twice, one open."""
    lines = "".join(json.dumps(row(name, *facts)) + "\n" for name, facts in TEXTS.items())
    stream = io.BytesIO(lines.encode())
    number = begin(importer.database, "r.jsonl", stream, actor=ANA, folder=tmp_path / "in")
    assert importer.finish(number).new == len(TEXTS)
    with importer.database.write() as session:
        held = {record.name: record for record in session.scalars(select(Record))}
        decide(session, held["CVE-2030-1001"], Decision("accept", reason="=clear"), actor=ANA)
        for name in ("CVE-2030-1002", "TICKET-5"):
            decide(session, held[name], Decision("correct", DECIDED[name]), actor=BEN)
        decide(session, held["CVE-2030-1003"], Decision("reject"), actor=ANA)
        decide(
            session,
            held["CVE-2030-1004"],
            Decision("correct", "CWE-1004", "the secret verdict"),
            actor=ANA,
            second_share=1.0,
        )
        add_comment(session, held["CVE-2030-1001"], "seen", actor=BEN)
    return importer.database


def exported(database: Database, name: str, filters: Filters = EVERY, **how: Any) -> str:
    return "".join(export(database, name, filters, actor=ANA, **how))


def head(database: Database) -> str:
    with database.read() as session:
        return verify(session).head


@sqlite
@pytest.mark.parametrize("name", [n for n in EXPORTS if n not in ("csv", "jsonl", "training")])
def test_what_a_format_says_is_read_back(name: str, reviewed: Database, tmp_path: Path) -> None:
    text = exported(reviewed, name)
    path = tmp_path / "file.json"
    path.write_text(text, encoding="utf-8")
    chosen = {"opencve": {key: value for key, value in TEXTS.items() if key.startswith("CVE")}}
    expected = chosen.get(name, TEXTS)
    problems: list[InputError] = []
    got = {str(one.id): one for one in read_file(path, report=problems.append)}
    assert len(problems) == len(TEXTS) - len(expected)
    assert {key: one.text for key, one in got.items()} == {k: t for k, (t, _) in expected.items()}
    labels = {key: one.record.cwe_cna for key, one in got.items() if one.record.cwe_cna}
    assert labels == {key: (cwe,) for key, cwe in DECIDED.items() if key in expected}
    if name in ("csaf", "cyclonedx", "defectdojo"):
        assert got["CVE-2030-1001"].record.cvss3_vector == V31
    for key, products in AFFECTED.items() if name in ("csaf", "cyclonedx") else ():
        assert [list(one) for one in got[key].record.affected] == products
    assert head(reviewed) in text
    assert "the secret verdict" not in text and "CWE-1004" not in text
    assert "\u202e" not in text


@sqlite
def test_the_documents_have_what_their_formats_ask_for(reviewed: Database) -> None:
    csaf, cyclonedx, sarif, dojo = (
        json.loads(exported(reviewed, name))
        for name in ("csaf", "cyclonedx", "sarif", "defectdojo")
    )
    tracking = csaf["document"]["tracking"]
    assert {"id", "version", "status", "revision_history"} <= tracking.keys()
    products = {one["product_id"] for one in csaf["product_tree"]["full_product_names"]}
    [flaw, newest, *_] = csaf["vulnerabilities"]
    assert flaw["cwe"] == {
        "id": "CWE-89",
        "name": "Improper Neutralization of Special Elements used in an SQL Command "
        "('SQL Injection')",
    }
    [score] = flaw["scores"]
    assert set(score["products"]) <= products
    assert score["cvss_v3"] == {
        "version": "3.1",
        "vectorString": V31,
        "baseScore": 9.8,
        "baseSeverity": "CRITICAL",
    }
    assert "scores" not in newest  # CSAF 2.0 knows no CVSS 4.0
    assert any(V40 in note["text"] for note in newest["notes"])

    states = {one["id"]: one["analysis"]["state"] for one in cyclonedx["vulnerabilities"]}
    assert states == dict.fromkeys(TEXTS, "in_triage") | {"CVE-2030-1003": "false_positive"}
    ratings = {one["id"]: one.get("ratings") for one in cyclonedx["vulnerabilities"]}
    assert [ratings["CVE-2030-1001"][0][key] for key in ("method", "score")] == ["CVSSv31", 9.8]
    assert ratings["CVE-2030-1002"][0]["method"] == "CVSSv4"

    [run] = sarif["runs"]
    kinds = {
        one["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]: (
            one["kind"],
            one["level"],
        )
        for one in run["results"]
    }
    assert kinds["CVE-2030-1001"] == ("fail", "error")
    assert kinds["CVE-2030-1004"] == ("review", "none")
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} >= {
        result["ruleId"] for result in run["results"]
    }
    desk = {"name": "Acme Desk", "product_id": "product-2"}
    [acme, _] = csaf["product_tree"]["branches"]
    assert [one["branches"][0]["product"] for one in acme["branches"]][1] == desk
    assert csaf["vulnerabilities"][2]["product_status"]["known_affected"][1] == "product-2"
    findings = {one["unique_id_from_tool"]: one for one in dojo["findings"]}
    assert findings["CVE-2030-1003"]["false_p"] and not findings["CVE-2030-1003"]["active"]
    assert findings["CVE-2030-1001"]["severity"] == "Critical"
    assert findings["TICKET-5"]["severity"] == "Info"
    assert findings["CVE-2030-1003"]["impact"].startswith("Affected: Acme Portal >= 2.0, < 2.4 | ")


@sqlite
def test_a_table_runs_no_formula_and_hides_no_row(reviewed: Database, tmp_path: Path) -> None:
    text = exported(reviewed, "csv")
    rows = {one["id"]: one for one in csv.DictReader(io.StringIO(text))}
    assert list(rows) == list(TEXTS)
    assert rows["CVE-2030-1004"]["text"].startswith("'=HYPERLINK")
    assert rows["CVE-2030-1001"]["reasons"] == "'=clear"
    assert rows["CVE-2030-1001"]["comments"] == "ben: seen"
    assert rows["CVE-2030-1003"]["affected"] == "Acme Portal >= 2.0, < 2.4 | Acme Desk | foo 1"
    assert rows["CVE-2030-1004"]["cwe"] == rows["CVE-2030-1004"]["reviewers"] == ""
    assert " ana accept " in rows["CVE-2030-1001"]["events"]
    assert {one["audit_head"] for one in rows.values()} == {head(reviewed)}
    path = tmp_path / "back.csv"
    path.write_text(text, encoding="utf-8")
    back = {one.id: one.text for one in read_file(path, report=refuse)}
    assert back == {
        name: text.replace("\u202e", "\N{REPLACEMENT CHARACTER}")
        for name, (text, _) in TEXTS.items()
    }


@sqlite
def test_a_comment_is_hidden_with_the_verdict_that_it_could_give_away(reviewed: Database) -> None:
    with reviewed.write() as session:
        judged = session.scalars(select(Record).where(Record.name == "CVE-2030-1004")).one()
        add_comment(session, judged, "a telling comment", actor=ANA)
    for name in EXPORTS:
        assert "a telling comment" not in exported(reviewed, name)


@sqlite
def test_lines_hold_the_events_as_they_were_hashed(reviewed: Database) -> None:
    rows = {one["id"]: one for one in map(json.loads, exported(reviewed, "jsonl").splitlines())}
    [judged, commented] = rows["CVE-2030-1001"]["events"]
    assert (judged["action"], judged["details"]["cwe"]) == ("accept", "CWE-89")
    assert commented["action"] == "comment"
    [hidden] = rows["CVE-2030-1004"]["events"]
    assert (hidden["action"], hidden["details"]) == ("verdict", None)
    assert rows["CVE-2030-1004"]["reviews"] == []
    assert rows["CVE-2030-1001"]["reviews"][0]["reviewer"] == "ana"
    assert {one["audit_head"] for one in rows.values()} == {head(reviewed)}


def test_an_export_is_an_event_and_a_filter_counts(reviewed: Database) -> None:
    before = head(reviewed)
    rows = exported(reviewed, "jsonl", Filters(state="decided")).splitlines()
    assert len(rows) == len(DECIDED) + 1
    assert head(reviewed) != before
    with reviewed.read() as session:
        assert verify(session, head=before).broken == ""
    with pytest.raises(InputError, match="there is no export 'xml'"):
        export(reviewed, "xml", EVERY, actor=ANA)


@sqlite
def test_what_is_held_out_is_in_no_table_to_train_on(importer: Importer) -> None:
    names = [f"CVE-2031-{number}" for number in range(1000, 1060)]
    from cybersecqwen.analyst.classification import Given

    texts = [Given(name, f"SQL injection in page{name[-4:]}.php of Foo.") for name in names]
    add_texts(importer, texts)
    with importer.database.write() as session:
        for record in session.scalars(select(Record)):
            decide(session, record, Decision("correct", "CWE-89"), actor=ANA)
    held = {name for name in names if is_held_out(name)}
    assert 0 < len(held) < 20

    def written(**how: Any) -> set[str]:
        lines = exported(importer.database, "training", **how).splitlines()
        return {json.loads(line)["cve_id"] for line in lines}

    assert written() == set(names) - held
    assert written(held_out=True) == held
    assert len(exported(importer.database, "jsonl").splitlines()) == len(names)


@sqlite
def test_nothing_is_held_that_was_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of many records needs no more memory than one of a few."""
    from cybersecqwen.service.tables import utc_now

    monkeypatch.setattr(exports, "_BATCH", 50)
    with database.write() as session:
        for number in range(300):
            session.add(
                Record(
                    name=f"CVE-2031-{number + 1000}",
                    text="SQL injection. " * 60,
                    text_sha256="0" * 64,
                    source="test",
                    labels=[],
                    imported_at=utc_now(),
                    classification={},
                    engine="embedded",
                    artifact="0" * 64,
                    classified_at=utc_now(),
                )
            )

    def peak(filters: Filters) -> int:
        tracemalloc.start()
        for _ in export(database, "csaf", filters, actor=ANA):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(Filters(state=None, name="CVE-2031-10"))
    few = peak(Filters(state=None, name="CVE-2031-11"))  # 100 records of 300
    assert peak(EVERY) < 1.2 * few
