"""The page of a comparison in a real browser: what it shows, counts and refuses to run."""

from __future__ import annotations

import html
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from cybersecqwen.reports.comparison.web_page import render_page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium here")

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=5000", "--dump-dom"),
)
MODELS = ["first", "second", "third"]
ITEMS = 1_234
Dump = Callable[..., str]


def answer(gold: str, chance: random.Random) -> dict[str, Any] | None:
    if chance.random() < 0.02:
        return None
    predictions = [chance.choice([gold, gold, "A", "B", None]) for _ in range(3)]
    correct = [prediction == gold for prediction in predictions]
    return {"predictions": predictions, "correct": correct, "response": HOSTILE}


def rows(chance: random.Random) -> list[dict[str, Any]]:
    golds = [chance.choice("ABCD") for _ in range(ITEMS)]
    return [
        {
            "item": number,
            "url": "javascript:alert(1)" if number % 2 else "https://example.org/x",
            "text": f"Question {number} {chance.choice(['Sudo', 'kernel'])} {HOSTILE}",
            "options": ["one", HOSTILE, "three", "four"],
            "gold": gold,
            "answers": [answer(gold, chance) for _ in MODELS],
        }
        for number, gold in enumerate(golds)
    ]


ROWS = rows(random.Random(5))


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Dump:
    """Give a function that opens the page at a view and returns the elements it then has."""
    folder = tmp_path_factory.mktemp("page")
    part = {"task": "cti-mcq", "protocol": "model-card", "models": MODELS, "rows": ROWS}
    found = {
        "version": "0",
        "benchmark": {"name": "cti-bench", "sha256": {}},
        "reference": "second",
        "bootstrap": {"samples": 10, "seed": 0, "level": 0.95},
        "models": [],
        "tables": [],
        "published": [],
        "published_left_out": False,
        "items": [part],
    }
    page = folder / "comparison.html"
    page.write_text(render_page(found, {}), encoding="utf-8")

    def dumped(**view: str) -> str:
        address = f"{page.as_uri()}#{urlencode(view)}"
        command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", address]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    return dumped


def right(given: dict[str, Any] | None) -> bool | None:
    """Say whether the answer given most often, and first among those, is right."""
    if given is None:
        return None
    predictions = given["predictions"]
    return bool(given["correct"][predictions.index(max(predictions, key=predictions.count))])


def shown(dom: str) -> str:
    return re.findall(r'<output id="count"[^>]*>([^<]*)</output>', dom)[0]


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        ({}, lambda *_: True),
        ({"filter": "a-right-b-wrong"}, lambda a, b, _: (right(a), right(b)) == (True, False)),
        ({"filter": "a-wrong-b-right"}, lambda a, b, _: (right(a), right(b)) == (False, True)),
        ({"filter": "both-wrong"}, lambda a, b, _: (right(a), right(b)) == (False, False)),
        ({"filter": "both-right"}, lambda a, b, _: (right(a), right(b)) == (True, True)),
        (
            {"filter": "differ"},
            lambda a, b, _: any(x and len(set(x["predictions"])) > 1 for x in (a, b)),
        ),
        (
            {"filter": "unparseable"},
            lambda a, b, _: any(x and None in x["predictions"] for x in (a, b)),
        ),
        (
            {"filter": "both-right", "q": "sudo"},
            lambda a, b, row: (right(a), right(b)) == (True, True) and "Sudo" in row["text"],
        ),
    ],
    ids=lambda value: "-".join(value.values()) or "all" if isinstance(value, dict) else "",
)
def test_the_count_of_a_shared_view_is_that_of_the_items(
    dump: Dump, view: dict[str, str], wanted: Callable[..., bool]
) -> None:
    dom = dump(a="first", b="third", **view)
    count = sum(wanted(row["answers"][0], row["answers"][2], row) for row in ROWS)
    assert shown(dom) == f"{count:,} of 1,234 items"
    assert dom.split("<script")[0].count('data-item="') == min(count, 50)


def test_a_page_is_first_held_against_the_reference(dump: Dump) -> None:
    dom = dump()
    assert "A: second" in dom and "B: first" in dom
    assert "Page 1 of 25" in dom


def test_a_view_of_another_comparison_opens_with_what_is_there(dump: Dump) -> None:
    dom = dump(a="gone", b="<b>", filter="constructor", part="none", page="-7", item="x")
    assert shown(dom) == "1,234 of 1,234 items"
    assert "Page 1 of 25" in dom


def test_an_open_item_shows_what_was_said_as_text_alone(dump: Dump) -> None:
    dom = dump(a="first", b="third", item="2", page="1")
    body = dom.split("<script")[0]
    assert body.count(html.escape(HOSTILE, quote=False)) >= 3
    assert "<img" not in body and "<title>Comparison on cti-bench</title>" in dom
    assert 'href="https://example.org/x"' in body and 'rel="noopener noreferrer"' in body


def test_only_web_addresses_become_links(dump: Dump) -> None:
    dom = dump(item="3")
    assert 'class="whole"' in dom
    assert 'href="javascript' not in dom
