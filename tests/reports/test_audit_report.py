"""The page of an audit: the marks stand where texts are shared, and nothing in it can act."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from markupsafe import escape

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import Hit, Row
from cybersecqwen.contamination.audit import Audit, Overlap, run_audit
from cybersecqwen.contamination.reading import Reading
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.contamination.training_rows import TrainRow
from cybersecqwen.errors import InputError
from cybersecqwen.files import write_jsonl
from cybersecqwen.records import Item
from cybersecqwen.reports.audit_report import audit_page, bins, item_text

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=5000", "--dump-dom"),
)
LICENCE = "The texts of the items are CTI-Bench's (arXiv:2406.07599), licensed"
HOSTILE = "</div></details><script>document.title='owned'</script><img src=x onerror=alert(1)>"
QUESTION = "Which mitigation keeps programs from running that came from outside the repositories?"
ITEMS = {
    "cti-mcq": (
        Item(
            *("cti-mcq", 0, "", "C", "https://example.org/a?b=1&c=2", QUESTION),
            ("Audit & <review>", "Execution prevention", "Code signing of all files", "None"),
        ),
        Item("cti-mcq", 1, "", HOSTILE, "javascript:alert(1)", f"Name the weakness {HOSTILE}"),
    ),
    "cti-vsp": (Item("cti-vsp", 0, "", "CVSS:3.1", "", "A race condition in a driver."),),
}


def overlap(text: str, *, item: int = 0, number: int = 0, rule: str = "exact") -> Overlap:
    hit = Hit(rule, "cti-mcq", item, 1.0, ((rule, 1.0), ("ngram", 0.75)), has_answer=True)
    return Overlap(TrainRow(number, f"train.jsonl:{number + 1}", "text", Row(text)), hit)


def rendered(overlaps: Iterable[Overlap] = (), *, unreadable: Iterable[str] = ()) -> str:
    items = {task: len(of_task) for task, of_task in ITEMS.items()}
    shares = {("cti-mcq", 0): 0.6, ("cti-mcq", 1): None, ("cti-vsp", 0): 0.0}
    reading = Reading(Path("train.jsonl"))
    for line in unreadable:
        reading.skip(InputError(line))
    audit = Audit(items, 1_000, reading=reading, overlaps=list(overlaps), shares=shares)
    audit.forms["text"] = 1_000
    return audit_page(audit, ITEMS, train="train.jsonl")


def texts(page: str) -> list[str]:
    return re.findall(r'<div class="text">(.*?)</div>', page, re.DOTALL)


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def marked(text: str) -> list[str]:
    return [html.unescape(found) for found in re.findall("<mark>(.*?)</mark>", text, re.DOTALL)]


def test_marks_stand_where_texts_are_shared() -> None:
    item = ITEMS["cti-mcq"][0]
    row = f"Code signing of all files & more <b>. Exam: {QUESTION}"
    spans, (left, right) = shared_spans(row, item_text(item)), texts(rendered([overlap(row)]))
    assert plain(left) == row and plain(right) == item_text(item)
    assert marked(left) == ["Code signing of all files", QUESTION[:-1]]
    assert marked(left) == [row[s.start : s.end] for s in spans]
    assert marked(right) == [QUESTION[:-1], "Code signing of all files"]
    assert "C) <mark>Code signing of all files</mark>\nD) None" in right


def test_a_part_of_an_item_that_a_row_holds_twice_is_marked_once() -> None:
    left, right = texts(rendered([overlap(f"{QUESTION} {QUESTION}")]))
    assert len(marked(left)) == 2
    assert marked(right) == [QUESTION[:-1]]


def test_an_overlap_says_its_place_rules_gold_and_source() -> None:
    page = rendered([overlap(QUESTION, number=1_233)])
    summary = "Row 1,233 and cti-mcq/0: exact 1, ngram 0.75; the answer is given too"
    assert f"<summary>{summary}</summary>" in page
    assert "train.jsonl:1234 (text)" in page and "cti-mcq/0, gold C, " in page
    assert 'href="https://example.org/a?b=1&amp;c=2"' in page


def test_hostile_text_stays_text() -> None:
    row = HOSTILE + " {{licence}}"
    page = rendered([overlap(row, item=1)], unreadable=[HOSTILE])
    assert "<script" not in page and "<img" not in page and 'href="javascript' not in page
    assert list(map(plain, texts(page))) == [row, ITEMS["cti-mcq"][1].text]
    assert f"gold {escape(HOSTILE)}, javascript:alert(1)</p>" in page
    assert f"<li>{escape(HOSTILE)}</li>" in page
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';" in page


def test_a_long_text_is_cut_around_what_is_shared_and_says_so() -> None:
    row = f"{'Filler before. ' * 2_000}{QUESTION}{' Filler after.' * 2_000}"
    page = rendered([overlap(row)])
    left, _ = texts(page)
    assert marked(left) == [QUESTION[:-1]]
    assert left.startswith('<span class="cut">…') and left.endswith("…</span>")
    shown = len(plain(left).replace("…", ""))
    assert f"Cut to {shown:,} of {len(row):,} characters, around what is shared." in page
    assert shown == len(QUESTION) - 1 + 600


@pytest.mark.parametrize("length", [4_000, 4_001, 50_000])
def test_no_more_of_a_text_is_shown_than_the_limit(length: int) -> None:
    row = (f"{QUESTION} " * 1_000)[:length]
    left, _ = texts(rendered([overlap(row)]))
    assert len(plain(left).replace("…", "")) <= 4_000
    assert ("…" in left) == (length > 4_000)


def test_a_long_text_that_shares_nothing_shows_its_beginning() -> None:
    left, _ = texts(rendered([overlap("elsewhere " * 1_000, rule="cve-id")]))
    assert plain(left).startswith("elsewhere") and len(plain(left)) == 4_001


def test_the_strongest_overlaps_are_shown_and_the_others_counted() -> None:
    found = [overlap(QUESTION, number=n) for n in range(199)]
    found += [overlap(QUESTION, number=n, rule="masked") for n in range(199, 202)]
    found += [overlap(QUESTION, number=202, rule="near-duplicate")]
    page = rendered(found)
    assert page.count("<details") == 200
    assert "Overlaps: 203, each under the strongest rule that holds." in page
    assert "The strongest 200 are shown here; all are in contamination.json." in page
    assert "None is shown of near-duplicate 1." in page
    assert "exact <span>(199)" in page and "masked <span>(1 of 3 shown)" in page
    assert page.count("<details open>") == 2  # the first of each rule


def test_every_link_within_the_page_leads_somewhere() -> None:
    page = rendered([overlap(QUESTION), overlap(QUESTION, rule="masked")], unreadable=["row 3"])
    names = re.findall(r'href="#([^"]+)"', page)
    assert len(names) == 6 and all(page.count(f' id="{name}"') == 1 for name in names)


def test_items_are_counted_by_how_much_of_them_the_file_holds() -> None:
    shares = dict(enumerate((None, 0.0, 0.25, 0.26, 0.5, 0.51)))
    audit = Audit({"cti-mcq": 6}, shares={("cti-mcq", n): share for n, share in shares.items()})
    assert bins(audit) == {
        "cti-mcq": {
            "too short to tell": 1,
            "none": 1,
            "up to a quarter": 1,
            "a quarter to a half": 2,
            "more than half": 1,
        }
    }
    row = '<th scope="row">cti-mcq</th>' + "".join(f'<td class="n">{n}</td>' for n in "10001")
    assert row in rendered()


def test_a_clean_file_has_a_page_that_says_so(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"text": "Rain fell all day over the hills."}])
    audit = run_audit(tmp_path / "train.jsonl", benchmark_of(ITEMS), Contamination())
    page = audit_page(audit, ITEMS, train="train.jsonl")
    assert '<p class="verdict clean">Clean: 1 row compared with 3 items' in page
    assert "Rows by form: text 1. Items by task: cti-mcq 2, cti-vsp 1." in page
    assert "<details" not in page and LICENCE not in page  # no item's text is shown
    assert LICENCE in rendered([overlap(QUESTION)])


def test_more_unreadable_rows_than_are_listed_are_counted() -> None:
    page = rendered(unreadable=(f"row {number}" for number in range(1_500)))
    assert '<p class="verdict hit">Not proven clean' in page
    assert "Could not be read <span>(1,500)</span>" in page and page.count("<li>row") == 5
    assert "<li>… and 1,495 more: row …</li>" in page


@pytest.mark.skipif(not BROWSER, reason="no chromium here")
def test_a_browser_shows_hostile_rows_as_text_and_runs_nothing(tmp_path: Path) -> None:
    found = tmp_path / "contamination.html"
    found.write_text(rendered([overlap(HOSTILE, item=1), overlap(QUESTION)]), encoding="utf-8")
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", found.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "<title>Overlap of train.jsonl with the benchmark</title>" in done.stdout
    assert "<script" not in done.stdout and "<img" not in done.stdout
    assert done.stdout.count('<div class="pair">') == 2 and "<mark>" in done.stdout
