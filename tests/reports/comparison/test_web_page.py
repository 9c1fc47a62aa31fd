from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from cybersecqwen.reports.comparison.result_tables import legend
from cybersecqwen.reports.comparison.web_page import render_page
from cybersecqwen.templates import render

from .compared import answer, compared, item, items, row
from .compared import table as results

HOSTILE = "</script><img src=x onerror=alert(1)> <!--<script> {{data}} \" ' &amp; \u2028"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><title>a &amp; b</title></svg>"
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """The page's elements, with what each says and where it lies."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]


def data(page: str) -> Any:
    return json.loads(
        re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)[0]
    )


def cells(page: str, caption: str) -> list[list[str]]:
    """Give a table's rows of text, by its caption."""
    table = page.partition(f"<caption>{caption}</caption>")[2].partition("</tbody>")[0]
    body = table.partition("<tbody>")[2]
    lines = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in body.split("</tr>")]
    return [[html.unescape(cell) for cell in line] for line in lines][:-1]


def spoil(value: Any) -> Any:
    """Put hostile text into every text that models, servers and benchmarks write."""
    kept = {"task", "protocol", "metric", "better", "verdict", "status", "predictions"}
    if isinstance(value, dict):
        return {k: v if k in kept else spoil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoil(v) for v in value]
    return HOSTILE if isinstance(value, str) else value


def test_results_say_everything_without_a_script() -> None:
    page = render_page(compared(), {})
    ours, theirs = cells(page, "cti-rcm: strict accuracy, higher is better")
    assert ours[:3] == ["–", "ours (reference)", "0.7900"]
    assert ours[-1] == "closed book"
    assert theirs[:5] == ["▼ worse", "theirs", "0.6400", "0.610 to 0.670", "96.8%"]
    assert theirs[5:7] == ["3.2%: boxed 30, refused 2", "0.7000"]
    assert theirs[9:] == ["-0.1500", "-0.180 to -0.120", "<0.001", "0.046", "modified: trials 2"]
    said = Page(page)
    assert "over all 2 comparisons" in legend(compared())
    assert legend(compared()) in said.said("p")
    assert "theirs answers 15.0 points fewer of the items correctly." in said.said("li")
    assert said.said("h1") == ["Comparison on cti-bench"]


def test_models_that_share_no_protocol_are_not_left_side_by_side_without_a_word() -> None:
    found = compared()
    for part in found["tables"]:
        for model in part["rows"]:
            model["against"] = None
    assert "(--protocol NAME reads all answers by one)" in legend(found)
    found["models"] = found["models"][:1]
    assert "reference" not in legend(found)


def test_published_rows_stand_in_a_table_of_their_own() -> None:
    page = render_page(compared(), {})
    rows = cells(page, "Strict accuracy, not measured in this comparison")
    tfidf = next(r for r in rows if r[1] == "TF-IDF + linear classifier")
    assert tfidf[0] == "baseline" and tfidf[3:5] == ["–", "0.763"]
    assert tfidf[7:9] == ["–", "+0.034 (-0.003 to +0.071)"]
    assert render("reports/comparison/published_note.jinja") in Page(page).said("p")
    other = {"model": "GPT-4", "task": "cti-vsp", "metric": "mad", "value": 1.31}
    other |= {"source": "s", "protocol": "p", "status": "published"}
    page = render_page(compared(published=[other]), {})
    assert cells(page, "Published on other tasks") == [
        ["GPT-4", "cti-vsp", "mad", "1.31", "s", "p"]
    ]


def test_published_rows_that_do_not_compare_are_said_to_be_left_out() -> None:
    page = render_page(compared(published=[], published_left_out=True), {})
    assert "They are left out: these items are not CTI-Bench's, or only a part of them." in Page(
        page
    ).said("p")
    assert 'id="published"' not in render_page(compared(published=[]), {})


