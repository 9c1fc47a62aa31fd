"""The queue as pages: filters, paging, what is saved, and one verdict on many records."""

from __future__ import annotations

import re

from cybersecqwen.analyst.classification import Given
from cybersecqwen.records import AffectedProduct, Vulnerability
from cybersecqwen.service.reviews import Actor, Decision, decide
from cybersecqwen.service.tables import Record

from ..conftest import BEN, READER
from .conftest import TEXT, Console, visible


def names(html: str) -> list[str]:
    return re.findall(r'class="row-link"[^>]*>([^<]*)<', html)


def chosen(console: Console, *ids: str) -> list[str]:
    return [f"{one.id}:{one.version}" for one in map(console.record, ids)]


def test_pages_show_each_record_once(filled: Console) -> None:
    filled.add(*(Given(f"CVE-2031-{number}", TEXT) for number in range(1001, 1031)))
    first = filled.get("/queue?size=25").text
    link = re.search(r'rel="next" href="([^"]*)"', first)
    assert link is not None
    second = filled.get(link[1].replace("&amp;", "&")).text
    assert len({*names(first), *names(second)}) == 35 == len(names(first)) + len(names(second))
    assert 'rel="next"' not in second


def test_filters_narrow_the_queue_and_a_wrong_one_is_named(filled: Console) -> None:
    filled.add(Given("other", "Path traversal in the download of Bar."))
    assert names(filled.get("/queue?text=traversal").text) == ["other"]
    assert names(filled.get("/queue?cwe=22&name=oth").text) == []
    assert names(filled.get("/queue?cwe=cwe-22&order=newest&max_confidence=").text) == ["other"]
    portal = AffectedProduct("Acme", "Portal <b>", "< 2.4")
    record = Vulnerability("CVE-2031-2001", "", "A flaw.", affected=(portal,) * 12)
    filled.add(Given("CVE-2031-2001", "A flaw.", record=record))
    assert names(filled.get("/queue?product=acme+portal").text) == ["CVE-2031-2001"]
    page = filled.get(f"/records/{filled.record('CVE-2031-2001').id}").text
    assert "Portal &lt;b&gt;</td>" in page and "&lt; 2.4" in page and "2 more" in page
    wrong = filled.get("/queue?min_severity=eleven")
    assert (wrong.status_code, "min severity" in visible(wrong.text)) == (422, True)
    assert filled.get("/queue?after=x").status_code == 422


def test_the_export_has_the_filters_of_the_page(filled: Console) -> None:
    page = filled.get("/queue?state=any&cwe=cwe-89").text
    form = page[page.index('action="/v1/export"') :].partition("</form>")[0]
    assert dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) == {"cwe": "CWE-89", "state": ""}
    assert '<option value="csaf"' in form


def test_a_filter_is_saved_for_its_owner_alone(filled: Console) -> None:
    page = filled.post("/queue/filters", name="traversal", query="text=traversal&state=any").text
    assert 'href="/queue?state=any&amp;text=traversal" aria-current="true">traversal' in page
    filled.actor = BEN
    assert ">traversal<" not in filled.get("/queue").text
    filled.post("/queue/filters/delete", filter="1")
    filled.actor = Actor("ana")
    assert ">traversal<" in filled.get("/queue").text
    assert ">traversal<" not in filled.post("/queue/filters/delete", filter="1").text


def test_the_preview_does_nothing_and_then_what_it_showed_is_done(filled: Console) -> None:
    with filled.database.write() as session:
        decided = session.query(Record).filter_by(name="CVE-2030-1002").one()
        decide(session, decided, Decision("reject"), actor=BEN)
    many = {"record": chosen(filled, "CVE-2030-1001", "CVE-2030-1002", "CVE-2030-1003")}
    preview = filled.post("/queue/preview", verdict="accept", **many)
    assert "2 of 3 can be accepted" in visible(preview.text)
    assert visible(preview.text).count("stays it is decided already") == 1
    assert filled.record("CVE-2030-1001").state == "open"
    answer = filled.post("/queue/decide", verdict="accept", reason="alike", **many).text
    done = visible(answer)
    assert "2 records accepted" in done
    assert "left as it was it is decided already 1" in done
    assert [filled.record(f"CVE-2030-{n}").decided for n in (1001, 1002, 1003)] == [
        "CWE-89",
        "",
        "CWE-89",
    ]
    bulk = re.search(r'name="bulk" value="(\w+)"', answer)
    assert bulk is not None
    assert "2 verdicts undone" in visible(filled.post("/undo", bulk=bulk[1]).text)
    states = [filled.record(f"CVE-2030-{n}").state for n in (1001, 1002, 1003)]
    assert states == ["open", "decided", "open"]


def test_a_record_that_changed_after_the_preview_is_left_alone(filled: Console) -> None:
    many = {"record": chosen(filled, "CVE-2030-1001", "CVE-2030-1002")}
    filled.add(Given("CVE-2030-1001", "A buffer overflow in the parser of Foo."))
    done = visible(filled.post("/queue/decide", verdict="accept", **many).text)
    assert "left as it was it has changed meanwhile 1" in done
    assert filled.record("CVE-2030-1001").state == "open"
    assert filled.record("CVE-2030-1002").state == "decided"


def test_many_are_corrected_to_what_a_name_finds(filled: Console) -> None:
    many = {"record": chosen(filled, "CVE-2030-1001"), "verdict": "correct"}
    assert 'value="CWE-22"' in filled.post("/queue/preview", cwe="path traversal", **many).text
    preview = visible(filled.post("/queue/preview", cwe="CWE-22", **many).text)
    assert "1 of 1 can be corrected" in preview
    filled.post("/queue/decide", cwe="CWE-22", **many)
    assert filled.record("CVE-2030-1001").decided == "CWE-22"


def test_a_reader_judges_nothing(filled: Console) -> None:
    many = {"record": chosen(filled, "CVE-2030-1001"), "verdict": "accept"}
    filled.actor = READER
    assert "Accept…" not in filled.get("/queue").text
    for path in ("/queue/preview", "/queue/decide"):
        assert filled.post(path, **many).status_code == 403
    assert filled.record("CVE-2030-1001").state == "open"


def test_no_verdict_without_a_choice(filled: Console) -> None:
    assert "no record is chosen" in filled.post("/queue/preview", verdict="accept").text
    many = {"record": chosen(filled, "CVE-2030-1001")}
    assert "no verdict was chosen" in filled.post("/queue/preview", **many).text
    assert filled.post("/queue/decide", verdict="accept", record=["x:1"]).status_code == 422
