"""Each rule finds what it is for, and a sibling of the same boilerplate stays."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import pytest

from cybersecqwen.benchmark.tasks import benchmark_of, read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex, Row, index, tokens
from cybersecqwen.records import Item
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

TEXT = (
    "Example Shop 2.4.1 before build 77 does not escape the search term on the results page, "
    "which allows remote attackers to run script code in the browser of a visitor who follows "
    "a crafted link, as shown by the q parameter."
)
ITEM = Item(
    "cti-rcm", 17, "", "CWE-79", url="https://nvd.nist.gov/vuln/detail/CVE-2024-1111", text=TEXT
)
INDEX = BenchmarkIndex(benchmark_of({"cti-rcm": (ITEM,)}), Contamination())


def hit(text: str, cve_id: str = "CVE-2021-1") -> tuple[str, str, int] | None:
    hits = INDEX.hits(cve_id, text)
    return hits[0][:3] if hits else None


@pytest.mark.parametrize(
    ("rule", "text", "cve_id"),
    [
        ("cve-id", "another text", "CVE-2024-1111"),
        ("cve-id", "another text", "cve-2024-1111"),
        ("normalised", TEXT.upper().replace(",", " -"), "CVE-2021-1"),
        ("exact", "Unlike before, " + TEXT, "CVE-2021-1"),
        ("ngram", TEXT.replace("2.4.1", "3.0").replace("77", "1203-rc2"), "CVE-2021-1"),
        ("ngram", TEXT[: len(TEXT) * 2 // 3], "CVE-2021-1"),
        ("exact", f"{TEXT} {'It was found by a reader. ' * 30}", "CVE-2021-1"),
        ("ngram", f"{TEXT.replace('2.4.1', '9')} (severity: high)", "CVE-2021-1"),
    ],
)
def test_each_rule_finds_its_kind_of_copy(rule: str, text: str, cve_id: str) -> None:
    assert hit(text, cve_id) == (rule, "cti-rcm", 17)


def test_a_sibling_with_the_same_closing_words_is_no_copy() -> None:
    sibling = (
        "An integer overflow in the image decoder of Example Viewer 9 corrupts memory when a file "
        "is opened and allows remote attackers to run script code in the browser of a visitor"
    )
    shared = set(tokens(sibling)[-13:])
    assert shared <= set(tokens(TEXT))  # a whole 13-gram is shared
    assert hit(sibling) is None


def test_an_item_that_discusses_a_cve_is_hit_by_its_id() -> None:
    question = Item("cti-mcq", 3, "", "B", text="Which weakness does CVE-2021-44228 show?")
    index = BenchmarkIndex(benchmark_of({"cti-mcq": (question,)}), Contamination())
    assert index.hits("CVE-2021-44228", "Log4j2 resolves attacker-controlled names.")[0].item == 3


def test_every_item_that_is_hit_is_named() -> None:
    twin = Item("cti-vsp", 17, "", "CVSS:3.1/…", text=TEXT)
    index = BenchmarkIndex(benchmark_of({"cti-rcm": (ITEM,), "cti-vsp": (twin,)}), Contamination())
    assert [h.task for h in index.hits("CVE-2021-1", TEXT)] == ["cti-rcm", "cti-vsp"]


def test_the_recipe_sets_length_and_share_of_ngrams() -> None:
    half = " ".join(TEXT.split()[:14])
    strict = BenchmarkIndex(
        benchmark_of({"cti-rcm": (ITEM,)}), Contamination(ngram=5, containment=0.2)
    )
    loose = BenchmarkIndex(
        benchmark_of({"cti-rcm": (ITEM,)}), Contamination(ngram=13, containment=1.0)
    )
    longer = half + " something else entirely follows here and goes on for a while longer"
    assert strict.hits("CVE-2021-1", longer)
    assert not loose.hits("CVE-2021-1", longer)


@cache
def words(value: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(c if c.isalnum() else " " for c in folded).split()


@cache
def grams(value: str) -> set[str]:
    kept = [w for w in words(value) if not re.match(r"(v|rc|sp|r|b|u)?\d", w)]
    return {" ".join(kept[i : i + 13]) for i in range(len(kept) - 12)}


def plainly_contaminated(cve_id: str, text: str, items: list[Item]) -> bool:
    """Decide by the rules' definitions alone, item by item, without any index."""

    for item in items:
        asked = " ".join((item.text, *item.options))
        if re.search(rf"{cve_id}(?!\d)", f"{item.url} {asked}", re.IGNORECASE):
            return True
        if words(asked) == words(text):
            return True
        ours, theirs = grams(text), grams(asked)
        if ours and theirs and len(ours & theirs) >= 0.5 * min(len(ours), len(theirs)):
            return True
    return False


def test_the_index_decides_as_the_plain_definitions_do() -> None:
    benchmark = read_benchmark(BENCHMARK)
    items = [item for of_task in benchmark.values() for item in of_task]
    index = BenchmarkIndex(benchmark, Contamination())
    decided = [(bool(index.hits(v.cve_id, v.description)), v) for v in read_vulnerabilities(FEED)]
    assert sum(hit for hit, _ in decided) == 8
    for hit, v in decided:
        rules = {h.rule for h in index.hits(v.cve_id, v.description)}
        if rules & {"cve-id", "exact", "normalised", "ngram"} or not rules:
            assert hit == plainly_contaminated(v.cve_id, v.description, items), v.cve_id


