"""Questions about a record rest on what it says, and offer nothing that it also says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cybersecqwen.config import Recipe
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.records import Vulnerability
from cybersecqwen.synthesis.record_facts import RecordFacts, collect_records
from cybersecqwen.synthesis.record_questions import TOPICS, QuestionWriter, record_drafts

from .conftest import TEXT

VECTOR = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def one(writer: QuestionWriter) -> RecordFacts:
    return next(r for r in writer.records if r.cve_id == "CVE-2021-99999")


def test_each_topic_asks_about_a_record_that_says_enough(
    ask: Callable[..., QuestionWriter],
) -> None:
    writer = ask(TEXT, vector=VECTOR)
    record = one(writer)
    for (kind, topic, choice), make in TOPICS.items():
        draft = make(record, writer, choice)
        assert draft is not None, topic
        assert (draft.kind, draft.topic, bool(draft.options)) == (kind, topic, choice)
        assert record.text in draft.question
        ground = " ".join(grounding.text for grounding in draft.grounding)
        assert all(words in ground for words in draft.support)
        for wrong in draft.options[1:]:
            assert wrong.casefold() not in ground.casefold()


def test_a_record_that_says_nothing_is_asked_nothing(ask: Callable[..., QuestionWriter]) -> None:
    writer = ask("An issue was found in a product of a vendor.", cwe="CWE-287")
    record = one(writer)
    asked = [topic for (_, topic, form), make in TOPICS.items() if make(record, writer, form)]
    assert asked == []


def test_a_wrong_weakness_is_no_relative_of_the_right_one(
    ask: Callable[..., QuestionWriter],
) -> None:
    writer = ask(TEXT)
    make = record_drafts(writer)["weakness", "weakness of a record", True]
    for draft in make():
        right, *wrong = (option.partition(" ")[0] for option in draft.options)
        assert not set(wrong) & writer.base.kin(right)
        assert right in draft.grounding[1].text


def test_a_label_counts_only_where_nothing_contradicts_it(recipe: Recipe) -> None:
    def record(number: int, text: str, *labels: str, cna: str = "") -> Vulnerability:
        cve_id = f"CVE-2021-{number}"
        return Vulnerability(
            cve_id, "2021-01-01", text, cwe_nvd=labels, cwe_cna=(cna,) if cna else ()
        )

    found = collect_records(
        [
            record(1001, "A first text about some flaw.", "CWE-79"),
            record(1002, "A second text about some flaw.", "CWE-79", cna="CWE-89"),
            record(1003, "A third text about some flaw.", "CWE-79"),
            record(1004, "A third text, about some FLAW!", "CWE-89"),
            record(1005, "A fourth text about some flaw."),
            record(1006, "** REJECT ** A fifth text about some flaw."),
            record(1007, "A held-out text about some flaw.", "CWE-79"),
        ],
        recipe.corpus,
        load_catalogue(),
        held_out=frozenset({"a held out text about some flaw"}),
    )
    assert [(r.cve_id[-4:], r.cwe) for r in found] == [
        ("1001", "CWE-79"),
        ("1002", ""),
        ("1003", ""),
        ("1005", ""),
    ]


@pytest.mark.parametrize("cwe", ["CWE-20", "CWE-200"])
def test_a_discouraged_weakness_is_never_the_best_of_four(
    ask: Callable[..., QuestionWriter], cwe: str
) -> None:
    text = "Improper input validation and exposure of sensitive information in Foo."
    writer = ask(text, cwe=cwe)
    assert TOPICS["weakness", "weakness of a record", True](one(writer), writer, True) is None
