"""Each check refuses what it is for, with its reason, and lets a sound pair pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.records import Fact, Item
from cybersecqwen.synthesis.checks import Checks, LengthLimits, Rejection
from cybersecqwen.synthesis.cvss import read_vector
from cybersecqwen.synthesis.leakage import BenchmarkFacts
from cybersecqwen.synthesis.pair import CVE_TEXT, Draft, Grounding, arranged

from .conftest import TEXT, UNRELATED

OPTIONS = ("get_user()", "main()", "parse()", "login()")
URL = "https://attack.mitre.org"
BENCHMARK = {
    "cti-rcm": (Item("cti-rcm", 0, "", "CWE-89", "https://nvd.nist.gov/CVE-2021-4444", "A flaw."),),
    "cti-mcq": (
        Item(
            *(
                "cti-mcq",
                3,
                "",
                "B",
                f"{URL}/techniques/T1580/",
                "Which mitigation limits the technique T1580?",
            ),
            ("Audit", "User Account Management", "Firewall", "Training"),
        ),
    ),
    "cti-ate": (Item("cti-ate", 5, "", "T1005", f"{URL}/software/S0066/", "A malware does this."),),
}
NAMES = {"M1018": "User Account Management", "M1047": "Audit"}


@pytest.fixture
def checks() -> Checks:
    index = BenchmarkIndex(benchmark_of(BENCHMARK), Contamination())
    return Checks(index, BenchmarkFacts(BENCHMARK, NAMES), LengthLimits(max_tokens=2000))


def problem(checks: Checks, draft: Draft, *, position: int = 1) -> Rejection | None:
    pair = arranged(draft, position)
    return checks.problem(pair) or checks.overlaps([pair])[0]


def test_a_sound_pair_passes_in_every_form(checks: Checks, draft: Callable[..., Draft]) -> None:
    assert problem(checks, draft()) is None
    assert problem(checks, draft(options=OPTIONS)) is None


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"support": ()}, "unsupported", "no grounding"),
        ({"grounding": ()}, "unsupported", "no grounding"),
        ({"support": ("set_user()",)}, "unsupported", "not in the grounding: set_user()"),
        ({"answer": "It is CWE-89."}, "unsupported", "not in the grounding: CWE-89"),
        ({"answer": 'It says "buffer overflow".'}, "unsupported", "buffer overflow"),
        ({"options": ("get_user()", "Get_User()", "b()", "c()")}, "options", "two are the same"),
        ({"options": ("get_user()", "Foo Server", "b()", "c()")}, "options", "also supported"),
        ({"question": "Which one?"}, "length", "question of 2 words"),
        ({"question": f"Which? {TEXT} " * 20}, "length", "question of"),
        ({"question": f"{'x' * 4000} a b c d"}, "length", "tokens"),
        ({"answer": "get_user(); send id=1' OR '1'='1 to it."}, "offensive", "payload"),
        ({"question": f"Write me a working exploit, please. {TEXT}"}, "offensive", "instruction"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(
    checks: Checks,
    draft: Callable[..., Draft],
    changes: dict[str, object],
    reason: str,
    detail: str,
) -> None:
    found = problem(checks, draft(**changes))
    assert found is not None
    assert found.reason == reason
    assert detail in found.detail


def test_a_score_that_the_vector_does_not_give_is_refused(
    checks: Checks, draft: Callable[..., Draft]
) -> None:
    reading = read_vector("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
    assert reading is not None
    right = draft(
        kind="cvss",
        question=f"What is the base score of {reading.vector}?",
        answer="It scores 9.8, which is Critical.",
        grounding=(reading.grounding(),),
        support=("9.8",),
    )
    assert problem(checks, right) is None
    found = problem(checks, replace(right, answer="It scores 9.8; without a fix 9.9."))
    assert found == ("unsupported", "score 9.9", "")
    stated = Grounding("CVSS", "x", reading.grounding().text.replace("9.8", "9.7"))
    found = problem(checks, replace(right, grounding=(stated,), support=("9.7",)))
    assert found is not None
    assert found.detail == "score 9.8"


def test_repeats_are_refused_exact_and_near(checks: Checks, draft: Callable[..., Draft]) -> None:
    first = arranged(draft(), 0)
    assert checks.problem(first) is None
    checks.accept(first)
    assert problem(checks, draft()) == ("duplicate", "", "")
    # Another version and another wording, but the same question about the same text.
    text = TEXT.replace("2.4.1", "2.5.0")
    again = draft(
        subject="CVE-2021-88888",
        question=f"Where does the flaw lie? {text}",
        grounding=(Grounding(CVE_TEXT, "CVE-2021-88888", text),),
    )
    assert problem(checks, again) == ("near-duplicate", "", "")
    assert problem(checks, replace(again, topic="effect")) is None


def test_a_label_that_the_corpus_trains_on_is_not_asked_for_again(
    draft: Callable[..., Draft],
) -> None:
    index = BenchmarkIndex(benchmark_of(UNRELATED), Contamination())
    taken = Checks(index, BenchmarkFacts({}, {}), LengthLimits(2000), trained_on=(TEXT,))
    label = draft(topic="label", question=TEXT, form="cwe", last="CWE-89", support=("SQL",))
    label = replace(label, grounding=(*label.grounding, Grounding("CWE label", "x", "CWE-89")))
    assert problem(taken, label) == ("near-duplicate", "", "")
    assert problem(taken, replace(label, topic="weakness of a record")) is None


@pytest.mark.parametrize(
    ("changes", "reason", "item"),
    [
        ({"subject": "CVE-2021-4444"}, "contaminated-cve-id", "cti-rcm/0"),
        ({"question": f"{TEXT} See CVE-2021-4444 too."}, "contaminated-cve-id", "cti-rcm/0"),
        (
            {
                "question": "Which mitigation limits the technique T1580?",
                "options": ("Audit", "User Account Management", "Firewall", "Training"),
                "grounding": (Grounding("ATT&CK", "T1", "x; mitigations: M1047 Audit"),),
                "support": ("Audit",),
                "answer": "It is Audit.",
            },
            "contaminated-exact",
            "cti-mcq/3",
        ),
        (
            {"facts": (Fact("M1018", "mitigates", "T1580"),)},
            "benchmark-fact",
            "cti-mcq/3",
        ),
        ({"facts": (Fact("S0066", "uses", "T1005"),)}, "benchmark-entry", "cti-ate/5"),
        ({"facts": (Fact("G0001", "uses", "S0066"),)}, "benchmark-entry", "cti-ate/5"),
    ],
)
def test_what_gives_an_item_away_is_refused_with_the_item(
    checks: Checks, draft: Callable[..., Draft], changes: dict[str, object], reason: str, item: str
) -> None:
    given = draft(**changes)
    # The right option goes where the item has it, so that the texts are the same.
    found = problem(checks, given, position=0)
    assert found is not None
    assert (found.reason, found.item) == (reason, item)


@pytest.mark.parametrize(
    "fact",
    [
        Fact("M1047", "mitigates", "T1580"),  # a wrong option of the item
        Fact("M1018", "mitigates", "T1110"),  # of another entry
        Fact("T1580", "tactic", "TA0007"),
        Fact("S0002", "uses", "T1003"),
    ],
)
def test_other_facts_of_an_entry_may_be_asked(
    checks: Checks, draft: Callable[..., Draft], fact: Fact
) -> None:
    assert problem(checks, draft(facts=(fact,))) is None


def test_a_gold_option_in_other_words_is_recognised() -> None:
    gold = "M1018 - User account management for cloud"
    item = Item(*("cti-mcq", 1, "", "A", f"{URL}/techniques/T1580/", "?"), (gold, "b", "c", "d"))
    known = BenchmarkFacts({"cti-mcq": (item,)}, NAMES)
    assert known.hit(Fact("M1018", "mitigates", "T1580")) == ("benchmark-fact", "cti-mcq/1")
    text = "Manage the account of every user of the cloud."
    assert known.hit(Fact("T1580", "mitigation", text)) is None
    text = "User account management, M1018, for each cloud tenant."
    assert known.hit(Fact("T1580", "mitigation", text)) == ("benchmark-fact", "cti-mcq/1")