OTHERS = tuple(
    Item("cti-rcm", 100 + i, "", "CWE-89", text=text)
    for i, text in enumerate(
        f"Example {name} {i}.1 does not check {part} before it is used on the {place}, which "
        f"allows remote attackers to run {what} in the browser of a visitor who follows a link."
        for i, (name, part, place, what) in enumerate(
            zip(
                ("Shop", "Blog", "Wiki", "Mail", "Forum"),
                ("the cart", "a title", "the page", "a header", "the post"),
                ("results page", "front page", "login form", "search page", "profile page"),
                ("script code", "a macro", "queries", "commands", "programs"),
                strict=True,
            )
        )
    )
)
MANY = {"cti-rcm": (ITEM, *OTHERS)}


def rules(text: str, answer: str = "") -> dict[str, float]:
    (hits,) = BenchmarkIndex(benchmark_of(MANY), Contamination()).hits_of(
        [Row(text, answer=answer)]
    )
    return {rule: score for hit in hits if hit.item == 17 for rule, score in hit.rules}


def edited(count: int) -> str:
    """Say every other word otherwise, up to a count: no long run is left."""
    words = TEXT.split()
    for i in range(5, 5 + 6 * count, 6):
        words[i] = "certain"
    return " ".join(words)


def test_edits_that_break_every_long_run_leave_a_near_duplicate() -> None:
    scores = rules(edited(3))
    assert "ngram" not in scores
    assert 0.8 <= scores["near-duplicate"] < 1


def test_the_gold_answer_beside_a_looser_copy_counts() -> None:
    assert rules(edited(6), "CWE-79")
    assert set(rules(edited(6), "CWE-79")) == {"answer-aware"}
    assert rules(edited(6), "CWE-89") == rules(edited(6)) == {}


def test_rows_are_judged_alike_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(edited(n), answer="CWE-79") for n in range(7)]
    rows += [Row(item.text.upper()) for item in OTHERS] + [Row(""), Row("?"), Row("Short.")]
    together = list(BenchmarkIndex(benchmark_of(MANY), Contamination()).hits_of(rows))
    assert sum(map(bool, together)) > 8
    alone = [
        next(BenchmarkIndex(benchmark_of(MANY), Contamination()).hits_of([row])) for row in rows
    ]
    backwards = list(BenchmarkIndex(benchmark_of(MANY), Contamination()).hits_of(rows[::-1]))[::-1]
    monkeypatch.setattr(index, "_BATCH", 300)
    assert (
        together
        == alone
        == backwards
        == list(BenchmarkIndex(benchmark_of(MANY), Contamination()).hits_of(rows))
    )


@pytest.mark.parametrize("before", [0, 11_990, 19_980, 30_000, 45_000])
def test_an_item_is_found_in_a_very_long_text_wherever_it_stands(before: int) -> None:
    text = " ".join(("filler",) * before + (TEXT,) + ("padding",) * (46_000 - before))
    assert set(rules(text)) >= {"exact", "normalised", "ngram", "near-duplicate"}


def test_a_text_is_masked_once_numbers_names_and_identifiers_are_left_out() -> None:
    said = "does not check the size of what it reads and lets a remote user stop the service"
    items = [
        Item("cti-rcm", n, "", "CWE-125", text=f"{name} {n}.1 {said} {end} by one {name} call.")
        for n, (name, end) in enumerate(
            [("Ostwell", "with a page"), ("Fenmore", "with a file"), ("Bracklane", "and a page")]
        )
    ]
    others = [Item("cti-rcm", 3 + n, "", "CWE-79", text=f"with and page {n}") for n in range(3)]
    items_index = BenchmarkIndex(benchmark_of({"cti-rcm": (*items, *others)}), Contamination())
    copy = items[0].text.replace("Ostwell", "Quilltide").replace("0.1", "v7.2")
    hits = {hit.item: dict(hit.rules) for hit in items_index.hits("", copy)}
    assert "masked" in hits[0] and "normalised" not in hits[0]
    assert "masked" not in hits.get(2, {})  # other words, not only other names


def test_a_question_that_several_items_share_once_masked_is_boilerplate() -> None:
    said = "which of these does the technique need before it can be used on the network"
    items = [
        Item("cti-mcq", n, "", "A", text=f"{name}: {said}?")
        for n, name in enumerate(["Foo", "Bar"])
    ]
    more = [Item("cti-mcq", 2 + n, "", "A", text=f"{said} {n} again and again") for n in range(3)]
    items_index = BenchmarkIndex(benchmark_of({"cti-mcq": (*items, *more)}), Contamination())
    assert all(
        "masked" not in dict(h.rules) for h in items_index.hits("", f"Baz: {said}?") if h.item < 2
    )


def test_a_text_of_any_length_is_judged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_BATCH", 2_000)
    parts = BenchmarkIndex(benchmark_of({"cti-rcm": (ITEM,)}), Contamination())
    for place in range(1_000, 6_000, 500):
        text = ("Rain fell. " * 2_000)[:place] + f" {TEXT} " + " More rain fell." * 500
        assert {hit.rule for hit in parts.hits("", text)} == {"exact"}, place
