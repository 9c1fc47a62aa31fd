"""A record as a page: the verdict on it, what a second reviewer sees, and that nothing is lost."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.classification import Given
from cybersecqwen.records import Cvss, Vulnerability
from cybersecqwen.service.reviews import Actor, Decision, add_comment, decide
from cybersecqwen.service.tables import Record

from ..conftest import ANA, BEN, CHIEF, READER
from .conftest import TEXT, Console, visible


def judge(console: Console, name: str, *, follow: bool = True, **fields: str) -> object:
    held = console.record(name)
    sent = {"version": str(held.version), **fields}
    return console.post(f"/records/{held.id}/verdict", follow=follow, **sent)


def test_a_verdict_leads_to_the_next_record_and_undo_back(filled: Console) -> None:
    page = judge(filled, "CVE-2030-1005", action="accept", note="it is", query="order=urgency")
    assert str(page.url).startswith("http://127.0.0.1/records/4?")
    assert "CVE-2030-1005: accepted CWE-89." in visible(page.text)
    assert filled.record("CVE-2030-1005").decided == "CWE-89"
    back = filled.post("/undo")
    assert back.url.path == f"/records/{filled.record('CVE-2030-1005').id}"
    assert filled.record("CVE-2030-1005").state == "open"
    assert "undo" in visible(back.text)


def test_the_word_for_a_severity_is_that_of_its_version(console: Console) -> None:
    cvss = (Cvss("nvd", "2.0", "AV:N/AC:L/Au:N/C:C/I:C/A:C"),)  # which has no word above High
    console.add(Given("CVE-2030-1", TEXT, record=Vulnerability("CVE-2030-1", "", TEXT, cvss=cvss)))
    for path in ("/queue", "/records/1"):
        assert "10.0 High" in visible(console.get(path).text), path


def test_the_page_tells_what_it_rests_on(filled: Console) -> None:
    with filled.database.write() as session:
        first = session.query(Record).filter_by(name="CVE-2030-1001").one()
        decide(session, first, Decision("accept"), actor=BEN)
    html = filled.get("/records/2").text
    said = visible(html)
    assert "<mark" in html
    assert "CWE-707 Improper Neutralization Pillar" in said
    assert "CVE-2030-1001 CWE-89" in said  # a similar one, reviewed
    assert 'aria-keyshortcuts="a"' in html


def test_a_correction_by_name_lists_what_fits_and_keeps_the_note(filled: Console) -> None:
    page = judge(filled, "CVE-2030-1001", action="correct", cwe="path traversal", note="my note")
    assert page.status_code == 422
    assert 'type="radio" name="cwe" value="CWE-22"' in page.text
    assert "my note</textarea>" in page.text
    judge(filled, "CVE-2030-1001", action="correct", cwe="22", note="my note")
    assert filled.record("CVE-2030-1001").decided == "CWE-22"


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_a_verdict_on_what_has_changed_is_told_and_nothing_typed_is_lost(
    filled: Console, action: str
) -> None:
    seen = filled.version("CVE-2030-1001")
    filled.add(Given("CVE-2030-1001", "A buffer overflow in the parser of Foo."))
    page = judge(filled, "CVE-2030-1001", version=seen, action=action, note="half a <thought>")
    assert page.status_code == 409
    assert "it has changed meanwhile" in visible(page.text)
    assert "half a &lt;thought&gt;</textarea>" in page.text
    assert "buffer overflow" in visible(page.text)
    assert filled.record("CVE-2030-1001").state == "open"


def test_a_second_reviewer_sees_neither_verdict_nor_comment_of_the_first(filled: Console) -> None:
    with filled.database.write() as session:
        first = session.query(Record).filter_by(name="CVE-2030-1001").one()
        add_comment(session, first, "It smells of CWE-79.", actor=ANA)
        decision = Decision("correct", "CWE-79", "scripting, clearly")
        decide(session, first, decision, actor=ANA, second_share=1)
    filled.actor = BEN
    for path in ("/records/1", "/audit-trail", "/audit-trail?subject=CVE-2030-1001"):
        said = visible(filled.get(path).text)
        assert "scripting, clearly" not in said, path
        assert "CWE-79" not in said or path != "/records/1", path
        assert "hidden until you have judged it" in said, path
        assert "smells" not in said, path
    filled.app.state.settings = filled.app.state.settings.model_copy(update={"second_share": 1.0})
    judge(filled, "CVE-2030-1001", action="accept")
    assert filled.record("CVE-2030-1001").state == "disputed"
    filled.actor = CHIEF
    said = visible(filled.get("/records/1").text)
    assert "scripting, clearly" in said
    assert "smells" in said


def test_a_comment_and_sending_back(filled: Console) -> None:
    page = judge(filled, "CVE-2030-1001", action="comment", note="see the patch")
    assert "see the patch ana" in visible(page.text)
    assert judge(filled, "CVE-2030-1001", action="comment", note=" ").status_code == 422
    judge(filled, "CVE-2030-1001", action="accept")
    judge(filled, "CVE-2030-1001", action="send back", note="look again")
    assert filled.record("CVE-2030-1001").state == "open"


def test_who_may_not_judge_gets_no_form(filled: Console) -> None:
    filled.actor = READER
    assert 'id="verdict"' not in filled.get("/records/1").text
    assert judge(filled, "CVE-2030-1001", action="accept").status_code == 403
    filled.actor = None
    answer = filled.client.get("/records/1?order=newest", follow_redirects=False)
    assert answer.headers["location"] == "/login?next=%2Frecords%2F1%3Forder%3Dnewest"
    assert filled.record("CVE-2030-1001").state == "open"


def test_what_is_not_there_and_what_is_no_number(filled: Console) -> None:
    assert filled.get("/records/99").status_code == 404
    assert filled.get(f"/records/{2**70}").status_code == 404
    assert judge(filled, "CVE-2030-1001", version="one", action="accept").status_code == 422
    assert filled.get("/records/1?done=x").status_code == 422
    assert filled.get("/records/by-name?name=cve-2030-1002").url.path == "/records/2"
    assert "there is no record" in filled.get("/records/by-name?name=<b>").text


def test_the_catalogue_is_searched_by_id_name_and_other_name(console: Console) -> None:
    console.actor = Actor("ron", "reader")
    for text, cwe in (("79", "CWE-79"), ("cwe-1333", "CWE-1333"), ("xss", "CWE-79")):
        assert f'value="{cwe}"' in console.get(f"/catalogue?text={text}").text
    assert console.get("/catalogue?text=").text.strip() == ""