def test_failed_checks_of_a_server_are_named() -> None:
    found = compared()
    found["models"][1]["probe"] = {
        "checks": [
            {"name": "seed", "status": "failed", "evidence": "two answers differ"},
            {"name": "stop", "status": "ok", "evidence": "all well"},
        ]
    }
    said = Page(render_page(found, {})).said("li")
    assert "theirs: seed: two answers differ" in said
    assert not any("all well" in text for text in said)


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    text = render_page(compared(), {"scores-cti-rcm-model-card": SVG})
    page = Page(text)
    sources = [a["src"] for _, a in page.elements if "src" in a]
    assert sources and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    links = [a["href"] for _, a in page.elements if "href" in a]
    outside = [link for link in links if not link.startswith("#")]
    assert outside == ["https://creativecommons.org/licenses/by-nc-sa/4.0/"]
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    style = text.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|eval|innerHTML|outerHTML)\b\s*[(=]", text)


def test_the_policy_lets_only_the_pages_own_script_run() -> None:
    text = render_page(compared(), {})
    policy = next(a["content"] for a in Page(text).all("meta") if "http-equiv" in a)
    script = text.rsplit("<script>", 1)[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "img-src data:" in policy


def test_hostile_text_stays_text_everywhere() -> None:
    found = spoil(compared())
    found["benchmark"]["name"] = "cti-bench"
    assert found["items"][0]["rows"][0]["text"] == HOSTILE
    text = render_page(found, {})
    page, clean = Page(text), Page(render_page(compared(), {}))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert page.open == []
    assert data(text)["parts"][0]["rows"] == found["items"][0]["rows"]


def test_items_come_whole_and_by_a_name_that_a_link_can_hold() -> None:
    comparison = compared()
    (part,) = data(render_page(comparison, {}))["parts"]
    assert part["name"] == "cti-mcq, model-card"
    assert part["rows"] == comparison["items"][0]["rows"]
    assert part["permuted"] is False


def test_orders_of_the_options_are_known_to_the_browser_of_items() -> None:
    orders = {"mean": 0.5, "consistent": 0.4, "always_right": 0.3}
    orders |= {"constant": {"letter": "C", "accuracy": 0.25}}
    tables = [results("cti-mcq", [row("ours", 0.8, details={"permutations": orders})])]
    (part,) = data(render_page(compared(tables=tables), {}))["parts"]
    assert part["permuted"] is True


def test_plots_are_images_with_their_titles_and_stand_by_their_tables() -> None:
    drawn = {"scores-cti-rcm-model-card": SVG, "accuracy-against-size": SVG, "confusion-x": SVG}
    text = render_page(compared(), drawn)
    images = Page(text).all("img")
    assert [image["alt"] for image in images] == ["a & b"] * 3
    assert base64.b64decode(images[0]["src"].partition(",")[2]).decode() == SVG
    places = [text.rindex('<section id="', 0, at.start()) for at in re.finditer("<img", text)]
    assert [re.match(r'<section id="([\w-]+)"', text[p:])[1] for p in places] == [  # type: ignore[index]
        "results-2",
        "size",
        "behind",
    ]
    assert "cybersecqwen[train]" not in text


def test_a_page_without_plots_says_how_to_get_them() -> None:
    assert "pip install 'cybersecqwen[train]'" in " ".join(
        Page(render_page(compared(), {})).said("p")
    )


@pytest.mark.parametrize(
    ("name", "said"), [("cti-bench", "CC BY-NC-SA 4.0"), ("smoke", "those of smoke")]
)
def test_the_licence_of_the_items_is_named(name: str, said: str) -> None:
    page = render_page(compared(benchmark={"name": name, "sha256": {}}), {})
    assert said in page.split("<footer>")[1].split("</footer>")[0]


def sections(page: Page) -> Iterator[str]:
    return (a["id"] for a in page.all("section"))


def test_links_headings_and_tables_are_named_for_every_reader() -> None:
    text = render_page(compared(), {"accuracy-against-size": SVG})
    page = Page(text)
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert links == list(sections(page))
    assert len(page.all("table")) == text.count("<caption>")
    assert all(a.get("scope") == "col" for a in page.all("th"))
    assert all(a.get("aria-label") for a in page.all("div") if a.get("class") == "box")


def test_a_missing_answer_and_other_models_do_not_break_the_page() -> None:
    rows = [item(1, None, answer("B")), item(2, answer("A", None), None, options=[])]
    text = render_page(compared(items=[items("cti-mcq", ["a", "b"], rows)], tables=[]), {})
    assert data(text)["parts"][0]["rows"][0]["answers"][0] is None
