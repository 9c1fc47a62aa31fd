"""What holds for every page: text of others is no markup, nothing is inline, forms have a token."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from cybersecqwen.analyst.classification import Given
from cybersecqwen.service.console.page import Figures
from cybersecqwen.service.console.text_marks import pieces, shown

from .conftest import Console, visible

HOSTILE = "<img src=x onerror=alert(1)>\"'</textarea><script>alert(1)</script>"
PAGES = (
    "/queue",
    "/queue?state=any",
    "/records/1",
    "/ask",
    "/imports",
    "/imports/1",
    "/dashboard",
    "/dashboard/drift",
    "/audit-trail",
    "/help",
    "/login",
)


@pytest.fixture
def hostile(console: Console) -> Console:
    """Fill every place of every page with markup, and with characters that do not show."""
    text = f"SQL inj\u200bection {HOSTILE} in login \u202ephp.exe"
    console.add(Given(HOSTILE, text))
    console.post("/records/1/verdict", action="comment", note=HOSTILE, version="1")
    console.post("/records/1/verdict", action="accept", note=HOSTILE, version="2")
    console.post("/queue/filters", name=HOSTILE, query="state=any")
    console.post("/imports", file=(HOSTILE.replace("/", "-"), HOSTILE.encode() + b"\n{"))
    return console


def test_characters_that_do_not_show_are_counted(console: Console) -> None:
    console.add(Given("one", "SQL\u200b injection."), Given("two", "S\u200bQ\u200bL injection."))
    one, two = (visible(console.get(f"/records/{n}").text) for n in (1, 2))
    assert "1 character that does not show is written as its number." in one
    assert "2 characters that do not show are written as their numbers." in two


class Elements(HTMLParser):
    """Collects the elements of a page, each with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.every: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.every.append((tag, dict(attrs)))


def test_text_of_others_is_no_markup_and_nothing_is_inline(hostile: Console) -> None:
    for path in PAGES:
        answer = hostile.get(path)
        assert answer.status_code == 200, path
        assert not {"\u200b", "\u202e"} & set(answer.text), path
        for tag, given in Elements(answer.text).every:
            assert tag not in ("img", "style"), path
            assert not [name for name in given if name.startswith("on") or name == "style"], path
            assert tag != "script" or str(given["src"]).startswith("/static/"), path
            target = given.get("src") or given.get("href") or "/"
            assert target.startswith(("/", "#", "https://cwe.mitre.org/")), path


def test_what_does_not_show_is_named(hostile: Console) -> None:
    html = hostile.get("/records/1").text
    assert 'title="ZERO WIDTH SPACE">U+200B<' in html
    assert 'title="RIGHT-TO-LEFT OVERRIDE">U+202E<' in html
    assert shown("a\ufe0fb\u3164\xa0c\n") == "a⟨U+FE0F⟩b⟨U+3164⟩\xa0c\n"
    assert [piece.text for piece in pieces("a\u200bb", [])] == ["a", "U+200B", "b"]


def test_a_form_without_its_token_does_nothing(filled: Console) -> None:
    forms = {"/undo", "/queue/decide", "/records/1/verdict", "/imports", "/ask", "/classify"}
    for path in forms:
        assert filled.post(path, csrf="another", action="reject").status_code == 403
    assert filled.record("CVE-2030-1001").state == "open"


def test_our_own_files_stay_the_same_for_good(console: Console) -> None:
    console.actor = None
    page = console.get("/login").text
    for address in re.findall(r'"(/static/[^"]*)"', page):
        answer = console.get(address)
        assert "immutable" in answer.headers["cache-control"]
    assert console.get("/static/page.py").status_code == 404


def test_numbers_are_held_for_a_while() -> None:
    given = iter(range(10))
    held, fresh = Figures(seconds=60), Figures(seconds=0)
    assert [held.get("a", lambda: next(given)) for _ in range(3)] == [0, 0, 0]
    assert [fresh.get("a", lambda: next(given)) for _ in range(2)] == [1, 2]
